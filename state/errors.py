"""Every error of the state package, as a tree.

StateError
├── StoreClosed     used after close, or an iterator outlived its store
├── StoreLocked     another process owns the directory; names the owner
└── CorruptStore    what is on disk cannot be trusted; the store is set aside and restored
"""

from __future__ import annotations


class StateError(Exception):
    """Base of all errors of this package."""


class StoreClosed(StateError):  # noqa: N818  Kafka says InvalidStateStore; a state, not an accident
    """The store was used after close, or an iterator outlived its store."""


class StoreLocked(StateError):  # noqa: N818
    """Another process owns the directory; the message names it."""


class CorruptStore(StateError):  # noqa: N818
    """What is on disk cannot be trusted."""

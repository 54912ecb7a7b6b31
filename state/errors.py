"""Every error of the state package, as a tree.

StateError
├── StoreClosed     used after close, or an iterator outlived its store
├── StoreLocked     another process owns the directory; names the owner
├── StateDiskFull   the disk takes no more; what is committed is in the changelogs
└── CorruptStore    what is on disk cannot be trusted; the store is set aside and restored

UnreadableState is a ValueError instead: like all that goes wrong with a value, it is the caller's to decide about.
"""

from __future__ import annotations


class StateError(Exception):
    """Base of all errors of this package."""


class StoreClosed(StateError):  # noqa: N818  Kafka says InvalidStateStore; a state, not an accident
    """The store was used after close, or an iterator outlived its store."""


class StoreLocked(StateError):  # noqa: N818
    """Another process owns the directory; the message names it."""


class StateDiskFull(StateError):  # noqa: N818
    """The disk of a state directory takes no more. Nothing is lost: the changelogs have what is missing here."""

    def __init__(self, path: object, reason: object) -> None:
        super().__init__(
            f"the disk of {path} takes no more ({reason}). Nothing is lost, for the changelogs have what is missing "
            "there: make room, or move the state with state_dir, and start again"
        )


class CorruptStore(StateError):  # noqa: N818
    """What is on disk cannot be trusted."""


class UnreadableState(ValueError):  # noqa: N818
    """What a store holds is not of its type: the program that wrote it said another one."""

    def __init__(self, store: str, reason: object) -> None:
        super().__init__(
            f"store {store} holds a value that cannot be read: {reason}. If its type was another one before, give the store "
            "another name, or take the application back with `streams reset`; else go back to the type that it had"
        )

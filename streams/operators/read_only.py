"""Global stores as processors see them that do not fill them: to be read, never written.

Each worker fills its own copy of a global store from the topic. What a processor put there would be in no topic: no other
worker would have it, nor this one after its next start. Source: Kafka's ReadOnlyDecorators.
"""

from __future__ import annotations

from typing import Any

from streams.errors import TopologyError

__all__ = ["ReadOnlyStore"]

WRITES = frozenset(
    {"clear", "close", "commit", "delete", "discard", "flush", "put", "put_all", "put_if_absent", "remove"}
)


class ReadOnlyStore:
    """A store without the verbs that change it; the others are its own."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        if name in WRITES:
            raise TopologyError(
                f"{self._store.name} is a global store, which can only be read here, so there is no {name}(): write to "
                "the topic that it is filled from"
            )
        return getattr(self._store, name)

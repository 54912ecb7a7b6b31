"""A key-value store of so many entries: the one that was not used for longest makes room. In memory, as Kafka's lruMap.

Rules: reads and writes are uses. What makes room is logged as a deletion, so that a restored store holds the same. After
a restore or an aborted transaction the order of use begins anew, by the bytes of the keys.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from state.cache import RecordCacheBudget
from state.engine import Engine
from state.key_value import PlainKeyValueStore
from state.stores import Cause, ChangelogWriter, StoreSpec


class BoundedKeyValueStore(PlainKeyValueStore):
    """At most `spec.max_entries` values by key. Source: Kafka's MemoryNavigableLRUCache behind a change log."""

    def __init__(
        self, spec: StoreSpec, engine: Engine, changelog: ChangelogWriter | None, cache: RecordCacheBudget | None
    ) -> None:
        super().__init__(spec, engine, changelog, cache)
        self._uses: OrderedDict[Any, None] | None = None
        self._read = self.get
        self.get = self.lookup = self._used

    def _used(self, key: Any) -> Any:
        value = self._read(key)
        if value is not None:
            self._order().move_to_end(self._identity(key))
        return value

    def values_of(self, keys: Sequence[Any]) -> list[Any]:
        """What `get` gives for each of the keys."""
        return list(map(self.get, keys))

    def _order(self) -> OrderedDict[Any, None]:
        """The entries, the one used last at the end."""
        if self._uses is None:
            self._uses = OrderedDict((self._identity(key), None) for key, _ in self.all())
        return self._uses

    def put(self, key: Any, value: Any, timestamp: int | None = None, cause: Cause | None = None) -> None:
        """Set a value; None deletes. A new key may cost the one that was not used for longest."""
        entry, uses = self._identity(key), self._order()
        super().put(key, value, timestamp, cause)
        if value is None:
            uses.pop(entry, None)
            return
        uses[entry] = None
        uses.move_to_end(entry)
        if len(uses) > (self.spec.max_entries or 0):
            eldest, _ = uses.popitem(last=False)
            self._write(eldest, None, self.record_timestamp if timestamp is None else timestamp)

    def discard(self) -> None:
        """Forget what changed since the last commit."""
        super().discard()
        self._uses = None

    def restore(
        self, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int], position: int
    ) -> None:
        """Apply changelog records straight to the engine."""
        super().restore(keys, values, timestamps, position)
        self._uses = None

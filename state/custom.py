"""Stores of users' own classes: any verbs over any structure, with a changelog, and restored from it.

A user's class derives from `StateStore`, or has its methods. Rules: it lives in memory, or where it puts itself, and is
made anew and restored whole whenever its task is, for nobody can take back what an aborted transaction did to it. What
it logs is part of the commit; a store that is not logged begins empty. Source: Kafka's StateStore and
StateRestoreCallback.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

from state.cache import RecordCacheBudget
from state.engine import Engine
from state.layers import LayeredStore
from state.memory import MemoryEngine
from state.stores import ChangelogWriter, CustomStore, StoreSpec

__all__ = ["CustomLayers", "HeldStore", "StateStore"]


class StateStore:
    """Base of a store of your own: add the verbs that your processors need, and have them `self.log` what they change.

    class Seen(StateStore):
        def init(self, log):
            super().init(log)
            self.keys = set()

        def add(self, key: str) -> None:
            self.keys.add(key)
            self.log(key.encode(), b"")

        def restore(self, key, value, timestamp):
            self.keys.add(key.decode())
    """

    log: Callable[[bytes, bytes | None], None]
    """`log(key, value)` writes a change to the changelog, with the time of the record in process; None deletes."""

    def init(self, log: Callable[[bytes, bytes | None], None]) -> None:
        """Begin empty; called once, before anything else."""
        self.log = log

    def restore(self, key: bytes, value: bytes | None, timestamp: int) -> None:
        """Take in a change that was logged before, oldest first; `timestamp` in ms."""
        raise NotImplementedError(
            f"{type(self).__name__} is logged, so it has to define restore(key, value, timestamp)"
        )

    def flush(self) -> None:
        """A commit follows: log what was held back."""

    def close(self) -> None:
        """Called once, when the task lets go."""


class HeldStore(MemoryEngine):
    """A user's store, in the place of an engine, so that a standby can hand it over to the task.

    `log` is who takes its changes at the moment.
    """

    def __init__(self, name: str, made: CustomStore) -> None:
        super().__init__(name)
        self.made = made
        self.log: Callable[[bytes, bytes | None], None] | None = None
        made.init(self._log)

    def _log(self, key: bytes, value: bytes | None) -> None:
        if self.log is not None:
            self.log(key, value)


class CustomLayers(LayeredStore):
    """What the runtime sees of a user's store: changes, position, restoring. `custom` is the store itself."""

    def __init__(
        self, spec: StoreSpec, engine: Engine, changelog: ChangelogWriter | None, cache: RecordCacheBudget | None
    ) -> None:
        del cache
        super().__init__(spec, engine, changelog, None)
        assert isinstance(engine, HeldStore), "made in `state.opening`"
        self.custom = engine.made
        engine.log = None if self._changes is None else self._log_change

    def _log_change(self, key: bytes, value: bytes | None) -> None:
        changes = self._changes
        assert changes is not None, "nobody takes the changes of a store that is not logged"
        changes.keys.append(key)
        changes.values.append(value)
        changes.timestamps.append(self.record_timestamp)

    def committed(self) -> Self:
        """Nobody knows what a user's store was like at the last commit."""
        raise NotImplementedError(f"{self.name} is a store of the user's own class: there is no committed view of it")

    def flush(self) -> None:
        """Have the store log what it held back."""
        super().flush()
        self.custom.flush()

    @property
    def for_users(self) -> Any:
        """The user's own store."""
        return self.custom

    def _restored(
        self, keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int]
    ) -> dict[bytes, bytes | None]:
        for change in zip(keys, values, timestamps, strict=True):
            self.custom.restore(*change)
        return {}

    def close(self) -> None:
        """Close the user's store."""
        if not self._closed:
            self.custom.close()
        super().close()

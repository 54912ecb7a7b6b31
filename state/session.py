"""Session stores: values by key and session, whose start and end are both included.

Rules: a session is found by its end; retention is counted from the highest end written (`segments`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from state.keys import LONG_MAX, SESSION_SUFFIX, time_of_session
from state.stores import Cause
from state.timed import TimedStore


class SegmentedSessionStore(TimedStore):
    """Values by key and session; an entry key is (identity, end, start)."""

    _time_of = staticmethod(time_of_session)
    _suffix = SESSION_SUFFIX

    def put(
        self,
        key: Any,
        start_ms: int,
        end_ms: int,
        value: Any,
        cause: Cause | None = None,
        *,
        timestamp: int | None = None,
    ) -> None:
        """Set the value of a session; None removes it. `timestamp` is what is logged, else `record_timestamp`."""
        if self._plain_class is not None and value.__class__ is not self._plain_class and value is not None:
            value = self._proof.settled(value)
        entry = self._identity(key), end_ms, start_ms
        time = self.record_timestamp if timestamp is None else timestamp
        self._accept(entry, value, time, cause)
        if self._timelines is not None:
            self._index(entry)

    def remove(
        self, key: Any, start_ms: int, end_ms: int, cause: Cause | None = None, *, timestamp: int | None = None
    ) -> None:
        """Remove a session."""
        expired_writes = self.expired_writes
        self.put(key, start_ms, end_ms, None, cause, timestamp=timestamp)
        if self._cache is None:
            self.expired_writes = expired_writes  # what was to go is gone: nothing is lost

    def fetch_session(self, key: Any, start_ms: int, end_ms: int) -> Any:
        """The value of one session, or None."""
        return self._value((self._identity(key), end_ms, start_ms))

    def find_sessions(self, key: Any, earliest_end_ms: int, latest_start_ms: int) -> Iterator[tuple[int, int, Any]]:
        """(start, end, value) of one key's sessions with end >= earliest and start <= latest, by end."""
        found = self._between(self._identity(key), earliest_end_ms, LONG_MAX)
        return iter([(entry[2], entry[1], value) for entry, value in found if entry[2] <= latest_start_ms])

    def backward_find_sessions(
        self, key: Any, earliest_end_ms: int, latest_start_ms: int
    ) -> Iterator[tuple[int, int, Any]]:
        """As `find_sessions`, the other way round."""
        found = self._between(self._identity(key), earliest_end_ms, LONG_MAX, backward=True)
        return iter([(entry[2], entry[1], value) for entry, value in found if entry[2] <= latest_start_ms])

    def find_sessions_of_keys(
        self, first: Any, last: Any, earliest_end_ms: int, latest_start_ms: int
    ) -> Iterator[tuple[Any, int, int, Any]]:
        """(key, start, end, value) with end >= earliest and start <= latest, of keys between two.

        Keys go by their bytes, both are included, and None is open. By segment and then by key bytes, as Kafka gives them.
        """
        return self._find_sessions_of_keys(first, last, earliest_end_ms, latest_start_ms, backward=False)

    def backward_find_sessions_of_keys(
        self, first: Any, last: Any, earliest_end_ms: int, latest_start_ms: int
    ) -> Iterator[tuple[Any, int, int, Any]]:
        """As `find_sessions_of_keys`, the other way round."""
        return self._find_sessions_of_keys(first, last, earliest_end_ms, latest_start_ms, backward=True)

    def _find_sessions_of_keys(
        self, first: Any, last: Any, earliest_end_ms: int, latest_start_ms: int, *, backward: bool
    ) -> Iterator[tuple[Any, int, int, Any]]:
        serialize, raw = self.spec.key_serde.serialize, self._layout.raw_key
        low = b"" if first is None else serialize(first)
        high = None if last is None else serialize(last)
        return self._sessions(
            (entry, value)
            for entry, value in self._scan_times(earliest_end_ms, LONG_MAX, backward=backward)
            if entry[2] <= latest_start_ms and low <= raw(entry[0]) and (high is None or raw(entry[0]) <= high)
        )

    def fetch(self, key: Any) -> Iterator[tuple[int, int, Any]]:
        """(start, end, value) of all sessions of a key, by end."""
        return self.find_sessions(key, 0, LONG_MAX)

    def backward_fetch(self, key: Any) -> Iterator[tuple[int, int, Any]]:
        """As `fetch`, the other way round."""
        return self.backward_find_sessions(key, 0, LONG_MAX)

    def fetch_keys(self, first: Any, last: Any) -> Iterator[tuple[Any, int, int, Any]]:
        """(key, start, end, value) of all sessions of keys between two, in the order of `find_sessions_of_keys`."""
        return self.find_sessions_of_keys(first, last, 0, LONG_MAX)

    def backward_fetch_keys(self, first: Any, last: Any) -> Iterator[tuple[Any, int, int, Any]]:
        """As `fetch_keys`, the other way round."""
        return self.backward_find_sessions_of_keys(first, last, 0, LONG_MAX)

    def fetch_by_end(self, earliest_end_ms: int, latest_end_ms: int) -> Iterator[tuple[Any, int, int, Any]]:
        """(key, start, end, value) with earliest <= end <= latest, by end, start and key bytes.

        The order of sessions that close. Kafka's stores do not apply the retention here, only the loss of segments.
        """
        raw, oldest = self._layout.raw_key, self._segments.oldest_kept
        found = list(self._scan_times(earliest_end_ms, latest_end_ms, oldest))
        found.sort(key=lambda item: (*item[0][1:], raw(item[0][0])))
        return self._sessions(iter(found))

    def all(self) -> Iterator[tuple[Any, int, int, Any]]:
        """(key, start, end, value) of everything that can be read, by segment and then by key bytes."""
        return self._sessions(self._scan_times(0, LONG_MAX))

    def backward_all(self) -> Iterator[tuple[Any, int, int, Any]]:
        """As `all`, the other way round."""
        return self._sessions(self._scan_times(0, LONG_MAX, backward=True))

    def _sessions(self, entries: Iterator[tuple[Any, Any]]) -> Iterator[tuple[Any, int, int, Any]]:
        key = self._layout.key
        return ((key(entry[0]), entry[2], entry[1], value) for entry, value in entries)

    def _flushed_keys(self, entries: list[Any]) -> list[Any]:
        key = self._layout.key
        return [(key(entry[0]), entry[2], entry[1]) for entry in entries]

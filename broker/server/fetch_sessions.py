"""Fetch sessions: a client that reads many partitions names only what changed, and hears only of what changed.

A session is the partitions of a client with what it was last told of each; it counts requests, so that a lost answer is
noticed. Sessions are few: a full table gives up the one unused longest, if it is old enough, else a client goes without.
Must not know versions or sockets. Source: KIP-227.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from broker.errors import BrokerError, ErrorCode
from broker.log.partition_log import PartitionLog
from broker.protocol.hot import FetchedPartition

MAX_SESSIONS = 1_000
MIN_EVICTION_SECONDS = 120.0
NO_SESSION = 0
FIRST, LAST = 0, -1
MAX_EPOCH = 2**31 - 1
NEVER_TOLD = (-1, -1)


class Wanted(NamedTuple):
    """One partition a client reads; the log, or why there is none. `where` is the topic's name or id."""

    where: Any
    partition: int
    log: PartitionLog | None
    error: BrokerError | None
    offset: int
    max_bytes: int
    leader_epoch: int
    last_epoch: int = -1
    """Epoch of the last batch the client has; -1 if it does not say."""


@dataclass(slots=True)
class Session:
    """What one client reads. `told` is the (high watermark, start offset) it last heard of each partition."""

    session_id: int
    by_id: bool
    epoch: int = 1
    used_at: float = 0.0
    wanted: dict[tuple[Any, int], Wanted] = field(default_factory=dict)
    told: dict[tuple[Any, int], tuple[int, int]] = field(default_factory=dict)

    def update(self, wanted: Iterable[Wanted], forgotten: Iterable[tuple[Any, int]] = ()) -> None:
        """Add or change partitions, and drop others."""
        for item in wanted:
            self.wanted[item.where, item.partition] = item
        for key in forgotten:
            self.wanted.pop(key, None)
            self.told.pop(key, None)

    def is_news(self, where: Any, answer: FetchedPartition, *, in_full: bool = False) -> bool:
        """Whether the client must hear of a partition: records, an error, a cut, a bound that moved. Remembers that it did.

        A partition with records goes to the end of the line, so that the others get their share of the next answer; not
        in the answer that is told in full, as in Kafka.
        """
        key = (where, answer.partition)
        news = self.would_be_news(where, answer)
        if answer.records and not in_full and key in self.wanted:
            self.wanted[key] = self.wanted.pop(key)
        self.told[key] = _bounds(answer)
        return news

    def would_be_news(self, where: Any, answer: FetchedPartition) -> bool:
        """As `is_news`, of an answer that may not be given."""
        must_tell = bool(answer.error) or answer.diverging is not None
        return bool(answer.records) or must_tell or self.told.get((where, answer.partition)) != _bounds(answer)


def _bounds(answer: FetchedPartition) -> tuple[int, int]:
    """What a client hears of a partition besides records."""
    return NEVER_TOLD if answer.error else (answer.high_watermark, answer.log_start_offset)


class FetchSessions:
    """All sessions of one broker, the least recently used first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sessions: dict[int, Session] = {}

    def begin(self, wanted: Iterable[Wanted], *, by_id: bool) -> Session | None:
        """A new session; None where there is no room."""
        session = Session(self._new_id(), by_id, used_at=self._clock())
        session.update(wanted)
        if not self._make_room():
            return None
        self._sessions[session.session_id] = session
        return session

    def resume(self, session_id: int, epoch: int, *, by_id: bool) -> Session:
        """The session at the epoch a client says. Raises: BrokerError."""
        session = self._sessions.get(session_id)
        if session is None:
            raise BrokerError(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        if session.epoch != epoch:
            raise BrokerError(ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        if session.by_id != by_id:
            raise BrokerError(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
        session.epoch = 1 if epoch == MAX_EPOCH else epoch + 1
        session.used_at = self._clock()
        self._sessions[session_id] = self._sessions.pop(session_id)
        return session

    def end(self, session_id: int) -> None:
        """Forget a session, if there is one."""
        self._sessions.pop(session_id, None)

    def _new_id(self) -> int:
        while True:
            session_id = random.randint(1, MAX_EPOCH)  # noqa: S311  an id, not a secret
            if session_id not in self._sessions:
                return session_id

    def _make_room(self) -> bool:
        if len(self._sessions) < MAX_SESSIONS:
            return True
        oldest = next(iter(self._sessions.values()))
        if self._clock() - oldest.used_at < MIN_EVICTION_SECONDS:
            return False
        self.end(oldest.session_id)
        return True

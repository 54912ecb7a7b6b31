"""A group coordinator on a real log, with a clock that moves when a test says so."""

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from broker.config import BrokerConfig
from broker.coordinators.group import JoinResult, SyncResult
from broker.coordinators.group_coordinator import GroupCoordinator
from broker.coordinators.membership import JoinRequest, SyncRequest
from broker.errors import ErrorCode
from broker.log.config import LogConfig
from broker.log.directory import LogDirectory
from broker.log.partition_log import PartitionLog
from broker.server.delayed import Delayed

EPOCH_MS = 1_700_000_000_000


class Clock(asyncio.SelectorEventLoop):
    """An event loop's timers, fired by `advance`."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._queue: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._order = itertools.count()

    def time(self) -> float:
        return self.now

    def now_ms(self) -> int:
        return EPOCH_MS + round(self.now * 1000)

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any, context: Any = None) -> Any:
        handle = asyncio.TimerHandle(self.now + delay, callback, args, self, context)
        heapq.heappush(self._queue, (self.now + delay, next(self._order), handle))
        return handle

    def advance(self, seconds: float) -> None:
        """Let time pass, firing what falls due on the way."""
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            self.now, _, handle = heapq.heappop(self._queue)
            if not handle.cancelled():
                handle._run()
        self.now = end


class Groups:
    """The coordinator as a client would see it: answers are collected as they come."""

    def __init__(self, path: Path, clock: Clock, **settings: Any) -> None:
        self.path = path
        self.clock = clock
        self.settings = settings
        self.delayed = Delayed(clock)
        self.open()

    def open(self) -> None:
        self.directory = LogDirectory.open(self.path, LogConfig(), on_message=print)
        self.directory.on_advance = self.delayed.advanced
        self.directory.on_taken_back = lambda log: self.coordinator.taken_back(log)
        log = self.directory.get("__consumer_offsets", 0)
        if log is None:
            compacted = LogConfig(cleanup_policy=("compact",))
            log = self.directory.create("__consumer_offsets", 0, uuid4(), compacted)
        self.log: PartitionLog = log
        config = BrokerConfig(**self.settings)
        self.coordinator = GroupCoordinator(
            config, [self.log], self.clock, self.clock.now_ms, self.delayed.when_committed
        )
        self.coordinator.load()

    def reopen(self) -> None:
        """A stop and a start: everything that remains comes from the log."""
        self.directory.close()
        self.open()

    def join(self, member_id: str = "", **changes: Any) -> list[JoinResult]:
        """A join; the list holds the answer as soon as there is one."""
        values: dict[str, Any] = {
            "member_id": member_id,
            "instance_id": None,
            "client_id": "client",
            "client_host": "/127.0.0.1",
            "session_timeout_ms": 10_000,
            "rebalance_timeout_ms": 60_000,
            "protocol_type": "consumer",
            "protocols": {"range": b"topics"},
        }
        answers: list[JoinResult] = []
        self.coordinator.join("group", JoinRequest(**{**values, **changes}), answers.append)
        return answers

    def sync(self, joined: JoinResult, assignments: dict[str, bytes] | None = None, **changes: Any) -> list[SyncResult]:
        """A sync for the generation of a join's answer."""
        values: dict[str, Any] = {
            "member_id": joined.member_id,
            "instance_id": None,
            "generation": joined.generation,
            "protocol_type": None,
            "protocol": None,
            "assignments": assignments or {},
        }
        answers: list[SyncResult] = []
        self.coordinator.sync("group", SyncRequest(**{**values, **changes}), answers.append)
        return answers

    def beat(self, joined: JoinResult) -> ErrorCode:
        """A heartbeat in the generation of a join's answer."""
        return self.coordinator.heartbeat("group", joined.member_id, None, joined.generation)

    def stable(self, count: int = 1) -> list[JoinResult]:
        """`count` members in a Stable group; the leader first."""
        joined = [self.join()[0]]
        for _ in range(count - 1):
            waiting = self.join()
            leader = self.join(joined[0].member_id)
            others = [self.join(member.member_id) for member in joined[1:]]
            joined = [leader[0], *(answer[0] for answer in others), waiting[0]]
        assignments = {member.member_id: b"for " + member.member_id.encode() for member in joined}
        for member in joined[1:]:
            self.sync(member)
        self.sync(joined[0], assignments)
        return joined


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    yield clock
    clock.close()


@pytest.fixture
def make_groups(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Groups]]:
    """Makes a coordinator with settings of its own."""
    made: list[Groups] = []

    def make(**settings: Any) -> Groups:
        made.append(Groups(tmp_path / "data", clock, **settings))
        return made[-1]

    yield make
    for groups in made:
        groups.directory.close()


@pytest.fixture
def groups(make_groups: Callable[..., Groups]) -> Groups:
    return make_groups()

"""What this worker tells its group about itself, and what the leader last told it: copies to keep, and who has what.

Lives on the processing thread, but for `hosts`, which anybody may read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from streams.config import StreamsConfig
from streams.runtime.member_info import GroupInfo, HostTasks, MemberInfo, task_named, unpacked_hosts
from streams.runtime.process_id import ProcessId
from streams.runtime.task import TaskId
from streams.topology.topology import Topology

FIRST_PAUSE_S = 1.0

Lag = Callable[[TaskId], int | None]


class GroupView:
    """See the module. `probing_interval_s` is how long copies may warm up before the group looks again."""

    def __init__(
        self,
        *,
        host: str,
        process: str = "",
        address: str,
        tags: Mapping[str, str],
        acceptable_lag: int,
        probing_interval_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.hosts: Mapping[str, HostTasks] = {}
        self.copies: frozenset[TaskId] = frozenset()
        """The standbys and warm-ups that this worker is to have."""
        self.misunderstood = False
        """Whether the leader could not read what this worker said of itself, so that it must say it again."""
        self.all_stop = False
        """Whether the leader said that all workers are to stop."""
        self.stops = False
        """Whether this worker has asked for that."""
        self.address = address
        self._host = host
        self._process = process
        self._tags = dict(tags)
        self._acceptable_lag = acceptable_lag
        self._probing_interval_s = probing_interval_s
        self._clock = clock
        self._warmups: frozenset[TaskId] = frozenset()
        self._were_warm: frozenset[TaskId] = frozenset()
        self._pause_s = FIRST_PAUSE_S
        self._warm_from = 0.0
        self._probe_at: float | None = None
        self._round = 0

    @classmethod
    def of(cls, topology: Topology, config: StreamsConfig, process: ProcessId) -> GroupView:
        """That of a worker. Workers with one state directory are one host, unless all of their state is in memory."""
        persistent = any(spec.persistent for part in topology.subtopologies for spec in part.stores)
        return cls(
            host=str(process.uuid) if persistent else f"{process.uuid}-{process.number}",
            process=process.name,
            address=config.application_server,
            tags=config.client_tags,
            acceptable_lag=config.acceptable_recovery_lag,
            probing_interval_s=config.probing_rebalance_interval_ms / 1000,
        )

    def introduced(self, running: list[str], positions: Mapping[str, int]) -> MemberInfo:
        """This worker, for the leader."""
        return MemberInfo(
            host=self._host,
            address=self.address,
            tags=self._tags,
            running=running,
            positions=dict(positions),
            round=self._round,
            stops=self.stops,
            process=self._process,
        )

    def stop_all(self) -> None:
        """Ask for the end of all workers with the next join."""
        self.stops = True

    def told(self, info: GroupInfo, again: bool) -> None:
        """Hear what the leader says; `again`: it did not understand this worker."""
        self.misunderstood = again
        self.all_stop = info.stops
        self._warmups = frozenset(map(task_named, info.warmups))
        self.copies = self._warmups.union(map(task_named, info.standbys))
        self.hosts = unpacked_hosts(info.hosts)
        self._probe_at = self._clock() + self._probing_interval_s if info.probe else None
        if self._warmups != self._were_warm:
            self._warm_from, self._pause_s = 0.0, FIRST_PAUSE_S

    def probe_due(self, lag: Lag) -> bool:
        """Whether it is time for the group to look again: once per assignment.

        A copy that was warm here and not in the leader's eyes is given longer and longer: a busy changelog runs ahead.
        """
        now = self._clock()
        warm = self._warmups and now >= self._warm_from and all(self._is_warm(lag(task)) for task in self._warmups)
        if not warm and not (self._probe_at is not None and now >= self._probe_at):
            return False
        if warm:
            self._were_warm, self._warm_from = self._warmups, now + self._pause_s
            self._pause_s = min(2 * self._pause_s, self._probing_interval_s)
        self._probe_at, self._warmups = None, frozenset()
        self._round += 1
        return True

    def _is_warm(self, lag: int | None) -> bool:
        return lag is not None and lag <= self._acceptable_lag

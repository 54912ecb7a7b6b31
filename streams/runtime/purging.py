"""Deletes what was processed and committed from repartition topics, now and then: nobody will read it again.

Rules: only below committed offsets, after the commit; a broker that refuses is asked again the next time. Nobody waits for
it: the broker has all replicas delete, and one of them may be away.
"""

from __future__ import annotations

import logging

from streams.clients.base import Admin, Clock, Pending
from streams.config import StreamsConfig
from streams.errors import ClientError
from streams.runtime.committer import Committer
from streams.topology.topology import Topology

log = logging.getLogger(__name__)


class Purging:
    """When it is due, and what it does then."""

    def __init__(self, topology: Topology, config: StreamsConfig, clock: Clock) -> None:
        self._topics = topology.repartition_topics
        self._interval_ms = config.repartition_purge_interval_ms
        self._clock = clock
        self._due_ms = clock() + self._interval_ms
        self._under_way: Pending[None] | None = None

    def purge_if_due(self, committer: Committer, admin: Admin) -> None:
        """Called after commits."""
        if not self._topics or self._clock() < self._due_ms or not self._is_over():
            return
        self._due_ms = self._clock() + self._interval_ms
        committed = committer.take_committed()
        before = {partition: entry.offset for partition, entry in committed.items() if partition.topic in self._topics}
        if before:
            self._under_way = admin.begin_delete_records(before)

    def _is_over(self) -> bool:
        """Whether the last one is, however it ended."""
        if self._under_way is None:
            return True
        if not self._under_way.done():
            return False
        try:
            self._under_way.result()
        except ClientError as error:
            log.warning("repartition topics are not purged: %s", error)
        self._under_way = None
        return True

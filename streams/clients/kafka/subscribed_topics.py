"""The topics that a member of a group reads: those it names, and those of the cluster that match.

Rules: who matches topics asks for all there are, and looks whenever the client has heard of the cluster anew
(`metadata_max_age_ms` at the latest) and before every join, so that all members join with the same topics and the group
assigns once. A named topic that is missing is waited for; one that only matched is gone.
Source: Kafka's ConsumerCoordinator (maybeUpdateSubscriptionMetadata, updatePatternSubscription).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from aiokafka.client import AIOKafkaClient

from streams.clients.base import Matches
from streams.clients.kafka.cluster_client import ask_for_all_topics
from streams.clients.kafka.coordinator import RETRY_S
from streams.clients.kafka.network import Outage

TOPIC_WAIT_S = 10.0
"""How long a leader asks again for a topic that the brokers do not know, or not yet, before it divides without it."""


class SubscribedTopics:
    """See the module. On the network loop."""

    def __init__(self, client: AIOKafkaClient, outage: Outage) -> None:
        self.now: tuple[str, ...] = ()
        """Those named, and those that match by what the client knows."""
        self._named: frozenset[str] = frozenset()
        self._matches: Matches | None = None
        self._client = client
        self._outage = outage
        self._gone: frozenset[str] = frozenset()
        """Topics that were waited for in vain."""

    async def subscribe(self, named: Iterable[str], matches: Matches | None, changed: Callable[[], None]) -> None:
        """Read these; `changed` is called whenever something was heard of the cluster."""
        self._named, self._matches = frozenset(named), matches
        if matches is not None:
            ask_for_all_topics(self._client)
        else:
            self._client.set_topics(set(self._named))
        await self._client.force_metadata_update()
        self._match()

        def heard(_cluster: Any) -> None:
            self._match()
            changed()

        self._client.cluster.add_listener(heard)

    async def refresh(self) -> None:
        """Look what matches now."""
        if self._matches is not None:
            await self._client.force_metadata_update()

    async def count(self, topics: set[str]) -> dict[str, int]:
        """The partition counts of the members' topics, as the leader.

        A broker that has just started, or just heard of a topic, answers with an error, and the topic counts nothing.
        """
        if self._matches is None:
            self._client.set_topics(topics | self._named)
        clock = asyncio.get_running_loop().time
        deadline = clock() + TOPIC_WAIT_S
        while True:
            await self._client.force_metadata_update()
            counts = self.counts(topics)
            unknown = frozenset(topic for topic in self._named if not counts.get(topic))
            if unknown <= self._gone or clock() >= deadline:
                self._gone = unknown
                return counts
            self._outage.failed(f"no partitions are known of {', '.join(sorted(unknown))}")
            await asyncio.sleep(RETRY_S)

    def counts(self, topics: Iterable[str]) -> dict[str, int]:
        """The partition counts of these as they are known, 0 for one that is not."""
        known = self._client.cluster.partitions_for_topic
        return {topic: len(known(topic) or ()) for topic in sorted(topics)}

    def counts_now(self) -> dict[str, int] | None:
        """Those of all topics of the group, as far as a member knows them that does not lead: only if it knows all topics."""
        return self.counts(self.now) if self._matches is not None else None

    def _match(self) -> None:
        found = filter(self._matches, self._client.cluster.topics()) if self._matches is not None else ()
        self.now = tuple(sorted(self._named.union(found)))

"""What comes out, read committed as it appears, and what is wrong with it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from streams.clients.base import Consumer
from streams.clients.raw_batch import RawBatch
from streams.record import TopicPartition
from streams.serdes import serde_for
from tests.chaos.application import COUNTS, ENRICHED, OUTPUTS, SHIPPED, SUMS
from tests.chaos.inputs import Totals

FEW = 5
_NUMBER = serde_for(int)


class Outputs:
    """All results so far. Under at-least-once results may come again; they must not be missing."""

    def __init__(self, consumer: Consumer, partitions: int, *, exactly_once: bool) -> None:
        self._consumer = consumer
        self._exactly_once = exactly_once
        self.problems: list[str] = []
        self.counts: Counter[str] = Counter()
        self.sums: dict[str, int] = {}
        self.enriched: dict[int, str] = {}
        self.shipped: dict[str, dict[str, Any]] = {}
        self._take = {COUNTS: self._count, SUMS: self._sum, ENRICHED: self._enrich, SHIPPED: self._ship}
        consumer.assign([TopicPartition(topic, number) for topic in OUTPUTS for number in range(partitions)])

    def read(self, timeout_s: float) -> int:
        """Take in what has appeared; the answer is how many records."""
        return sum(self._read(batch) for batch in self._consumer.poll(timeout_s))

    def missing(self, totals: Totals) -> list[str]:
        """How the results differ from the totals, a line per kind, with a few examples."""
        found: list[str] = []
        pairs = {COUNTS: (self.counts, totals.counts), SUMS: (self.sums, totals.sums)}
        pairs |= {ENRICHED: (self.enriched, totals.enriched), SHIPPED: (self.shipped, totals.shipped)}
        for topic, (seen, expected) in pairs.items():
            differing = [key for key in seen.keys() | expected.keys() if self._differs(topic, key, seen, expected)]
            if differing:
                examples = ", ".join(f"{key}: {seen.get(key)} not {expected.get(key)}" for key in differing[:FEW])
                found.append(f"{topic}: {len(differing)} of {len(expected)} differ ({examples})")
        return found

    def _differs(self, topic: str, key: Any, seen: Any, expected: Any) -> bool:
        if not self._exactly_once and topic in {COUNTS, SUMS}:
            return bool(seen.get(key, 0) < expected.get(key, 0))
        return bool(seen.get(key) != expected.get(key))

    def _read(self, batch: RawBatch) -> int:
        columns = batch.columns()
        take = self._take[batch.topic]
        for key, value in zip(columns.keys, columns.values, strict=True):
            assert key is not None
            if value is None:
                self._withdraw(batch.topic, key.decode())
            else:
                take(key.decode(), value)
        return len(columns)

    def _withdraw(self, topic: str, key: str) -> None:
        """A shipment whose product is not there yet has no row; nothing else is ever taken back."""
        if topic != SHIPPED:
            self.problems.append(f"{topic}: {key} is deleted")
        self.shipped.pop(key, None)

    def _count(self, key: str, value: bytes) -> None:
        number = _NUMBER.deserialize(value)
        if self._exactly_once and number != self.counts[key] + 1:
            self.problems.append(f"{COUNTS}: {key} goes from {self.counts[key]} to {number}")
        self.counts[key] = max(number, self.counts[key])

    def _sum(self, key: str, value: bytes) -> None:
        total = _NUMBER.deserialize(value)
        if self._exactly_once and total <= self.sums.get(key, 0):
            self.problems.append(f"{SUMS}: {key} goes from {self.sums[key]} to {total}")
        self.sums[key] = max(total, self.sums.get(key, 0))

    def _enrich(self, _key: str, value: bytes) -> None:
        order = json.loads(value)
        if self._exactly_once and order["id"] in self.enriched:
            self.problems.append(f"{ENRICHED}: order {order['id']} comes twice")
        self.enriched[order["id"]] = order["segment"]

    def _ship(self, key: str, value: bytes) -> None:
        self.shipped[key] = json.loads(value)

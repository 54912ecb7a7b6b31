"""What goes in, by seed, and the totals that must come out, computed in plain Python from the inputs alone."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import Any, NamedTuple

from streams.clients.base import Producer
from streams.clients.partitioner import partitions_for
from tests.chaos.application import CUSTOMERS, ORDERS, PRODUCTS, SHIPMENTS, WINDOW_MS

CUSTOMER_COUNT, PRODUCT_COUNT, SHIPMENT_COUNT = 40, 12, 60
HOUR_MS = 3_600_000
STEP_MS = 7


class Input(NamedTuple):
    """One record."""

    topic: str
    key: str
    value: dict[str, Any]
    timestamp: int


class Totals:
    """What all four results must be after these inputs."""

    def __init__(self, inputs: Iterable[Input] = ()) -> None:
        self.counts: Counter[str] = Counter()
        self.sums: Counter[str] = Counter()
        self.enriched: dict[int, str] = {}
        self._tables: dict[str, dict[str, dict[str, Any]]] = {CUSTOMERS: {}, PRODUCTS: {}, SHIPMENTS: {}}
        self.add(inputs)

    def add(self, inputs: Iterable[Input]) -> None:
        for each in inputs:
            if each.topic == ORDERS:
                self._add_order(each)
            else:
                self._tables[each.topic][each.key] = each.value

    @property
    def shipped(self) -> dict[str, dict[str, Any]]:
        products = self._tables[PRODUCTS]
        return {
            key: {"pieces": shipment["pieces"], "price": products[shipment["product"]]["price"]}
            for key, shipment in self._tables[SHIPMENTS].items()
            if shipment["product"] in products
        }

    def _add_order(self, order: Input) -> None:
        window = order.timestamp - order.timestamp % WINDOW_MS
        self.counts[order.key] += 1
        self.sums[f"{order.value['product']}@{window}"] += order.value["amount"]
        self.enriched[order.value["id"]] = self._tables[CUSTOMERS][order.key]["segment"]


class Inputs:
    """An endless supply. Customers come first and stay as they are, so that the join has one right answer.

    Times begin at the last full hour: a broker deletes from window changelogs what is older than their retention.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._first_ms = time.time_ns() // 1_000_000 // HOUR_MS * HOUR_MS
        self._made = 0

    def customers(self) -> list[Input]:
        return [
            Input(CUSTOMERS, f"c{number}", {"segment": f"s{number % 5}"}, self._first_ms - 1)
            for number in range(CUSTOMER_COUNT)
        ]

    def next(self, count: int) -> list[Input]:
        """So many orders, with changes of products and shipments among them."""
        made: list[Input] = []
        for _ in range(count):
            self._made += 1
            made.append(self._order())
            if self._made % 10 == 0:
                made.append(self._change())
        return made

    def _order(self) -> Input:
        draw = self._random.randrange
        value = {"id": self._made, "product": f"p{draw(PRODUCT_COUNT)}", "amount": draw(1, 100)}
        return Input(ORDERS, f"c{draw(CUSTOMER_COUNT)}", value, self._now())

    def _change(self) -> Input:
        draw = self._random.randrange
        if draw(4) == 0:
            return Input(PRODUCTS, f"p{draw(PRODUCT_COUNT)}", {"price": self._made}, self._now())
        value = {"product": f"p{draw(PRODUCT_COUNT)}", "pieces": self._made}
        return Input(SHIPMENTS, f"h{draw(SHIPMENT_COUNT)}", value, self._now())

    def _now(self) -> int:
        return self._first_ms + self._made * STEP_MS


def send(producer: Producer, inputs: Iterable[Input], partitions: int) -> None:
    """Write inputs in their order, a topic and partition at a time."""
    columns: dict[tuple[str, int], list[tuple[bytes, bytes, int]]] = {}
    for each in inputs:
        key = each.key.encode()
        target = each.topic, partitions_for([key], partitions)[0]
        columns.setdefault(target, []).append((key, json.dumps(each.value).encode(), each.timestamp))
    for (topic, partition), records in columns.items():
        keys, values, timestamps = zip(*records, strict=True)
        producer.send(topic, partition, keys, values, timestamps)
    producer.flush()

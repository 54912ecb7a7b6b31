"""Random requests over a small world of names, so that they meet each other: what every kind of request draws from."""

import random
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from broker.protocol.apis import ApiKey
from tests.broker.differential.requests import Request, Symbol

T = TypeVar("T")
BAD_NAMES = ("", ".", "..", "no/such", "ünïcode", "a" * 250, "with space")
INTERNAL = ("__consumer_offsets", "__transaction_state")
NODE = 1
WAIT_MS = 5_000


class Draw:
    """One episode's world: topics, groups and producers of its own, and one source of chance."""

    def __init__(self, seed: str, versions: dict[int, tuple[int, int]], salt: str = "e") -> None:
        self.random = random.Random(seed)
        self.versions = versions
        self.prefix = prefix = f"{salt}{seed.replace(':', '-')}-"
        self.topics = [f"{prefix}{letter}" for letter in "abc"]
        self.compacted = f"{prefix}compacted"
        self.missing = f"{prefix}missing"
        self.nobodys_group = f"{prefix}no-such-group"
        self.simple_group = f"{prefix}simple-group"
        self.groups = [f"{prefix}group-{number}" for number in range(3)]
        self.consumers = [f"{prefix}consumers-{number}" for number in range(2)]
        self.producers = [f"{prefix}producer-{number}" for number in range(3)]
        self.transactional = [f"{prefix}txn-{number}" for number in range(3)]
        self.now_ms = time.time_ns() // 1_000_000
        self.sequences: dict[tuple[str, str, int], int] = {}

    # ---- chance

    def one(self, *choices: T) -> T:
        return self.random.choice(choices)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def some(self, draw: Callable[[], T], low: int = 1, high: int = 2) -> list[T]:
        return [draw() for _ in range(self.random.randint(low, high))]

    def each(self, draw: Callable[[], T], low: int = 1, high: int = 2) -> list[T]:
        """Some, each of them once; now and then one twice, as no well-behaved client has it."""
        items = list(dict.fromkeys(self.some(draw, low, high)))
        if items and self.chance(0.1):
            items.append(self.random.choice(items))
        return items

    def often(self, usual: T, *unusual: T) -> T:
        """The usual, four times of five."""
        return usual if self.chance(0.8) or not unusual else self.random.choice(unusual)

    # ---- names

    def topic(self) -> str:
        """A topic's name, most often of one that exists."""
        share = self.random.random()
        if share < 0.85:
            return self.random.choice([*self.topics, self.compacted])
        return self.missing if share < 0.93 else self.random.choice((*BAD_NAMES, *INTERNAL))

    def topic_to_read(self) -> str:
        """A topic's name, of none that holds a coordinator's records: how many each broker writes is its own affair."""
        name = self.topic()
        return self.missing if name in INTERNAL else name

    def partition(self) -> int:
        return self.often(self.one(0, 1), 0, 2, 7, -1)

    def group(self) -> str:
        return self.often(self.random.choice(self.groups), "", self.nobodys_group, *self.consumers)

    def producer(self) -> str:
        return self.random.choice(self.producers)

    # ---- requests

    def request(self, api_key: ApiKey, values: dict[str, Any], **more: Any) -> Request:
        """A request of any version both brokers have, that has all of `low` or `high` if given."""
        low, high = self.versions[api_key]
        low, high = max(low, more.pop("low", low)), min(high, more.pop("high", high))
        version = high if self.chance(0.4) else self.random.randint(low, high)
        return Request(api_key, version, values, **more)

    def by_id(self, name: str) -> Symbol:
        return Symbol("topic", name)


Kind = Callable[[Draw], Request]


def kinds(*groups: Sequence[tuple[int, Kind]]) -> tuple[list[Kind], list[int]]:
    """Kinds and their weights."""
    pairs = [pair for group in groups for pair in group]
    return [kind for _, kind in pairs], [weight for weight, _ in pairs]

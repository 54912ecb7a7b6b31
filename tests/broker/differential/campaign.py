"""The same requests to Apache Kafka and to us, one after the other, answers compared as they come.

An episode has topics, groups and producers of its own and ends at its first difference, so that what follows from one is
not counted again. Kafka's controller tells its broker of changes a moment later, its coordinators end transactions and match
patterns behind the answer: where Kafka says "not yet", it is asked again; a difference counts when it lasts.
"""

import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from broker.protocol.apis import ApiKey
from tests.broker.differential.admin_requests import ADMIN, BROKER, BROKER_SETTINGS
from tests.broker.differential.comparison import Difference, View, differences
from tests.broker.differential.drawing import NODE, Draw, Kind, kinds
from tests.broker.differential.group_requests import GROUPS
from tests.broker.differential.known import known_difference
from tests.broker.differential.oddities import odd
from tests.broker.differential.record_requests import RECORDS
from tests.broker.differential.requests import Request
from tests.broker.differential.sides import Side
from tests.broker.differential.transaction_requests import TRANSACTIONS
from tests.broker.wire import Wire

EPISODE = 60
ANSWER_SECONDS = 8.0
HELD_SECONDS = 0.25
SETTLE_SECONDS = 0.2
RETRIES = 12
NOT_YET = frozenset((3, 5, 6, 14, 15, 16, 51, 100, 41, "PrepareCommit", "PrepareAbort"))
CHANGES = frozenset(
    (
        *(ApiKey.CREATE_TOPICS, ApiKey.DELETE_TOPICS, ApiKey.CREATE_PARTITIONS, ApiKey.ALTER_CONFIGS),
        *(ApiKey.INCREMENTAL_ALTER_CONFIGS, ApiKey.END_TXN, ApiKey.ALTER_CLIENT_QUOTAS, ApiKey.WRITE_TXN_MARKERS),
        ApiKey.ALTER_USER_SCRAM_CREDENTIALS,
    )
)
THEMES: tuple[tuple[list[tuple[int, Kind]], ...], ...] = ((RECORDS,), (GROUPS,), (RECORDS, TRANSACTIONS), (ADMIN,))


class Found(NamedTuple):
    """A request that was not answered alike, with what came before it."""

    request: Request
    differences: list[Difference]
    before: list[Request]
    seed: str

    @property
    def signature(self) -> str:
        """What it is about, without its values."""
        parts = (f"{path}: {_brief(ours)} / {_brief(theirs)}" for path, ours, theirs in self.differences[:4])
        return f"{self.request.api_key.name} {'; '.join(parts)}"


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 160 else f"{text[:160]}..."


class Campaign:
    """Two brokers by their ports. `salt` begins every name, so that a broker may be used again.

    `odd` is the share of requests in which something is changed that no well-behaved client would send.
    """

    def __init__(self, ours: int, theirs: int, salt: str = "e", *, odd: float = 0.0) -> None:
        self.ours, self.theirs = Side("ours", ours), Side("Apache Kafka", theirs)
        self.versions = common_versions(ours, theirs)
        self.kinds: Counter[tuple[ApiKey, int]] = Counter()
        self.sent = 0
        self.salt, self.prefix, self.odd = salt, "", odd
        self.parted = False  # by a known difference that has others in its train
        for port in (ours, theirs):
            wake_coordinators(port)

    def run(self, seed: int, count: int) -> Iterator[Found]:
        """Episodes until `count` requests are compared; yields what differs."""
        episode = 0
        while self.sent < count:
            found = self.episode(f"{seed}:{episode}", THEMES[episode % len(THEMES)])
            if found is not None:
                yield found
            episode += 1

    def episode(self, seed: str, theme: tuple[list[tuple[int, Kind]], ...]) -> Found | None:
        """One episode; what differed first, if anything did."""
        draw = Draw(seed, self.versions, self.salt)
        self.prefix = draw.prefix
        self.parted = False
        choices, weights = kinds(*theme)
        before: list[Request] = []
        try:
            for request in self._requests(draw, choices, weights):
                difference = self.compare(request)
                self.sent += 1
                self.kinds[request.api_key, request.version] += 1
                if difference:
                    return Found(request, difference, before, seed)
                if self.parted:
                    break
                before.append(request)
            return None
        finally:
            if ADMIN in theme:
                self._as_at_first()
            self.ours.forget()
            self.theirs.forget()

    def _as_at_first(self) -> None:
        """Give the brokers the settings again that they had before the episode."""
        for name in ("", str(NODE)):
            configs = [
                {"name": setting, "config_operation": 1, "value": None}
                for setting in {pair[0] for pair in BROKER_SETTINGS}
            ]
            resources = [{"resource_type": BROKER, "resource_name": name, "configs": configs}]
            request = Request(ApiKey.INCREMENTAL_ALTER_CONFIGS, 1, {"resources": resources, "validate_only": False})
            for side in (self.ours, self.theirs):
                side.forget()
                side.begin(request)
                side.answer(request.connection, ANSWER_SECONDS)
        time.sleep(SETTLE_SECONDS)

    def _requests(self, draw: Draw, choices: list[Kind], weights: list[int]) -> Iterator[Request]:
        yield opening(draw)
        oddities = random.Random(f"odd {draw.prefix}")
        for _ in range(EPISODE):
            request = draw.random.choices(choices, weights)[0](draw)
            if oddities.random() < self.odd:
                request = odd(request, oddities)
            if request.connection not in self.ours.held() | self.theirs.held():
                yield request

    def compare(self, request: Request) -> list[Difference]:
        """Send a request to both; where the answers differ, also of others that were held back until now."""
        found = self._late()
        for side in (self.ours, self.theirs):
            side.begin(request)
        found += self._answers(request)
        if request.api_key in CHANGES or request.values.get("subscribed_topic_regex"):
            time.sleep(SETTLE_SECONDS)
        return found + self._late()

    def _late(self) -> list[Difference]:
        """What is not alike in answers that have come since they were waited for."""
        found: list[Difference] = []
        for connection in sorted(self.ours.answers.keys() | self.theirs.answers.keys()):
            found += self._pair(Request(ApiKey.HEARTBEAT, 0, connection=connection), ANSWER_SECONDS)
        return found

    def _answers(self, request: Request) -> list[Difference]:
        mine, other = self._both(request.connection, HELD_SECONDS)
        for _ in range(RETRIES):
            found = self._unknown(request, mine, other)
            if not any(one.theirs in NOT_YET for one in found if one.path.endswith(("error_code", "_state"))):
                return found
            time.sleep(SETTLE_SECONDS / 2)
            self.theirs.begin(request)
            other = self.theirs.answer(request.connection, ANSWER_SECONDS)
        return found

    def _unknown(self, request: Request, mine: Any, other: Any) -> list[Difference]:
        found = [(one, known_difference(request, one)) for one in self._compared(mine, other)]
        self.parted = self.parted or any(known is not None and known.ends for _, known in found)
        return [one for one, known in found if known is None]

    def _pair(self, request: Request, seconds: float) -> list[Difference]:
        return self._compared(*self._both(request.connection, seconds))

    def _both(self, connection: str, seconds: float) -> tuple[Any, Any]:
        """Both answers; neither is a difference, one alone is if it stays so."""
        mine = self.ours.answer(connection, seconds)
        other = self.theirs.answer(connection, ANSWER_SECONDS if mine is not None else seconds)
        if mine is None and other is not None:
            mine = self.ours.answer(connection, ANSWER_SECONDS)
        return mine, other

    def _compared(self, mine: Any, other: Any) -> list[Difference]:
        if all(isinstance(answer, dict) and "unreadable" in answer for answer in (mine, other)):
            return []  # times below zero, which kio does not read, beside producer ids of each broker's own
        mine, other = self._of_the_episode(mine), self._of_the_episode(other)
        masked = View(self.ours.known).of(mine), View(self.theirs.known).of(other)
        return list(differences(*masked))

    def _of_the_episode(self, answer: Any) -> Any:
        """An answer without groups of episodes before, which live on as each ended."""
        if not isinstance(answer, dict) or not all("group_id" in item for item in answer.get("groups", ({},))):
            return answer
        return {**answer, "groups": [item for item in answer["groups"] if item["group_id"].startswith(self.prefix)]}


def opening(draw: Draw) -> Request:
    """The topics of an episode."""
    topics = [{"name": name, "num_partitions": 2, "replication_factor": 1, "configs": []} for name in draw.topics]
    compacted = {"name": draw.compacted, "num_partitions": 2, "replication_factor": 1}
    compacted["configs"] = [{"name": "cleanup.policy", "value": "compact"}]
    return Request(ApiKey.CREATE_TOPICS, 7, {"topics": [*topics, compacted], "timeout": 5_000})


def wake_coordinators(port: int) -> None:
    """Kafka makes the topics of its coordinators when it is first asked who they are."""
    wire = Wire(port)
    for key_type in (0, 1):
        while wire.call(ApiKey.FIND_COORDINATOR, 3, key="nobody", key_type=key_type).error_code:
            time.sleep(SETTLE_SECONDS)
    for group in map(str, range(40)):  # enough names to meet every partition
        while any(item.error_code in NOT_YET for item in wire.call(ApiKey.DESCRIBE_GROUPS, 5, groups=[group]).groups):
            time.sleep(SETTLE_SECONDS)
    wire.socket.close()


def common_versions(*ports: int) -> dict[int, tuple[int, int]]:
    """The versions of each API that all brokers advertise."""
    found: list[dict[int, tuple[int, int]]] = []
    for port in ports:
        wire = Wire(port)
        answer = wire.call(ApiKey.API_VERSIONS, 3, client_software_name="differential", client_software_version="1")
        wire.socket.close()
        found.append({int(item.api_key): (int(item.min_version), int(item.max_version)) for item in answer.api_keys})
    first, *others = found
    return {
        key: (max(low, *(o[key][0] for o in others)), min(high, *(o[key][1] for o in others)))
        for key, (low, high) in first.items()
        if all(key in other for other in others)
    }

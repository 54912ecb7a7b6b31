"""A connection to an application's broker, for programs that fill its topics, read them, or watch its progress.

Rules: everything is told by topic and type, nothing by partition and byte. The clients behind it are made when they are
first needed. Knows nothing of the App: who makes one says which topics it may have to create.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any, NamedTuple

from streams.asking import Question
from streams.clients.base import Admin, Clients, Consumer, NewTopic
from streams.config import StreamsConfig
from streams.dsl.options import Field, Topic
from streams.durations import Duration, milliseconds
from streams.reading import Point, Records
from streams.record import TopicPartition
from streams.serdes import serde_for
from streams.writing import Writer


class TopicInfo(NamedTuple):
    """A topic on the broker; `records` counts offsets, so records that compaction removed count, too."""

    name: str
    partitions: int
    records: int


@contextmanager
def connected(
    config: StreamsConfig, declared: Mapping[str, Topic] | None = None, new: Sequence[NewTopic] = ()
) -> Iterator[Connection]:
    """A connection to the configured broker; an embedded one is found or started, topics `new` made where missing."""
    from streams.clients.kafka import KafkaClients
    from streams.running import with_broker

    with ExitStack() as stack:
        config = with_broker(config, stack)
        clients = KafkaClients(config)
        stack.callback(clients.close)
        connection = Connection(clients, config, declared)
        if new:
            connection.create(new)
        yield connection


class Connection:
    """A connection to the broker of an application, to write, read and watch topics; made by `App.connect`."""

    def __init__(self, clients: Clients, config: StreamsConfig, declared: Mapping[str, Topic] | None = None) -> None:
        self.clients = clients
        self.config = config
        self._declared = declared or {}
        self._default = serde_for(config.default_value_serde)
        self._writer: Writer | None = None
        self._admin: Admin | None = None
        self._watchers: dict[str, Consumer] = {}
        self._partitions: dict[str, list[TopicPartition]] = {}

    def write(
        self,
        topic: Topic | str,
        rows: Any,
        *,
        key: Field | None = None,
        timestamp: Field | datetime | int | None = None,
        partition: int | None = None,
    ) -> int:
        """Write to a topic: `Record`s, (key, value) pairs, values with `key=`, a DataFrame, or a file (`read_csv`).

        `key` and `timestamp` are a field of the value, or a function of it; a datetime or ms is the time of all that have
        none of their own. Without `timestamp`, a record's own counts, then the topic's `timestamp=`, then now. All go to
        `partition` if one is named, else where their keys say.
        Shape: how many were written; they are acknowledged after `flush`.
        Raises: ProductionError for what the topic's types cannot hold.
        """
        return self._writing().write(self._known(topic), rows, key=key, timestamp=timestamp, partition=partition)

    def flush(self) -> None:
        """Wait until everything written is acknowledged. Raises: StreamsError for what was not."""
        self._writing().flush()

    def read(
        self,
        *topics: Topic | str,
        start: Point = "earliest",
        end: Point = "latest",
        last: int | None = None,
        follow: bool = False,
        partitions: Sequence[int] | None = None,
        offset: int | None = None,
    ) -> Records:
        """Records of topics: those between two places, the `last` of each partition or, with `follow`, without an end.

        `start` and `end` are "earliest", "latest", or times (without a zone: UTC). `partitions` are all unless some are
        named; `offset` begins there in each of them, instead of at `start`.

        Raises: ConfigError for a topic that is not there, DeserializationError while reading.
        """
        known = [self._known(topic) for topic in topics]
        return Records(
            self.clients,
            known,
            self._default,
            start=start,
            end=end,
            last=last,
            follow=follow,
            partitions=partitions,
            offset=offset,
        )

    def ask(
        self, topic: Topic | str, value: Any, *, reply: Topic | str, key: Any = None, timeout: Duration = "30 s"
    ) -> Any:
        """Write a value to a topic, and wait for what the application writes to `reply` because of it: that value.

        Raises: ConfigError when there is no such topic; StreamsError when nothing comes within `timeout`.
        """
        question = Question(key, value)
        timeout_s = milliseconds(timeout, "timeout") / 1000
        with self.read(reply, start="latest", follow=True) as replies:
            self.write(topic, [question.record])
            self.flush()
            return question.answer(replies, timeout_s)

    def partition_of(self, topic: Topic | str, key: Any) -> int:
        """The partition that records with this key go to."""
        return self._writing().partition_of(self._known(topic), key)

    def create(self, topics: Iterable[NewTopic]) -> None:
        """Make topics; those that exist stay as they are."""
        wanted = list(topics)
        missing = {topic.name for topic in wanted}.difference(self.admin.describe(topic.name for topic in wanted))
        self.admin.create(topic for topic in wanted if topic.name in missing)

    def topics(self) -> list[TopicInfo]:
        """All topics of the broker, by name."""
        descriptions = self.admin.describe(self.admin.topics())
        partitions = {
            name: [TopicPartition(name, number) for number in range(each.partitions)]
            for name, each in sorted(descriptions.items())
        }
        every = [partition for those in partitions.values() for partition in those]
        consumer = self.clients.consumer(group=None)
        try:
            begins, ends = consumer.beginning_offsets(every), consumer.end_offsets(every)
        finally:
            consumer.close()
        return [
            TopicInfo(name, len(those), sum(ends[each] - begins[each] for each in those))
            for name, those in partitions.items()
        ]

    def lag(self, group: str, topics: Iterable[str]) -> dict[TopicPartition, int] | None:
        """How many records of each partition a group has not committed yet; None if the topics do not exist."""
        names = set(topics)
        for name, found in self.admin.describe(names - self._partitions.keys()).items():
            self._partitions[name] = [TopicPartition(name, number) for number in range(found.partitions)]
        if not self._partitions.keys() >= names:
            return None
        return self.lag_of(group, [partition for name in names for partition in self._partitions[name]])

    def committed(self, group: str, topics: Iterable[str]) -> dict[TopicPartition, int]:
        """What a group has committed of these topics; partitions without an offset are absent."""
        counts = self.admin.describe(topics)
        partitions = [TopicPartition(name, number) for name in counts for number in range(counts[name].partitions)]
        return {each: entry.offset for each, entry in self._watcher(group).committed(partitions).items()}

    def _watcher(self, group: str) -> Consumer:
        return self._watchers.get(group) or self._watchers.setdefault(group, self.clients.consumer(group=group))

    def lag_of(self, group: str, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The same for partitions that exist."""
        consumer = self._watcher(group)
        # Commits first: what they wrote to topics in between is then counted by the ends, never missed. A transaction is
        # decided in one partition after the other, so what it wrote counts before it can be read.
        committed = consumer.committed(partitions)
        begins, ends = consumer.beginning_offsets(partitions), consumer.high_watermarks(partitions)
        done = {each: committed[each].offset if each in committed else begins[each] for each in partitions}
        return {each: max(0, ends[each] - max(done[each], begins[each])) for each in partitions}

    @property
    def admin(self) -> Admin:
        """The admin client behind it."""
        if self._admin is None:
            self._admin = self.clients.admin()
        return self._admin

    def _writing(self) -> Writer:
        if self._writer is None:
            self._writer = Writer(self.clients.producer(), self._default)
        return self._writer

    def _known(self, topic: Topic | str) -> Topic:
        return self._declared.get(topic) or Topic.of(topic) if isinstance(topic, str) else topic

"""Topics and groups from the command line: what there is, and JSON lines into topics.

Rules: everything is found out through a Connection; what is returned is rows, which the command prints as a table or as
JSON. Nothing is kept in memory while lines are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any
from uuid import UUID

import msgspec

from state.serde import Serde, serializer
from streams.clients.kafka.admin import KafkaAdmin
from streams.clients.kafka.groups import GroupInfo, KafkaGroups
from streams.connect.record_lines import bytes_of, headers_of
from streams.connection import Connection
from streams.dsl.options import Topic
from streams.errors import ConfigError, ProductionError, shown
from streams.reading import described
from streams.record import NO_TIMESTAMP, Headers, Record, TopicPartition, Windowed
from streams.serdes import Float32, Int16, Int32
from streams.serdes.registered import RegisteredSerde
from streams.settings import nearest
from streams.topology.topology import Topology

CHUNK = 1000
DEAD = "Dead"
"""The state of a group that there is not, as Kafka tells it."""

Row = dict[str, Any]

_PLAIN = (str, bool, int, float, object, Any, Int16, Int32, Float32, Windowed)
"""Types whose serdes take what JSON gives, or have no JSON."""

BYTE_ORDER_MARK = "\ufeff"
"""With which some programs begin their files of UTF-8."""

PLACE = ("topic", "partition", "offset")
"""What `streams consume` adds to a line, and a copy of a topic does not need."""
_RECORD = {"key", "value", "timestamp", "headers", *PLACE}


def topic_rows(connection: Connection) -> list[Row]:
    """Every topic with its partitions and records."""
    return [topic._asdict() for topic in connection.topics()]


def partition_rows(connection: Connection, topic: str) -> list[Row]:
    """The partitions of a topic with their first and last offsets. Raises: ConfigError when there is none."""
    found = described(connection.admin, [topic])[topic]
    partitions = [TopicPartition(topic, number) for number in range(found.partitions)]
    consumer = connection.clients.consumer(group=None)
    begins, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
    consumer.close()
    return [{"partition": each.partition, "begin": begins[each], "end": ends[each]} for each in partitions]


def group_rows(connection: Connection) -> list[Row]:
    """Every group with its state, its members and its lag over all partitions that it committed, or reads."""
    groups = groups_of(connection)
    rows = []
    for name in groups.names():
        info = groups.describe(name)
        lag = sum(row["lag"] for row in (*lag_rows(connection, name), *unread_rows(connection, info)))
        rows.append({"group": name, "state": info.state, "members": len(info.members), "lag": lag})
    return rows


def lag_rows(connection: Connection, group: str) -> list[Row]:
    """The partitions that a group committed: where it is, where they end, and what is between."""
    every = connection.admin.describe(connection.admin.topics())
    partitions = [TopicPartition(name, number) for name in every for number in range(every[name].partitions)]
    consumer = connection.clients.consumer(group=group)
    try:
        committed = consumer.committed(partitions)
        ends = consumer.end_offsets(committed) if committed else {}
    finally:
        consumer.close()
    return [
        {
            "topic": each.topic,
            "partition": each.partition,
            "committed": committed[each].offset,
            "end": ends[each],
            "lag": max(0, ends[each] - committed[each].offset),
        }
        for each in sorted(committed)
    ]


def unread_rows(connection: Connection, group: GroupInfo) -> list[Row]:
    """The partitions that members of a group read and have committed nothing of: all that is there lies before them."""
    consumer = connection.clients.consumer(group=group.name)
    try:
        fresh = sorted(group.assigned - consumer.committed(group.assigned).keys())
        begins, ends = consumer.beginning_offsets(fresh), consumer.end_offsets(fresh)
    finally:
        consumer.close()
    return [
        {
            "topic": each.topic,
            "partition": each.partition,
            "committed": None,
            "end": ends[each],
            "lag": ends[each] - begins[each],
        }
        for each in fresh
    ]


def groups_of(connection: Connection) -> KafkaGroups:
    """The groups of a connection's brokers."""
    admin = connection.admin
    assert isinstance(admin, KafkaAdmin), "groups are administered on real brokers only"
    return KafkaGroups(admin)


def table(rows: list[Row], nothing: str) -> Iterator[str]:
    """Rows as aligned lines under their names, numbers to the right; `nothing` when there are none."""
    if not rows:
        yield nothing
        return
    columns = list(rows[0])
    cells = [[_cell(row[name]) for name in columns] for row in rows]
    widths = [max(len(name), *(len(row[at]) for row in cells)) for at, name in enumerate(columns)]
    right = [any(isinstance(row[name], int) for row in rows) for name in columns]
    for line in (columns, *cells):
        aligned = (
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, right, strict=True)
        )
        yield "  ".join(aligned).rstrip()


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


@dataclass(frozen=True, slots=True)
class LineForm:
    """How lines are records: JSON, or with a `delimiter` key and value; what every record gets besides.

    Bytes are text, or {"bytes": HEX} as `streams consume` prints them.
    """

    fixed_key: str | None = None
    delimiter: str | None = None
    headers: Headers = ()
    empty_is_null: bool = False

    def of_line(self, line: str) -> str:
        """What a line says, nothing for an empty one: blanks about JSON say nothing, those of keys and values do."""
        line = line.removeprefix(BYTE_ORDER_MARK)
        return line.rstrip("\r\n") if self.delimiter is not None and self.delimiter in line else line.strip()

    def record(self, line: str, number: int, topic: Topic) -> Record:
        """A line as a record of JSON's types; keys and values that are text stay text. Raises: ConfigError."""
        _expect_utf8(line, number)
        if self.delimiter is not None:
            key, found, text = line.partition(self.delimiter)
            if not found:
                raise ConfigError(f"line {number}: expected a key, {self.delimiter!r} and a value, got {shown(line)}")
            value = None if not text and self.empty_is_null else _parsed_as(text, topic.value_serde)
            record = Record(_parsed_as(key, topic.key_serde), value)
        else:
            record = _record(line, number)
        if self.fixed_key is not None:
            record = replace(record, key=_parsed_as(self.fixed_key, topic.key_serde))
        return replace(record, headers=(*record.headers, *self.headers)) if self.headers else record


JSON_LINES = LineForm()


def told_if_new(connection: Connection, topic: str, program: Topology | None) -> str:
    """The end of a sentence about a topic that the broker makes with its first record, and the program does not know."""
    of_app = (*program.user_topics, *program.sink_topics) if program else ()
    if topic in of_app or topic in connection.admin.describe([topic]):
        return ""
    return f"; {topic} is a new topic{nearest(topic, {*of_app, *connection.admin.topics()})}"


def write_lines(
    connection: Connection,
    topic: Topic,
    lines: Iterable[str],
    form: LineForm = JSON_LINES,
    partition: int | None = None,
) -> int:
    """Write lines to a topic. Shape: how many. Raises: ConfigError that names the line."""
    written = 0
    for chunk, records in _chunks(lines, topic, form):
        try:
            written += connection.write(topic, records, partition=partition)
        except ProductionError:
            raise _wrong_line(connection, topic, chunk, records) from None
    connection.flush()
    return written


def check_lines(connection: Connection, topic: Topic, lines: Iterable[str], form: LineForm) -> None:
    """See that every line can be written. Raises: ConfigError that names the one that cannot."""
    for chunk, records in _chunks(lines, topic, form):
        try:
            for serde, column in (
                (topic.key_serde, [record.key for record in records if record.key is not None]),
                (topic.value_serde, [record.value for record in records if record.value is not None]),
            ):
                if serde is not None:
                    serializer(serde)(column)
        except (TypeError, ValueError):
            raise _wrong_line(connection, topic, chunk, records) from None


Numbered = list[tuple[int, str]]


def _chunks(lines: Iterable[str], topic: Topic, form: LineForm) -> Iterator[tuple[Numbered, list[Record]]]:
    """Lines with their numbers, and what they say, some at a time."""
    numbered = ((number, line) for number, line in enumerate(map(form.of_line, lines), 1) if line)
    while chunk := list(islice(numbered, CHUNK)):
        yield chunk, [_of_types(form.record(line, number, topic), number, topic) for number, line in chunk]


def _wrong_line(connection: Connection, topic: Topic, chunk: Numbered, records: list[Record]) -> ConfigError:
    """Which line of a chunk it was; none of the chunk was written."""
    for (number, _), record in zip(chunk, records, strict=True):
        for serde, part in ((topic.key_serde, record.key), (topic.value_serde, record.value)):
            try:
                if serde is not None and part is not None:
                    serde.serialize(part)
            except (TypeError, ValueError) as problem:
                return ConfigError(f"line {number}: {problem}; --key and --value choose other types")
    raise AssertionError(f"no line for {topic.name} fails by itself on {connection.config.broker}")


def _of_types(record: Record, number: int, topic: Topic) -> Record:
    """A record of JSON's types as one of the topic's, where those have fields. Raises: ConfigError."""
    return replace(
        record,
        key=_of_type(record.key, topic.key_serde, number),
        value=_of_type(record.value, topic.value_serde, number),
    )


def _of_type(value: Any, serde: Serde[Any] | None, number: int) -> Any:
    kind = getattr(serde, "type", object)
    if serde is None or value is None or kind in _PLAIN:
        return value
    try:
        if kind is bytes:
            return bytes_of(value)
        if kind is UUID:
            return msgspec.convert(value, UUID)
        if isinstance(serde, RegisteredSerde):
            return serde.from_plain(value)
        return serde.deserialize(msgspec.json.encode(value))
    except ValueError as problem:
        raise ConfigError(f"line {number}: {problem}; --key and --value choose other types") from None


def _parsed_as(text: str, serde: Serde[Any] | None) -> Any:
    """Text as what JSON says, or as itself; types of text are that, and bytes unless it tells their hex."""
    kind = getattr(serde, "type", None)
    if kind in (str, UUID):
        return text
    parsed = _parsed(text)
    return text if kind is bytes and not isinstance(parsed, dict) else parsed


def _parsed(text: str) -> Any:
    """JSON as what it says, anything else as the text itself."""
    try:
        return msgspec.json.decode(text)
    except ValueError:
        return text


def _expect_utf8(line: str, number: int) -> None:
    """Bytes that are no UTF-8 came as lone surrogates. Raises: ConfigError."""
    try:
        line.encode()
    except UnicodeEncodeError as problem:
        raise ConfigError(
            f"line {number}: its character {problem.start + 1} is not UTF-8: convert the lines to UTF-8, or write bytes as "
            '{"bytes": HEX}'
        ) from None


def _record(line: str, number: int) -> Record:
    """A line as a record; one that is no such object is the value itself."""
    parsed = _parsed(line)
    if not isinstance(parsed, dict) or "value" not in parsed or parsed.keys() - _RECORD:
        return Record(None, parsed)
    timestamp = parsed.get("timestamp", NO_TIMESTAMP)
    if not isinstance(timestamp, int) or timestamp < NO_TIMESTAMP:
        raise ConfigError(f"line {number}: expected a timestamp in ms since 1970, got {shown(timestamp)}")
    try:
        headers = headers_of(parsed.get("headers"))
    except ValueError as problem:
        raise ConfigError(f"line {number}: {problem}") from None
    return Record(parsed.get("key"), parsed["value"], timestamp, headers=headers)

"""Topics from the command line: list them, print them as JSON lines, write them from JSON lines.

Rules: nothing is kept in memory; reading ends at the end that the topic had when reading began, unless it follows.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec

from streams.clients.base import Clients, Consumer, RawBatch
from streams.clients.partitioner import partitions_for
from streams.config import StreamsConfig
from streams.errors import ConfigError, shown
from streams.record import TopicPartition
from streams.running import with_broker
from streams.serdes import serde_for

POLL_S = 0.5
CHUNK = 1000


@contextmanager
def connected(config: StreamsConfig) -> Iterator[Clients]:
    """Clients of the configured broker; an embedded one is found or started."""
    from streams.clients.kafka import KafkaClients

    with ExitStack() as stack:
        clients = KafkaClients(with_broker(config, stack))
        stack.callback(clients.close)
        yield clients


def list_topics(clients: Any) -> Iterator[str]:
    """Shape: "name  partitions  records" per topic, aligned."""
    descriptions = clients.admin().describe(clients.admin().topics())
    consumer = clients.consumer(group=None)
    width = max(map(len, descriptions), default=5)
    yield f"{'topic':{width}}  partitions  records"
    for name, description in sorted(descriptions.items()):
        partitions = [TopicPartition(name, number) for number in range(description.partitions)]
        ends, starts = consumer.end_offsets(partitions), consumer.beginning_offsets(partitions)
        records = sum(ends[each] - starts[each] for each in partitions)
        yield f"{name:{width}}  {len(partitions):>10}  {records:>7,}"


def read_lines(clients: Clients, topic: str, *, key: str, value: str, count: int, follow: bool) -> Iterator[str]:
    """The records of a topic as JSON lines, partition by partition as they arrive."""
    consumer = clients.consumer(group=None)
    ends = _assigned(clients, consumer, topic)
    show = _shower(key, value)
    given = 0
    while follow or any(consumer.position(partition) < end for partition, end in ends.items()):
        for batch in consumer.poll(POLL_S):
            for line in show(batch, None if follow else ends[TopicPartition(batch.topic, batch.partition)]):
                yield line
                given += 1
                if given == count:
                    return


def _assigned(clients: Clients, consumer: Consumer, topic: str) -> dict[TopicPartition, int]:
    """Read all partitions from their beginning. Shape: the end of each."""
    description = clients.admin().describe([topic]).get(topic)
    if description is None:
        raise ConfigError(f"there is no topic {topic!r} on this broker; `streams topics` lists them")
    partitions = [TopicPartition(topic, number) for number in range(description.partitions)]
    consumer.assign(partitions)
    for partition, start in consumer.beginning_offsets(partitions).items():
        consumer.seek(partition, start)
    return consumer.end_offsets(partitions)


def _shower(key: str, value: str) -> Callable[[RawBatch, int | None], Iterator[str]]:
    read_key, read_value = _reader(key), _reader(value)

    def show(batch: RawBatch, end: int | None) -> Iterator[str]:
        columns = batch.columns()
        for index, offset in enumerate(columns.offsets or ()):
            if end is not None and offset >= end:
                return
            record = columns.record(index)
            line: dict[str, Any] = {
                "topic": batch.topic,
                "partition": batch.partition,
                "offset": offset,
                "timestamp": record.timestamp,
                "key": read_key(record.key),
                "value": read_value(record.value),
            }
            if record.headers:
                line["headers"] = {name: auto(data) for name, data in record.headers}
            yield json.dumps(line, ensure_ascii=False, default=str) + "\n"

    return show


def _reader(kind: str) -> Callable[[bytes | None], Any]:
    if kind == "auto":
        return auto
    deserialize = serde_for(kind).deserialize
    return lambda data: None if data is None else _printable(deserialize(data))


def auto(data: bytes | None) -> Any:
    """Bytes as a person would read them: JSON, else text, else an 8-byte number, else hex."""
    if data is None:
        return None
    try:
        return msgspec.json.decode(data)
    except ValueError:
        pass
    try:
        text = data.decode()
        if text.isprintable():
            return text
    except ValueError:
        pass
    return int.from_bytes(data, "big", signed=True) if len(data) == 8 else data.hex()


def _printable(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def write_lines(clients: Clients, topic: str, lines: Iterable[str], *, key: str, value: str) -> int:
    """Write JSON lines, partitioned by their keys' bytes as Kafka does. Shape: how many were written."""
    producer = clients.producer()
    partitions = producer.partition_count(topic)
    write_key, write_value = serde_for(key).serialize, serde_for(value).serialize
    written = 0
    chunk: dict[int, list[tuple[bytes | None, bytes | None, int]]] = {}

    def send() -> None:
        for partition, records in chunk.items():
            keys, values, timestamps = zip(*records, strict=True)
            producer.send(topic, partition, keys, values, timestamps)
        chunk.clear()

    for number, line in enumerate(filter(str.strip, lines), 1):
        record = _record(line.strip(), number)
        try:
            key_data = None if record["key"] is None else write_key(record["key"])
            value_data = None if record["value"] is None else write_value(record["value"])
        except (TypeError, ValueError) as problem:
            raise ConfigError(f"line {number}: {problem}; --key and --value choose other types") from None
        partition = (number - 1) % partitions if key_data is None else partitions_for([key_data], partitions)[0]
        chunk.setdefault(partition, []).append((key_data, value_data, record["timestamp"]))
        written = number
        if number % CHUNK == 0:
            send()
    send()
    producer.flush()
    return written


def _record(line: str, number: int) -> dict[str, Any]:
    """A line as key, value and timestamp; a line that is no such object is the value itself."""
    now_ms = time.time_ns() // 1_000_000
    try:
        parsed = msgspec.json.decode(line)
    except ValueError:
        parsed = line
    if not isinstance(parsed, dict) or "value" not in parsed or parsed.keys() - {"key", "value", "timestamp"}:
        return {"key": None, "value": parsed, "timestamp": now_ms}
    timestamp = parsed.get("timestamp", now_ms)
    if not isinstance(timestamp, int):
        raise ConfigError(f"line {number}: expected a timestamp in ms, got {shown(timestamp)}")
    return {"key": parsed.get("key"), "value": parsed["value"], "timestamp": timestamp}

"""`streams bench`: how many records a second go through a broker and its clients on this machine.

Rules: it uses a topic of its own, which is deleted in the end, whatever happens. Times are those of a clock on the wall, so
whatever else the machine does counts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any
from uuid import uuid4

import typer

from streams.cli.target import BrokerOption, JsonOption, app_of, connection_of
from streams.clients.base import NewTopic
from streams.connection import Connection
from streams.record import TopicPartition

CHUNK = 1_000


def bench(
    *,
    records: Annotated[int, typer.Option(min=1, help="How many records to write and read.")] = 200_000,
    size: Annotated[int, typer.Option(min=0, help="Bytes of each value.")] = 100,
    partitions: Annotated[int, typer.Option(min=1, help="Partitions of the topic.")] = 4,
    broker: BrokerOption = None,
    json: JsonOption = False,
) -> None:
    """Measure a broker from here: write records (acknowledged), read them, delete them.

    The figures are those of one client in one process. To measure whole applications, use `make bench` in a checkout.
    """
    from streams.cli.topic_commands import show

    with connection_of(app_of(None, broker), broker) as connection, _topic(connection, partitions) as topic:
        rows = [
            _row("write", records, size, _timed(lambda: _write(connection, topic, partitions, records, size))),
            _row("read", records, size, _timed(lambda: _read(connection, topic, partitions, records))),
        ]
    show(rows, json=json, nothing="")


@contextmanager
def _topic(connection: Connection, partitions: int) -> Iterator[str]:
    name = f"streams-bench-{uuid4().hex[:12]}"
    connection.create([NewTopic(name, partitions)])
    try:
        yield name
    finally:
        connection.admin.delete([name])


def _write(connection: Connection, topic: str, partitions: int, records: int, size: int) -> None:
    producer = connection.clients.producer()
    value, now_ms = os.urandom(size), time.time_ns() // 1_000_000
    try:
        for start in range(0, records, CHUNK):
            count = min(CHUNK, records - start)
            keys: list[bytes | None] = [b"%d" % number for number in range(start, start + count)]
            producer.send(topic, start // CHUNK % partitions, keys, [value] * count, [now_ms] * count, None)
        producer.flush()
    finally:
        producer.close()


def _read(connection: Connection, topic: str, partitions: int, records: int) -> None:
    consumer = connection.clients.consumer(group=None)
    try:
        every = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(every)
        for partition in every:
            consumer.seek(partition, 0)
        seen = 0
        while seen < records:
            seen += sum(len(batch.columns().keys) for batch in consumer.poll(1.0))
    finally:
        consumer.close()


def _timed(run: Any) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def _row(what: str, records: int, size: int, seconds: float) -> dict[str, Any]:
    return {
        "what": what,
        "records": records,
        "seconds": round(seconds, 3),
        "records/s": round(records / seconds),
        "MB/s": round(records * size / seconds / 1e6, 1),
    }

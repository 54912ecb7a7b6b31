"""The two brokers, each durable or relaxed, as processes watched from outside.

Durable means that an acknowledged record is on the disk: group commit here, a sync for every append there. Relaxed leaves
that to the operating system on both sides.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Watched, broker
from tests.apache_kafka.libraries import FAST
from tests.apache_kafka.node import ApacheKafka

OURS, KAFKA = "headrace", "kafka"
DURABLE, RELAXED = "durable", "relaxed"
MODES = {
    (OURS, DURABLE): {"log.flush": "group-commit"},
    (OURS, RELAXED): {"log.flush": "os"},
    (KAFKA, DURABLE): {"log.flush.interval.messages": "1"},
    (KAFKA, RELAXED): {},
}


@dataclass(frozen=True)
class Served:
    """A broker that answers, with the seconds from its start to its first answer."""

    watched: Watched
    address: str
    ready_seconds: float
    data: Path


@contextmanager
def serving(side: str, mode: str, folder: Path, settings: Mapping[str, str]) -> Iterator[Served]:
    """A broker on the data in `folder`, for the time of the block. Raises: BenchmarkError, KafkaMissingError."""
    values = {**MODES[side, mode], **settings}
    folder.mkdir(parents=True, exist_ok=True)
    os.sync()  # what runs before this one left to be written
    if side == OURS:
        begun = time.monotonic()
        with broker(folder, values) as (watched, address):
            yield Served(watched, address, time.monotonic() - begun, folder / "broker")
        return
    kafka = ApacheKafka(folder, values, FAST)
    kafka.format()
    begun = time.monotonic()
    try:
        kafka.start()
        assert kafka.process is not None
        ready = time.monotonic() - begun
        yield Served(Watched(kafka.process, folder / "kafka.log"), kafka.address, ready, folder / "data")
    finally:
        kafka.stop()

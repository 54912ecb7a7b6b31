"""Apache Kafka as the broker of a run: one node with a server's Java options, watched as the bundled broker is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.processes import BenchmarkError, Watched
from tests.apache_kafka.libraries import FAST, KafkaMissingError
from tests.apache_kafka.node import ApacheKafka


@contextmanager
def apache_kafka(folder: Path) -> Iterator[tuple[Watched, str]]:
    """The broker for the time of the block, and its address. Raises: BenchmarkError when it does not start."""
    kafka = ApacheKafka(folder / "kafka", options=FAST)
    try:
        kafka.start()
    except (KafkaMissingError, RuntimeError) as error:
        raise BenchmarkError(str(error)) from error
    assert kafka.process is not None, "started"
    try:
        yield Watched(kafka.process, kafka.folder / "kafka.log"), kafka.address
    finally:
        kafka.stop()

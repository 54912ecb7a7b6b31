"""Logs in a directory of their own, and batches as clients send them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from broker.log.config import LogConfig
from broker.log.directory import LogDirectory
from broker.log.partition_log import PartitionLog
from broker.protocol.compression import Codec
from broker.protocol.record_batch import TRANSACTIONAL_BIT, headers_in
from broker.protocol.records import Record, build_batch, records_in

TOPIC_ID = UUID(int=7)
NOW_MS = 1_700_000_000_000


def batch(
    *values: str,
    key: str | None = "k",
    timestamp: int = NOW_MS,
    producer: tuple[int, int, int] = (-1, -1, -1),
    transactional: bool = False,
    codec: Codec = Codec.NONE,
) -> bytes:
    """A client's batch; `producer` is (id, epoch, first sequence)."""
    name = None if key is None else key.encode()
    return build_batch(
        [Record(offset, timestamp, name, value.encode()) for offset, value in enumerate(values)],
        codec=codec,
        producer_id=producer[0],
        producer_epoch=producer[1],
        base_sequence=producer[2],
        attributes=TRANSACTIONAL_BIT if transactional else 0,
    )


def values_from(log: PartitionLog, offset: int | None = None, *, committed: bool = False) -> list[str]:
    """Every value a consumer sees from an offset on, batch by batch, control batches and nothing else left out."""
    at = log.log_start_offset if offset is None else offset
    seen: list[str] = []
    while True:
        read = log.read(at, 300, committed=committed)
        if not read.records:
            return seen
        data = b"".join(read.records)
        seen += [(record.value or b"").decode() for record in records_in(data) if record.offset >= at]
        at = [header.last_offset + 1 for _, header in headers_in(data)][-1]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[LogDirectory]:
    """A data directory that is closed in the end."""
    opened = LogDirectory.open(tmp_path / "data", on_message=lambda text: None)
    yield opened
    opened.close()


@pytest.fixture
def make_log(directory: LogDirectory) -> Callable[..., PartitionLog]:
    """Makes partitions with settings by their snake_case names."""
    made: list[PartitionLog] = []

    def make(**settings: object) -> PartitionLog:
        made.append(directory.create("t", len(made), TOPIC_ID, LogConfig(**settings)))  # type: ignore[arg-type]
        return made[-1]

    return make

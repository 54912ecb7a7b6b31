"""Kafka's own DumpLogSegments reads our files without a complaint."""

import subprocess
from pathlib import Path

import pytest

from broker.log.config import LogConfig
from broker.log.directory import LogDirectory
from broker.protocol.compression import Codec
from broker.protocol.records import build_marker
from tests.apache_kafka.libraries import KafkaMissingError, java

from .conftest import NOW_MS, TOPIC_ID, batch

pytestmark = [pytest.mark.kafka, pytest.mark.tools]
COMPLAINTS = ("Mismatch", "mismatch", "Exception", "Invalid", "should", "isvalid: false")


def written(path: Path) -> Path:
    """Every codec, transactions committed and aborted, several segments, indexes and snapshots."""
    directory = LogDirectory.open(path, on_message=print)
    config = LogConfig(segment_bytes=3000, index_interval_bytes=200)
    log = directory.create("t", 0, TOPIC_ID, config)
    sequences = [0] * 4
    for number in range(60):
        producer, count = number % 4, 1 + number % 3
        log.append(
            batch(
                *(f"value {number}.{index}" for index in range(count)),
                timestamp=NOW_MS + number * 7 % 50,
                producer=(producer, 0, sequences[producer]),
                transactional=True,
                codec=list(Codec)[number % 5],
            ),
            now_ms=NOW_MS,
        )
        sequences[producer] += count
        if number % 7 == 6:
            marker = build_marker(producer, 0, commit=number % 2 == 0, coordinator_epoch=1, timestamp_ms=NOW_MS)
            log.append(marker, now_ms=NOW_MS, client=False)
    directory.close()
    return path / "t-0"


def test_every_file_is_read(tmp_path: Path) -> None:
    """Logs deeply, offset and time indexes, transaction indexes and producer snapshots."""
    folder = written(tmp_path)
    suffixes = {".log", ".index", ".timeindex", ".txnindex", ".snapshot"}
    files = sorted(str(file) for file in folder.iterdir() if file.suffix in suffixes)
    main = "org.apache.kafka.tools.DumpLogSegments"
    try:
        command = java(main, "--deep-iteration", "--print-data-log", "--files", ",".join(files))
    except KafkaMissingError as missing:
        pytest.skip(str(missing))
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    lines = outcome.stdout.splitlines() + outcome.stderr.splitlines()
    assert not [line for line in lines if any(complaint in line for complaint in COMPLAINTS)]
    assert sum("payload: value" in line for line in lines) == 120
    assert any("endTxnMarker: ABORT" in line for line in lines)

"""What is taken over from Apache Kafka's own metadata log."""

from pathlib import Path
from struct import pack

from broker.log.cluster_metadata import read_cluster_metadata
from broker.protocol.records import build_pairs


def text(value: str | None) -> bytes:
    return b"\0" if value is None else bytes([len(value) + 1]) + value.encode()


def config(topic: str, name: str, value: str | None) -> bytes:
    return b"\x01\x04\x00\x02" + text(topic) + text(name) + text(value) + b"\0"


def topic(name: str, identifier: bytes) -> bytes:
    return b"\x01\x02\x00" + text(name) + identifier + b"\0"


def written(directory: Path, *values: bytes) -> Path:
    folder = directory / "__cluster_metadata-0"
    folder.mkdir()
    batch = build_pairs([(None, value) for value in values], timestamp_ms=1)
    (folder / f"{0:020d}.log").write_bytes(batch)
    return directory


def test_settings(tmp_path) -> None:
    """Settings of topics are read, later ones over earlier ones, and go with their topic."""
    first, second = bytes([1] * 16), bytes([2] * 16)
    records = [topic("a", first), config("a", "retention.ms", "5"), config("a", "cleanup.policy", "compact")]
    records += [config("a", "retention.ms", None), topic("b", second), config("b", "retention.ms", "7")]
    written(tmp_path, *records, b"\x01\x09\x00" + second + b"\0")
    assert read_cluster_metadata(tmp_path).settings == {"a": {"cleanup.policy": "compact"}}


def test_producer_ids(tmp_path) -> None:
    """Producer ids go on behind those that were given out."""
    written(tmp_path, b"\x01\x0f\x00" + pack(">iqq", 1, 3, 4_000) + b"\0")
    assert read_cluster_metadata(tmp_path).next_producer_id == 4_000


def test_no_kafka_was_here(tmp_path) -> None:
    """Without such a log there is nothing to take over."""
    inherited = read_cluster_metadata(tmp_path)
    assert (inherited.settings, inherited.next_producer_id) == ({}, 0)

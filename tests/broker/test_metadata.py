"""The catalog of topics: durable, and never at odds with the partitions on disk."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker.config import BrokerConfig
from broker.errors import BrokerError, CorruptLog, DataDirectoryError, ErrorCode
from broker.log.config import LogConfig
from broker.log.directory import LogDirectory
from broker.metadata import FILE_NAME, PRODUCER_ID_BLOCK, Catalog
from broker.protocol.records import build_pairs


@pytest.fixture
def open_catalog(tmp_path: Path) -> Iterator[Callable[[], Catalog]]:
    """Opens the catalog of one data directory; opening it again closes it first."""
    opened: list[Catalog] = []

    def close() -> None:
        while opened:
            opened.pop().directory.close()

    def reopen() -> Catalog:
        close()
        catalog = Catalog(BrokerConfig(), LogDirectory.open(tmp_path, LogConfig(), on_message=print))
        opened.append(catalog)
        catalog.open()
        return catalog

    yield reopen
    close()


def test_topics_come_back(open_catalog: Callable[[], Catalog]) -> None:
    """Name, id, partitions and settings survive."""
    made = open_catalog().create("t", 3, {"retention.ms": "9"})
    found = open_catalog().get("t")
    assert (found.topic_id, len(found.partitions), found.settings) == (made.topic_id, 3, {"retention.ms": "9"})
    assert {log.config.retention_ms for log in found.partitions} == {9}


def test_internal_topics_are_made_once(open_catalog: Callable[[], Catalog]) -> None:
    """The broker's own topics are compacted, and found again by the next start, whatever its settings say."""
    counts = {"__consumer_offsets": 2, "__transaction_state": 1}
    catalog = open_catalog()
    catalog.create_internal(counts)
    made = {name: catalog.get(name).topic_id for name in counts}
    again = open_catalog()
    again.create_internal(dict.fromkeys(counts, 9))
    assert {name: again.get(name).topic_id for name in counts} == made
    assert {name: len(again.get(name).partitions) for name in counts} == counts
    assert {log.config.cleanup_policy for name in counts for log in again.get(name).partitions} == {("compact",)}


def test_settings_of_internal_topics(open_catalog: Callable[[], Catalog]) -> None:
    """They are those that Kafka gives them."""
    catalog = open_catalog()
    catalog.create_internal({"__consumer_offsets": 1, "__transaction_state": 1})
    settings = {"cleanup.policy": "compact", "segment.bytes": "104857600"}
    assert catalog.get("__consumer_offsets").settings == {**settings, "compression.type": "producer"}
    assert catalog.get("__transaction_state").settings == {
        **settings,
        "compression.type": "uncompressed",
        "min.insync.replicas": "1",
        "unclean.leader.election.enable": "false",
    }


def test_crash_between_file_and_partitions(open_catalog: Callable[[], Catalog], tmp_path: Path) -> None:
    """A topic that was written down gets the partitions a crash prevented."""
    catalog = open_catalog()
    catalog.create("t", 3)
    catalog.directory.delete("t", 2)
    catalog.topics["t"].partitions.pop()
    assert len(open_catalog().get("t").partitions) == 3
    assert (tmp_path / "t-2").is_dir()


def test_partitions_nobody_wrote_down_are_taken_in(open_catalog: Callable[[], Catalog], tmp_path: Path) -> None:
    """Without the file, topics are found by their partitions, ids included: data are never dropped."""
    made = open_catalog().create("t", 2)
    (tmp_path / FILE_NAME).unlink()
    found = open_catalog().get("t")
    assert (found.topic_id, len(found.partitions)) == (made.topic_id, 2)


def test_damaged_file_is_refused(open_catalog: Callable[[], Catalog], tmp_path: Path) -> None:
    """A file that cannot be read stops the start and says what to do."""
    open_catalog().create("t", 1)
    (tmp_path / FILE_NAME).write_text("{")
    with pytest.raises(CorruptLog, match="restore it from a backup"):
        open_catalog()
    (tmp_path / FILE_NAME).write_text('{"version": 2}')
    with pytest.raises(CorruptLog, match="use a newer broker"):
        open_catalog()


def test_producer_ids_never_repeat(open_catalog: Callable[[], Catalog]) -> None:
    """Ids go up within a run and skip to a fresh block after a restart."""
    catalog = open_catalog()
    first = [catalog.next_producer_id() for _ in range(PRODUCER_ID_BLOCK + 5)]
    assert first == list(range(PRODUCER_ID_BLOCK + 5))
    assert open_catalog().next_producer_id() == 2 * PRODUCER_ID_BLOCK


def test_version_counts_changes(open_catalog: Callable[[], Catalog]) -> None:
    """Whoever caches what it derived from the catalog sees that it changed."""
    catalog = open_catalog()
    versions = [catalog.version]
    for change in (
        lambda: catalog.create("t", 1),
        lambda: catalog.add_partitions("t", 2),
        lambda: catalog.delete("t"),
    ):
        change()
        versions.append(catalog.version)
    assert sorted(set(versions)) == versions


def test_unknown_things(open_catalog: Callable[[], Catalog]) -> None:
    """Missing topics, partitions and ids have their codes."""
    catalog = open_catalog()
    catalog.create("t", 1)
    for look, code in (
        (lambda: catalog.get("u"), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (lambda: catalog.log("t", 1), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (lambda: catalog.log("t", -1), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (lambda: catalog.log_by_id(None, 0), ErrorCode.UNKNOWN_TOPIC_ID),
    ):
        with pytest.raises(BrokerError) as refused:
            look()
        assert refused.value.code is code


def opened(path: Path) -> Catalog:
    catalog = Catalog(BrokerConfig(), LogDirectory.open(path, LogConfig(), on_message=print))
    try:
        catalog.open()
    except DataDirectoryError:
        catalog.directory.close()
        raise
    return catalog


def test_half_deleted_directory(tmp_path: Path) -> None:
    """A partition whose folder somebody took away is not begun anew in silence."""
    catalog = opened(tmp_path)
    catalog.create("t", 2).partitions[1].append(build_pairs([(None, b"v")], timestamp_ms=1), now_ms=1)
    catalog.directory.close()
    shutil.rmtree(tmp_path / "t-1")
    with pytest.raises(DataDirectoryError, match="t-1 is missing.*restore it from a copy"):
        opened(tmp_path)


def test_foreign_cluster_id(tmp_path: Path) -> None:
    """An identity that does not belong to the directory's topics is refused."""
    catalog = opened(tmp_path)
    catalog.create("t", 1)
    catalog.directory.close()
    (tmp_path / "meta.properties").write_text("version=1\ncluster.id=elsewhere\n")
    with pytest.raises(DataDirectoryError, match="belongs to cluster"):
        opened(tmp_path)


def test_absurd_number_of_partitions(open_catalog: Callable[[], Catalog]) -> None:
    """As in Kafka, no request makes more than ten thousand partitions."""
    with pytest.raises(BrokerError) as refused:
        open_catalog().create("t", 2_000_000_000)
    assert refused.value.code is ErrorCode.POLICY_VIOLATION

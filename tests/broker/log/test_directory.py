"""A data directory over restarts: identity, lock, checkpoints, clean and unclean stops."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from broker.errors import DataDirectoryError, DirectoryLocked
from broker.log.checkpoints import parse_uuid, read_offsets, read_properties, write_offsets
from broker.log.config import LogConfig
from broker.log.directory import LogDirectory
from broker.protocol.records import build_marker

from .conftest import NOW_MS, TOPIC_ID, batch, values_from


def crash_copy(directory: LogDirectory, to: Path) -> Path:
    """What a killed broker leaves behind: the files as they are, nothing closed."""
    shutil.copytree(directory.path, to)
    return to


def test_a_checkpoint_syncs_what_a_roll_wrote_behind_the_last(tmp_path: Path) -> None:
    """A segment gets its last time entry when it is rolled, after all that it holds was written down as synced."""
    directory = LogDirectory.open(tmp_path, on_message=print)
    log = directory.create("t", 0, TOPIC_ID, LogConfig())
    for stamp in range(3):
        log.append(batch("a", timestamp=NOW_MS + stamp), now_ms=NOW_MS)
    directory.checkpoint()
    old = log.segments.active
    log.roll(NOW_MS)
    log.append(batch("b"), now_ms=NOW_MS)
    while_rolled = directory.begin_checkpoint()
    assert old.time_index.path in while_rolled.files
    log.append(batch("c"), now_ms=NOW_MS)
    while_rolled.sync()
    while_rolled.finish()
    assert old.time_index.path not in directory.begin_checkpoint().files
    directory.close()


def test_everything_is_there_after_a_clean_stop(tmp_path: Path) -> None:
    """Records, offsets, topic id, cluster id and producers survive; nothing is reported and the epoch goes up."""
    directory = LogDirectory.open(tmp_path, on_message=print)
    log = directory.create("rides", 3, TOPIC_ID, LogConfig())
    log.append(batch("a", "b", producer=(5, 0, 0)), now_ms=NOW_MS)
    cluster = directory.cluster_id
    directory.close()
    messages: list[str] = []
    directory = LogDirectory.open(tmp_path, on_message=messages.append)
    again = directory.get("rides", 3)
    assert again is not None
    assert (directory.cluster_id, again.topic_id, messages) == (cluster, TOPIC_ID, [])
    assert (values_from(again), again.leader_epoch) == (["a", "b"], 1)
    assert again.append(batch("a", "b", producer=(5, 0, 0)), now_ms=NOW_MS).duplicate
    directory.close()


def test_a_killed_broker_is_recovered_and_says_so(tmp_path: Path) -> None:
    """Without the mark of a clean stop every log is checked, and the message says how many."""
    directory = LogDirectory.open(tmp_path / "data", on_message=print)
    directory.create("t", 0, TOPIC_ID, LogConfig()).append(batch("a"), now_ms=NOW_MS)
    copy = crash_copy(directory, tmp_path / "copy")
    directory.close()
    messages: list[str] = []
    recovered = LogDirectory.open(copy, on_message=messages.append)
    log = recovered.get("t", 0)
    assert log is not None
    assert values_from(log) == ["a"]
    assert recovered.recovered
    assert "checked 1 partitions" in messages[-1]
    recovered.close()


def test_checkpoint_shortens_recovery(tmp_path: Path) -> None:
    """After a checkpoint a crash costs the reading of what came later only; late repeats are still recognized."""
    directory = LogDirectory.open(tmp_path / "data", on_message=print)
    log = directory.create("t", 0, TOPIC_ID, LogConfig(index_interval_bytes=0))
    for number in range(8):
        log.append(batch(str(number), producer=(5, 0, number)), now_ms=NOW_MS)
    directory.checkpoint()
    assert read_offsets(directory.path / "recovery-point-offset-checkpoint") == {("t", 0): 8}
    log.append(batch("8", producer=(5, 0, 8)), now_ms=NOW_MS)
    copy = crash_copy(directory, tmp_path / "copy")
    directory.close()
    file = copy / "t-0" / "00000000000000000000.log"
    data = bytearray(file.read_bytes())
    data[30] ^= 1  # before the recovery point: not read again
    file.write_bytes(data)
    recovered = LogDirectory.open(copy, on_message=print)
    again = recovered.get("t", 0)
    assert again is not None
    assert again.log_end_offset == 9
    assert [again.append(batch("x", producer=(5, 0, n)), now_ms=NOW_MS).base_offset for n in range(4, 9)] == [
        4,
        5,
        6,
        7,
        8,
    ]
    recovered.close()


def test_start_offset_survives(tmp_path: Path) -> None:
    """Records deleted by request stay deleted, also when the log was emptied."""
    directory = LogDirectory.open(tmp_path, on_message=print)
    log = directory.create("t", 0, TOPIC_ID, LogConfig())
    for value in "abc":
        log.append(batch(value), now_ms=NOW_MS)
    log.delete_records(2)
    directory.close()
    directory = LogDirectory.open(tmp_path, on_message=print)
    again = directory.get("t", 0)
    assert again is not None
    assert (again.log_start_offset, values_from(again)) == (2, ["c"])
    directory.close()


def test_aborted_transactions_survive(tmp_path: Path) -> None:
    """A reader of committed data after a restart, clean or not, still learns whom to skip."""
    directory = LogDirectory.open(tmp_path / "data", on_message=print)
    log = directory.create("t", 0, TOPIC_ID, LogConfig(segment_bytes=200))
    for number in range(4):
        log.append(batch("x", producer=(number, 0, 0), transactional=True), now_ms=NOW_MS)
        marker = build_marker(number, 0, commit=number % 2 == 0, coordinator_epoch=0, timestamp_ms=NOW_MS)
        log.append(marker, now_ms=NOW_MS, client=False)
    aborted = log.aborted_transactions(0, 8)
    assert [entry.producer_id for entry in aborted] == [1, 3]
    copy = crash_copy(directory, tmp_path / "copy")
    directory.close()
    for path in (tmp_path / "data", copy):
        opened = LogDirectory.open(path, on_message=print)
        again = opened.get("t", 0)
        assert again is not None
        assert again.aborted_transactions(0, 8) == aborted
        opened.close()


def test_second_opener_is_refused(tmp_path: Path) -> None:
    """Two brokers never share a directory, in one process or in two; the message names the owner."""
    directory = LogDirectory.open(tmp_path, on_message=print)
    with pytest.raises(DirectoryLocked, match=f"process {os.getpid()}"):
        LogDirectory.open(tmp_path, on_message=print)
    program = f"from broker.log.directory import LogDirectory\nLogDirectory.open({str(tmp_path)!r}, on_message=print)"
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert f"in use by process {os.getpid()}" in outcome.stderr
    directory.close()
    LogDirectory.open(tmp_path, on_message=print).close()


def test_kafkas_files_in_kafkas_form(tmp_path: Path) -> None:
    """meta.properties and partition.metadata read as Kafka writes them."""
    directory = LogDirectory.open(tmp_path, on_message=print, node_id=7)
    directory.create("t", 0, TOPIC_ID, LogConfig())
    directory.close()
    meta = read_properties(tmp_path / "meta.properties")
    assert (meta["version"], meta["node.id"]) == ("1", "7")
    assert len(meta["cluster.id"]) == 22
    partition = (tmp_path / "t-0" / "partition.metadata").read_text()
    assert partition == "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAABw\n"
    assert parse_uuid("AAAAAAAAAAAAAAAAAAAABw") == TOPIC_ID
    assert (tmp_path / ".kafka_cleanshutdown").exists()


def test_newer_layout_is_refused(tmp_path: Path) -> None:
    """A directory of a layout this broker does not know is left alone."""
    (tmp_path / "meta.properties").write_text("version=9\ncluster.id=x\n")
    with pytest.raises(DataDirectoryError, match="version 9"):
        LogDirectory.open(tmp_path, on_message=print)


@pytest.mark.parametrize("text", ["version=1\ncluster.id=x\nnode.id=7\n", "version=0\ncluster.id=x\nbroker.id=7\n"])
def test_directory_of_another_node_is_refused(tmp_path: Path, text: str) -> None:
    """A broker of another number does not take the directory, says which it needs, and leaves everything as it was."""
    (tmp_path / "meta.properties").write_text(text)
    with pytest.raises(DataDirectoryError, match=r"belongs to node 7, and this broker is node 0.*--set node\.id=7"):
        LogDirectory.open(tmp_path, on_message=print)
    assert (tmp_path / "meta.properties").read_text() == text
    LogDirectory.open(tmp_path, on_message=print, node_id=7).close()


def test_a_deleted_partition_is_gone(tmp_path: Path) -> None:
    """Deletion leaves nothing, and the same name can be created again, empty."""
    directory = LogDirectory.open(tmp_path, on_message=print)
    directory.create("t", 0, TOPIC_ID, LogConfig()).append(batch("a"), now_ms=NOW_MS)
    directory.delete("t", 0)
    assert directory.logs() == []
    assert directory.create("t", 0, TOPIC_ID, LogConfig()).log_end_offset == 0
    directory.close()


def test_a_topic_with_the_longest_name(tmp_path: Path) -> None:
    """A name of 249 characters, as Kafka allows: its partitions are made, found after a restart, and deleted."""
    name = "n" * 249
    directory = LogDirectory.open(tmp_path, on_message=print)
    directory.create_many(name, [0, 99_999], TOPIC_ID, LogConfig())
    directory.close()
    directory = LogDirectory.open(tmp_path, on_message=print)
    assert [log.partition for log in directory.logs()] == [0, 99_999]
    directory.delete_many(name, [0, 99_999])
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    directory.close()


def test_lost_indexes_are_rebuilt(tmp_path: Path) -> None:
    """Without index files the log is the same, after a message."""
    config = LogConfig(index_interval_bytes=0, segment_bytes=300)
    directory = LogDirectory.open(tmp_path, on_message=print)
    log = directory.create("t", 0, TOPIC_ID, config)
    for number in range(12):
        log.append(batch(str(number), timestamp=NOW_MS + number), now_ms=NOW_MS)
    directory.close()
    whole = {path.name: path.read_bytes() for path in (tmp_path / "t-0").glob("*index")}
    for path in (tmp_path / "t-0").glob("*index"):
        path.unlink()
    messages: list[str] = []
    directory = LogDirectory.open(tmp_path, on_message=messages.append, config_of=lambda _: config)
    again = directory.get("t", 0)
    assert again is not None
    assert again.offset_for_timestamp(NOW_MS + 7) == (NOW_MS + 7, 7)
    assert all("rebuilding" in message for message in messages)
    directory.close()
    assert {path.name: path.read_bytes() for path in (tmp_path / "t-0").glob("*index")} == whole


def test_few_descriptors_serve_many_partitions(tmp_path: Path) -> None:
    """Files are opened when needed and given back: partitions are not bounded by descriptors."""
    directory = LogDirectory.open(tmp_path, on_message=print)
    directory.files.capacity = 8
    logs = [directory.create("t", number, TOPIC_ID, LogConfig()) for number in range(40)]
    for _ in range(3):
        for log in logs:
            log.append(batch(log.name), now_ms=NOW_MS)
    assert len(directory.files) <= 8
    assert all(values_from(log) == [log.name] * 3 for log in logs)
    directory.close()


def test_a_creation_that_crashed_leaves_nothing(tmp_path: Path) -> None:
    """A partition is there with its topic id, or not at all."""
    directory = LogDirectory.open(tmp_path, on_message=print)
    directory.create("t", 0, TOPIC_ID, LogConfig())
    with pytest.raises(DataDirectoryError, match="exists already"):
        directory.create("t", 0, TOPIC_ID, LogConfig())
    directory.close()
    (tmp_path / "t-1.0123-delete").mkdir()
    LogDirectory.open(tmp_path, on_message=print).close()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["t-0"]


def test_start_offset_goes_with_its_topic(tmp_path) -> None:
    """A topic of the same name does not begin where its predecessor's records were deleted, also after a crash."""
    directory = LogDirectory.open(tmp_path, on_message=print)
    log = directory.create("t", 0, TOPIC_ID, LogConfig())
    for text in "abc":
        log.append(batch(text), now_ms=NOW_MS)
    log.delete_records(2)
    directory.save_start_offsets()
    directory.delete("t", 0)
    assert "t 0" not in (tmp_path / "log-start-offset-checkpoint").read_text()
    directory.close()


def test_no_checkpoint_outlives_its_topic(tmp_path: Path) -> None:
    """A start offset that retention has overtaken goes too: a killed broker serves all of the topic that took the name."""
    directory = LogDirectory.open(tmp_path / "data", on_message=print)
    log = directory.create("t", 0, TOPIC_ID, LogConfig())
    for number in range(10):
        log.append(batch(str(number)), now_ms=NOW_MS)
    log.delete_records(6)
    directory.save_start_offsets()
    directory.checkpoint()
    log.apply_retention(NOW_MS + 30 * 86_400_000)
    assert not log.starts_inside
    directory.delete("t", 0)
    assert read_offsets(directory.path / "log-start-offset-checkpoint") == {}
    assert read_offsets(directory.path / "recovery-point-offset-checkpoint") == {}
    again = directory.create("t", 0, UUID(int=8), LogConfig())
    for value in "abcd":
        again.append(batch(value), now_ms=NOW_MS)
    copy = crash_copy(directory, tmp_path / "copy")
    directory.close()
    recovered = LogDirectory.open(copy, on_message=print)
    served = recovered.get("t", 0)
    assert served is not None
    assert (served.log_start_offset, values_from(served)) == (0, ["a", "b", "c", "d"])
    recovered.close()


def test_a_checkpoint_under_way_does_not_name_a_deleted_topic(tmp_path: Path) -> None:
    """What was begun before the deletion and is written after it leaves the topic out."""
    directory = LogDirectory.open(tmp_path, on_message=print)
    for partition in range(2):
        directory.create("t", partition, TOPIC_ID, LogConfig()).append(batch("a"), now_ms=NOW_MS)
    under_way = directory.begin_checkpoint()
    directory.delete("t", 0)
    under_way.sync()
    under_way.finish()
    assert read_offsets(directory.path / "recovery-point-offset-checkpoint") == {("t", 1): 1}
    assert read_offsets(directory.path / "replication-offset-checkpoint") == {("t", 1): 1}
    directory.close()


def test_a_start_offset_that_a_deletion_left_behind(tmp_path: Path) -> None:
    """A crash or a full disk may keep a deletion from forgetting it: whoever creates the topic anew does."""
    directory = LogDirectory.open(tmp_path / "data", on_message=print)
    directory.close()
    write_offsets(directory.path / "log-start-offset-checkpoint", {("t", 0): 6})
    directory = LogDirectory.open(tmp_path / "data", on_message=print)
    directory.create("t", 0, TOPIC_ID, LogConfig()).append(batch("a"), now_ms=NOW_MS)
    copy = crash_copy(directory, tmp_path / "copy")
    directory.close()
    recovered = LogDirectory.open(copy, on_message=print)
    log = recovered.get("t", 0)
    assert log is not None
    assert (log.log_start_offset, values_from(log)) == (0, ["a"])
    recovered.close()

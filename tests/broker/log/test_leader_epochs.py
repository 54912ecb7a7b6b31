"""Leader epochs over restarts: what a client has seen is never taken back."""

import os
from pathlib import Path

import pytest

from broker.log.config import LogConfig
from broker.log.directory import LogDirectory
from broker.log.leader_epochs import LeaderEpochs
from broker.log.partition_log import PartitionLog

from .conftest import NOW_MS, TOPIC_ID, batch


def kill(directory: LogDirectory) -> None:
    """End as a killed broker: nothing is closed but the lock."""
    os.close(directory._lock)


def restarted(path: Path, *, clean: bool, append: bool) -> PartitionLog:
    directory = LogDirectory.open(path, on_message=print)
    log = directory.logs()[0]
    if append:
        log.append(batch("x"), now_ms=NOW_MS)
    directory.close() if clean else kill(directory)
    return log


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("by_retention", [True, False])
def test_an_emptied_log_keeps_its_epoch(tmp_path: Path, *, clean: bool, by_retention: bool) -> None:
    """Start after start without a record, the epoch stays above those clients have seen; a record makes the next one new."""
    directory = LogDirectory.open(tmp_path, on_message=print)
    directory.create("t", 0, TOPIC_ID, LogConfig()).append(batch("a"), now_ms=NOW_MS)
    directory.close()
    assert [restarted(tmp_path, clean=True, append=True).leader_epoch for _ in range(2)] == [1, 2]
    directory = LogDirectory.open(tmp_path, on_message=print)
    log = directory.logs()[0]
    log.append(batch("last"), now_ms=NOW_MS)
    if by_retention:
        log.apply_retention(NOW_MS + 30 * 86_400_000)
    else:
        log.delete_records(-1)
        directory.save_start_offsets()
    assert (log.leader_epoch, log.log_start_offset) == (3, 4)
    directory.close()
    assert [restarted(tmp_path, clean=clean, append=False).leader_epoch for _ in range(3)] == [4, 4, 4]
    log = restarted(tmp_path, clean=clean, append=True)
    assert (log.leader_epoch, log.epochs.entries) == (4, [(4, 4)])
    assert restarted(tmp_path, clean=clean, append=False).leader_epoch == 5


def test_epochs_that_were_cut_off(tmp_path: Path) -> None:
    """The highest epoch seen stays, beginning where the log ends now, until another one begins there."""
    epochs = LeaderEpochs(tmp_path)
    for epoch, start in ((0, 0), (3, 5), (4, 10)):
        epochs.assign(epoch, start)
    epochs.cut_at(7)
    assert (epochs.entries, epochs.end_offset(3, 7), epochs.end_offset(4, 7)) == (
        [(0, 0), (3, 5), (4, 7)],
        (3, 7),
        (4, 7),
    )
    epochs.cut_at(2)
    again = LeaderEpochs(tmp_path)
    assert (again.entries, again.highest_seen) == ([(0, 0), (4, 2)], 4)
    again.assign(5, 2)
    assert again.entries == [(0, 0), (5, 2)]


def test_end_of_epochs_before_all_that_are_known(tmp_path: Path) -> None:
    """It is where the first known one begins, also for numbers below -1, which alone stands for none, as in Kafka."""
    epochs = LeaderEpochs(tmp_path)
    epochs.assign(3, 5)
    epochs.assign(4, 10)
    assert [epochs.end_offset(epoch, 12) for epoch in (-2, -1, 0, 3, 4, 5)] == [
        (-2, 5),
        (-1, -1),
        (0, 5),
        (3, 10),
        (4, 12),
        (-1, -1),
    ]


def test_end_of_epochs_before_one_without_records(tmp_path: Path) -> None:
    """The epoch that a log is written in begins at its end, also of an empty log, and ends those before it, as in Kafka."""
    epochs = LeaderEpochs(tmp_path)
    assert [epochs.end_offset(epoch, 0, 2) for epoch in (-1, 0, 1, 2, 3)] == [
        (-1, -1),
        (0, 0),
        (1, 0),
        (2, 0),
        (-1, -1),
    ]
    epochs.assign(0, 0)
    assert [epochs.end_offset(epoch, 5, 2) for epoch in (0, 1, 2, 3)] == [(0, 5), (0, 5), (2, 5), (-1, -1)]

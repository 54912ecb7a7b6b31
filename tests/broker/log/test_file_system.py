"""One sync for all files of a round: where it is sound and pays, and what becomes of its errors."""

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.log.file_system import FileSystem, sync_whole


class Unhurried(FileSystem):
    """For which nothing that waits is too much."""

    little_kb = 1 << 40


class Hurried(FileSystem):
    """For which everything is too much."""

    little_kb = -1


@pytest.fixture
def files(tmp_path: Path) -> Iterator[list[int]]:
    """Three files that were written to."""
    descriptors = [os.open(tmp_path / str(number), os.O_CREAT | os.O_RDWR) for number in range(3)]
    for descriptor in descriptors:
        os.write(descriptor, b"something")
    yield descriptors
    for descriptor in descriptors:
        os.close(descriptor)


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[FileSystem]:
    """A file system that may be synced as a whole, however much others have written on it."""
    found = Unhurried(tmp_path)
    if found._memory is None:
        pytest.skip("this file system is not synced as a whole: that takes ext4 on Linux 5.8 or later")
    yield found
    found.close()


def test_several_files_are_synced_together(whole: FileSystem, files: list[int], tmp_path: Path) -> None:
    """Files and folders alike. One file alone is not worth it."""
    assert whole.is_best_synced_whole(files)
    assert whole.is_best_synced_whole([files[0], tmp_path])
    assert not whole.is_best_synced_whole(files[:1])
    whole.sync([*files, tmp_path])


def test_not_where_much_waits(files: list[int], tmp_path: Path) -> None:
    """What other programs have not had written yet is not waited for."""
    busy = Hurried(tmp_path)
    assert not busy.is_best_synced_whole(files)
    busy.close()


def test_not_with_files_that_lie_elsewhere(whole: FileSystem, files: list[int], tmp_path: Path) -> None:
    """Another file system would not be synced; nor what is gone."""
    reading, writing = os.pipe()
    assert not whole.is_best_synced_whole([*files, reading])
    assert not whole.is_best_synced_whole([*files, Path("/proc")])
    assert not whole.is_best_synced_whole([*files, tmp_path / "gone"])
    os.close(reading)
    os.close(writing)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_not_on_another_kind_of_file_system(files: list[int]) -> None:
    """Only where somebody has looked what a sync of the whole promises."""
    other = FileSystem(Path("/proc"))
    assert not other.is_best_synced_whole(files)
    other.close()


def test_one_that_fails_is_followed_by_one_of_each(whole: FileSystem, files: list[int], tmp_path: Path) -> None:
    """It may have failed for a file of somebody else; a file's own error is told."""
    unusable = os.open(tmp_path, os.O_PATH)
    os.dup2(unusable, whole._directory)
    assert not sync_whole(whole._directory)
    whole.sync([*files, tmp_path, tmp_path / "gone"])
    reading, writing = os.pipe()  # cannot be synced
    with pytest.raises(OSError, match="Invalid argument") as caught:
        whole.sync([*files, reading])
    assert caught.value.errno == errno.EINVAL
    for opened in (unusable, reading, writing):
        os.close(opened)

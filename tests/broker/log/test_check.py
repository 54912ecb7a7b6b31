"""The offline check: silent on a sound directory, and precise about a damaged one."""

from pathlib import Path

import pytest

from broker.command import main
from broker.errors import DataDirectoryError
from broker.log.check import Checked, check_directory
from broker.log.config import LogConfig
from broker.log.directory import LogDirectory

from .conftest import NOW_MS, TOPIC_ID, batch


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A directory of one partition in several segments, cleanly closed."""
    directory = LogDirectory.open(tmp_path / "data", on_message=print)
    log = directory.create("t", 0, TOPIC_ID, LogConfig(segment_bytes=300, index_interval_bytes=0))
    for number in range(12):
        log.append(batch(str(number)), now_ms=NOW_MS + number)
    directory.close()
    return tmp_path / "data"


def findings(path: Path) -> list[str]:
    return [str(finding) for finding in check_directory(path, Checked())]


def first(path: Path, suffix: str) -> Path:
    return min((path / "t-0").glob(f"*{suffix}"))


def test_sound_directory(stopped, capsys) -> None:
    """Nothing is found, everything is counted, and the exit code says so."""
    assert main(["check", str(stopped)]) == 0
    assert "1 partitions" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("suffix", "position", "said"),
    [(".log", 70, "CRC"), (".log", 17, "byte 0"), (".index", 6, "no batch"), (".timeindex", 3, "timestamp")],
)
def test_flipped_byte(stopped, capsys, suffix: str, position: int, said: str) -> None:
    """A flipped byte is found, with the file and what is wrong there; the exit code is 1."""
    path = first(stopped, suffix)
    data = bytearray(path.read_bytes())
    data[position] ^= 0x55
    path.write_bytes(data)
    assert main(["check", str(stopped)]) == 1
    out = capsys.readouterr().out
    assert path.name in out
    assert said in out


def test_missing_segment(stopped) -> None:
    """A log that is shorter than it once was is noticed by the check, and refused by a start."""
    max((stopped / "t-0").glob("*.log")).unlink()
    assert any("though everything before 12 was synced" in found for found in findings(stopped))
    with pytest.raises(DataDirectoryError, match="segments are missing; restore"):
        LogDirectory.open(stopped, on_message=print)


def test_missing_partition(stopped) -> None:
    """A partition that is gone is noticed."""
    (stopped / "t-0").rename(stopped.parent / "elsewhere")
    (found,) = findings(stopped)
    assert found.endswith("is missing, though offset 12 was synced there")


def test_directory_in_use(stopped, capsys) -> None:
    """A directory that a broker uses is not checked."""
    directory = LogDirectory.open(stopped, on_message=print)
    assert main(["check", str(stopped)]) == 2
    assert "in use" in capsys.readouterr().err
    directory.close()


def test_no_data_directory(tmp_path, capsys) -> None:
    """A folder that is none is said to be none, and nothing is made in it."""
    assert main(["check", str(tmp_path)]) == 2
    assert "no data directory" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())

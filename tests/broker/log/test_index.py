"""Sparse indexes: look-ups equal a search in a list, in memory and at rest."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.log.index import OffsetIndex, TimeIndex
from broker.log.open_files import CONTENTS_BYTES, OpenFiles

BASE = 1000
steps = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 5000)), max_size=30)


@given(steps=steps, probes=st.lists(st.integers(0, 2000), max_size=10), rested=st.booleans())
def test_offset_index_equals_a_list(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int]], probes: list[int], rested: bool
) -> None:
    """The last entry not beyond an offset, or a position, whether the index still grows or lies in its file."""
    index = OffsetIndex(tmp_path_factory.mktemp("i") / "0.index", BASE, OpenFiles())
    index.reset()
    entries, offset, position = [], BASE, 0
    for more, size in steps:
        offset, position = offset + more, position + size
        index.append(offset, position)
        entries.append((offset, position))
    if rested:
        index.rest()
    assert index.entries() == entries
    for probe in probes:
        assert index.position_before(BASE + probe) == max((p for o, p in entries if o <= BASE + probe), default=0)
        assert index.last_position_up_to(40 * probe) == max((p for _, p in entries if p <= 40 * probe), default=0)


@given(steps=steps, probes=st.lists(st.integers(0, 2000), max_size=10))
def test_time_index_equals_a_list(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int]], probes: list[int]
) -> None:
    """The last entry older than a time; entries that are no news are left out."""
    index = TimeIndex(tmp_path_factory.mktemp("i") / "0.timeindex", BASE, OpenFiles())
    index.reset()
    entries: list[tuple[int, int]] = []
    for offset, (step, _) in enumerate(steps, BASE):
        time = entries[-1][0] + step - 10 if entries else step
        index.append(time, offset)
        if not entries or time > entries[-1][0]:
            entries.append((time, offset))
    index.rest()
    assert index.entries() == entries
    assert index.last == (entries[-1] if entries else (-1, BASE))
    for probe in probes:
        assert index.offset_before(probe) == max((o for t, o in entries if t < probe), default=BASE)


def test_an_index_goes_on_after_a_rest(tmp_path: Path) -> None:
    """What is appended after a restart stands behind what the file had; a cut takes both back."""
    files = OpenFiles()
    index = OffsetIndex(tmp_path / "0.index", BASE, files)
    index.reset()
    index.append(BASE + 5, 100)
    index.rest()
    again = OffsetIndex(tmp_path / "0.index", BASE, files)
    again.append(BASE + 9, 200)
    again.flush()
    assert OffsetIndex(tmp_path / "0.index", BASE, OpenFiles()).entries() == [(BASE + 5, 100), (BASE + 9, 200)]
    again.cut_at(150)
    again.flush()
    assert (tmp_path / "0.index").stat().st_size == 8


def test_memory_for_closed_indexes_is_bounded(tmp_path: Path) -> None:
    """The indexes read last are kept up to a limit, the others read again."""
    files = OpenFiles()
    for number in range(4):
        (tmp_path / str(number)).write_bytes(bytes(CONTENTS_BYTES // 3))
        files.contents(tmp_path / str(number))
    assert files._contents_bytes <= CONTENTS_BYTES
    (tmp_path / "3").unlink()
    assert len(files.contents(tmp_path / "3")) == CONTENTS_BYTES // 3
    assert files.contents(tmp_path / "missing") == b""

"""The recomputation on columns is the naive one."""

from pathlib import Path

import pytest

from examples.taxi.debs.generator import write_trips
from tests.examples.taxi.debs import columns, recomputation


@pytest.mark.parametrize("query", [1, 2])
@pytest.mark.parametrize("taxis", [4, 100])
def test_both_recomputations_come_to_the_same_lists(tmp_path: Path, query: int, taxis: int) -> None:
    """Sparse and dense, dirt and gaps included."""
    write_trips(tmp_path / "trips.csv", 1_500, seed=query + taxis, taxis=taxis)
    expected = list(recomputation.answers(tmp_path / "trips.csv", query))
    assert len(expected) > 100
    assert list(columns.answers(tmp_path / "trips.csv", query)) == expected


def test_the_parts_are_kept(tmp_path: Path) -> None:
    """A recomputation that was stopped goes on, and comes to the same whatever the parts are."""
    write_trips(tmp_path / "trips.csv", 500, seed=1, taxis=20)
    expected = list(columns.answers(tmp_path / "trips.csv", 2))
    first = list(columns.answers(tmp_path / "trips.csv", 2, tmp_path, size=70))
    (tmp_path / "expected-2-00000140.json").unlink()
    assert list(columns.answers(tmp_path / "trips.csv", 2, tmp_path, size=70)) == first == expected

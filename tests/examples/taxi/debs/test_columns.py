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
    found = list(columns.answers(tmp_path / "trips.csv", query))
    assert len(found) > 100
    assert found == list(recomputation.answers(tmp_path / "trips.csv", query))

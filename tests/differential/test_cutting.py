"""The cut never matters, over random programs: batches of one, two, seven and all; `make cut` looks at thousands."""

from __future__ import annotations

import itertools

import pytest

from streams.dsl.builder import StreamsBuilder
from tests.differential.cases import case_of
from tests.differential.cutting import cut_seen
from tests.streams.operators.cutting import cut_matters, topology_of


@pytest.mark.parametrize("seed", range(4000, 4030))
def test_no_random_program_shows_its_batches(seed: int) -> None:
    """Outputs, changelogs, stores and what was dropped are equal, with commits at the same points."""
    assert cut_seen(case_of(seed)) is None


def test_a_cut_that_shows_is_told() -> None:
    """By the part that differs: here a function that gives something else each time it is called."""
    numbers = itertools.count()

    def say(builder: StreamsBuilder) -> None:
        builder.stream("in", key=str, value=str).map_values(lambda value: f"{value}{next(numbers)}").to("out")

    shown = cut_matters(topology_of(say), [[("in", b"a", b"x", 1)]], 0)
    assert shown is not None
    assert shown.startswith("out in batches of 2: ")

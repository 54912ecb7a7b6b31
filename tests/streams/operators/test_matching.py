"""Who meets whom in a join: by columns as one by one."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from state.recent import RecentEntries
from streams.operators.matching import Arriving, Match, Way, matches_of

BEFORE_MS, AFTER_MS = 4, 6
RETENTION_MS = 25

Arrived = tuple[int, int, int]
"""(side, key, how much later than the record before, in ms)"""

BATCHES = st.lists(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 30), st.sampled_from([0, 1, 1, 2, 3, -2, -9])), max_size=12),
    max_size=6,
)


class Join:
    """Two sides, and what they have lately."""

    def __init__(self) -> None:
        self.recents = RecentEntries(RETENTION_MS, -1), RecentEntries(RETENTION_MS, -1)
        left, right = self.recents
        self.ways = (
            Way(left, right, BEFORE_MS, AFTER_MS, bytes.decode, list),
            Way(right, left, AFTER_MS, BEFORE_MS, bytes.decode, list),
        )

    def take(self, records: list[tuple[int, int, int, str]]) -> list[Match]:
        """Join (side, key, time, value) in this order."""
        sides: tuple[list[Any], list[Any]] = [], []
        for side, *rest in records:
            sides[side].append(rest)
        left, right = (
            Arriving(
                [key for key, _, _ in rows],
                [time for _, time, _ in rows],
                [value for *_, value in rows],
                [value.encode() for *_, value in rows],
            )
            for rows in sides
        )
        found = matches_of((left, right), self.ways, [side for side, *_ in records])
        for recent, rows in zip(self.recents, sides, strict=True):
            recent.counted(len(rows))
        return found


@given(batches=BATCHES)
@example(
    batches=[[(0, 1, 30), (1, 1, 2), (1, 2, 0), (0, 2, 1)], [(0, 3, 1), (1, 4, 0), (0, 4, 9)]]
)  # just in time, or not
@example(batches=[[(0, 1, 3)], [(1, 1, 24)], [(0, 1, 0), (1, 2, 2)], [(0, 2, 1), (0, 2, 0)]])  # generations go
def test_a_batch_meets_what_its_records_meet_one_by_one(batches: list[list[Arrived]]) -> None:
    """New keys, keys that come again on either side, late ones, and times that go out of reach."""
    whole, single = Join(), Join()
    time = 0
    for number, batch in enumerate(batches):
        records = []
        for index, (side, key, later_ms) in enumerate(batch):
            time = max(0, time + later_ms)
            records.append((side, key, time, f"{number}.{index}"))
        expected = [
            (place, *match[1:2], *match[3:]) for place, one in enumerate(records) for match in single.take([one])
        ]
        assert [(place, side, *rest) for place, side, _row, *rest in whole.take(records)] == expected


def test_a_match_names_the_row_of_the_later_record() -> None:
    """And its place among the turns, with time and value of the earlier one."""
    records = [(0, 7, 10, "a"), (0, 8, 11, "b"), (1, 8, 12, "c"), (1, 9, 12, "d"), (1, 7, 13, "e"), (0, 9, 13, "f")]
    assert Join().take(records) == [(2, 1, 0, 11, "b"), (4, 1, 2, 10, "a"), (5, 0, 2, 12, "d")]

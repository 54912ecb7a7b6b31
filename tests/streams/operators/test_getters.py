"""What a table's row is now, computed from its parents."""

from __future__ import annotations

import pytest

from state.stores import ValueAndTimestamp
from streams.operators.getters import Getter, JoinGetter


class Rows(Getter):
    """Given rows, and who was asked for."""

    def __init__(self, rows: dict[str, ValueAndTimestamp]) -> None:
        self._rows = rows
        self.asked: list[str] = []

    def get(self, key: str) -> ValueAndTimestamp | None:
        self.asked.append(key)
        return self._rows.get(key)


@pytest.mark.parametrize(
    ("keep_left", "keep_right", "found", "asked"),
    [
        (False, False, [("lr", 2), None, None, None], ["both", "left"]),
        (True, False, [("lr", 2), ("l-", 1), None, None], ["both", "left"]),
        (True, True, [("lr", 2), ("l-", 1), ("-r", 2), None], ["both", "left", "right", "none"]),
    ],
    ids=["inner", "left", "outer"],
)
def test_the_right_side_is_asked_where_it_counts(
    keep_left: bool, keep_right: bool, found: list[tuple[str, int] | None], asked: list[str]
) -> None:
    """Kafka: KTableKTableLeftJoin and its siblings; a transformer of the right side would count what it is asked for."""
    left = Rows(dict.fromkeys(("both", "left"), ValueAndTimestamp("l", 1)))
    right = Rows(dict.fromkeys(("both", "right"), ValueAndTimestamp("r", 2)))
    join = JoinGetter(
        left, right, lambda _key, one, other: f"{one or '-'}{other or '-'}", keep_left=keep_left, keep_right=keep_right
    )
    assert [join.get(key) for key in ("both", "left", "right", "none")] == found
    assert right.asked == asked

"""The simulated group: what it reports is what the assignor does."""

from __future__ import annotations

from random import Random

from benchmarks.placement import Group, looks
from streams.runtime.placement import PlacementRules


def test_a_group_lives_through_deaths_and_joins() -> None:
    """Nothing moves unless somebody comes or goes, it always comes to rest, and then loads differ by one at most."""
    rules = PlacementRules(standbys=1, acceptable_lag=10_000, warmups=8, rack_tags=("zone",))
    seen = list(looks(Group(30, 300, rules, addresses=True), 3, Random(7)))
    assert [(look.what, look.moved, look.copied) for look in seen[:2]] == [
        ("start", 300, 300),
        ("nothing changes", 0, 0),
    ]
    ends = [seen[1], next(look for look in reversed(seen) if "die" in look.what), seen[-1]]
    assert [look.loads for look in ends] == [(10, 10), (11, 12), (10, 10)]
    assert all(look.standby_loads[1] <= 12 for look in ends)
    assert sum(look.moved for look in seen[2:]) <= 30 * 2 + 6

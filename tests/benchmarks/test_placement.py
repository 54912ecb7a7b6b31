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
    assert (seen[0].cold, seen[0].most_cold, seen[0].most_fetched) == (300, 10, 20)
    assert sum(look.cold for look in seen[1:]) <= 6, "tasks whose standby died with them"


def test_without_standbys_tasks_of_the_dead_are_cold() -> None:
    """Whoever takes them has to fetch their state, and they wait for it."""
    group = Group(10, 100, PlacementRules(warmups=8), addresses=False)
    group.rebalance("start")
    group.die(1, Random(7))
    look, settled = group.rebalance("one dies")
    assert (look.moved, look.cold, look.most_cold, look.fetched, settled) == (10, 10, 2, 10, True)

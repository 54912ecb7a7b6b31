"""The best of many, against the same sorted anew."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import Ranking

changes = st.lists(st.tuples(st.integers(0, 8), st.none() | st.integers(0, 3)), max_size=80)


def test_the_higher_rank_is_the_better() -> None:
    """Of equal ranks the one that came to it last; a rank that is given again changes nothing."""
    ranking: Ranking[str, int] = Ranking()
    ranking.update({"Astoria": 3, "JFK": 7, "Harlem": 3})
    ranking["Astoria"] = 3
    assert ranking.best(2) == [("JFK", 7), ("Harlem", 3)]
    assert (list(ranking), len(ranking), ranking.get("SoHo", 0)) == (["JFK", "Harlem", "Astoria"], 3, 0)
    del ranking["JFK"]
    assert (ranking.pop("JFK", None), ranking.best(9)) == (None, [("Harlem", 3), ("Astoria", 3)])


@pytest.mark.parametrize("key", ["Astoria", "SoHo"])
def test_a_rank_that_cannot_be_compared_changes_nothing(key: str) -> None:
    """A key keeps the rank that it had; a new one is not there."""
    ranking: Ranking[str, object] = Ranking()
    ranking.update({"Astoria": 3, "JFK": 7})
    with pytest.raises(TypeError, match="not supported between"):
        ranking[key] = "high"
    assert (ranking.best(9), dict(ranking)) == ([("JFK", 7), ("Astoria", 3)], {"Astoria": 3, "JFK": 7})
    ranking[key] = 9
    assert ranking.best(1) == [(key, 9)]


@given(changes)
def test_the_order_is_that_of_sorting_anew(given_changes: list[tuple[int, int | None]]) -> None:
    """Whatever is ranked, ranked anew and taken out, also where keys cannot be compared."""
    ranking: Ranking[complex, int] = Ranking()
    expected: dict[complex, int] = {}
    for number, rank in given_changes:
        key = complex(number)
        if rank is None:
            assert ranking.pop(key, None) == expected.pop(key, None)
        elif expected.get(key) != rank:
            expected.pop(key, None)  # the last in a dict is the latest
            expected[key] = ranking[key] = rank
        else:
            ranking[key] = rank
    newest_first = list(reversed(expected.items()))
    best = sorted(newest_first, key=lambda item: -item[1])
    assert list(ranking.items()) == best
    assert [ranking.best(count) for count in range(10)] == [best[:count] for count in range(10)]

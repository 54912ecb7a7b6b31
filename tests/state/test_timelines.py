"""The index of a key's entries in time."""

from hypothesis import given
from hypothesis import strategies as st

from state import timelines
from state.timelines import Timelines

ENTRIES = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 20)), max_size=30)


@given(ENTRIES, st.integers(0, 20), st.integers(0, 20))
def test_between_is_a_filter(entries, first, last):
    """Whatever was loaded and added, a range of time gives the entries in it, each once and in order."""
    lines = Timelines(lambda identity: sorted({entry for entry in entries[::2] if entry[0] == identity}))
    for entry in entries:
        lines.add(entry, 0)
    expected = sorted({entry for entry in entries if entry[0] == "a" and first <= entry[1] <= last})
    assert lines.between("a", first, last) == expected


def test_what_is_too_old_goes_when_its_key_is_written():
    """Adding an entry drops those of its key that are older than what can be read."""
    lines = Timelines(lambda identity: [(identity, 1), (identity, 5)])
    lines.add(("a", 9), oldest=5)
    assert lines.of("a") == [("a", 5), ("a", 9)]


def test_old_lines_are_dropped_but_for_needed_ones():
    """Beyond the bound the older half goes; a line whose entry is needed stays; a dropped one is loaded again."""
    loads = []

    def load(identity):
        loads.append(identity)
        return [(identity, time) for time in range(timelines._MAX_ENTRIES // 3)]

    lines = Timelines(load)
    for identity in "abcd":
        lines.of(identity)
    lines.bound(lambda entry: entry == ("a", 0))
    assert [lines.knows(identity) for identity in "abcd"] == [True, False, True, True]
    lines.of("b")
    assert loads == ["a", "b", "c", "d", "b"]

"""What a join's store knows without its engine."""

from hypothesis import given
from hypothesis import strategies as st

from state.recent import RecentEntries

RETENTION_MS = 20
WRITES = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 100)), max_size=40)


@given(WRITES, st.integers(0, 100), st.integers(0, 30), st.sampled_from([0, 1, RETENTION_MS]))
def test_it_answers_as_a_list_of_all_writes_would(writes, first, span, retention_ms):
    """Entries of the key and time that can still be read, by time, those of one time as they came; without any
    retention, none.
    """
    recent = RecentEntries(retention_ms, stream_time=-1)
    for number, (key, time) in enumerate(writes):
        recent.add(key, time, number)
        recent.arrived(key)
    oldest = max((time for _, time in writes), default=-1) - retention_ms + 1
    assert all(any(time >= oldest - max(retention_ms, 1) for time, _ in line) for line in recent.lines.values())
    expected = [
        (time, number)
        for number, (key, time) in enumerate(writes)
        if key == "a" and max(first, oldest) <= time <= first + span
    ]
    assert recent.between("a", first, first + span) == sorted(expected, key=lambda entry: entry[0])


def test_what_was_there_before_is_not_known():
    """After a restart only times that nobody had written yet can be asked for, until the rest cannot be read."""
    recent = RecentEntries(RETENTION_MS, stream_time=50)
    assert (recent.knows(50), recent.knows(51)) == (False, True)
    recent.add("a", 51 + RETENTION_MS, "late enough")
    assert recent.knows(0)


def test_too_many_entries_go_by_whole_groups():
    """Beyond the limit the oldest groups are dropped, and no longer known."""
    recent = RecentEntries(RETENTION_MS, stream_time=-1)
    for time in range(15):
        recent.add("a", time, time)
        recent.arrived("a")
    recent.bound(5)
    assert (recent.knows(9), recent.knows(10)) == (False, True)
    assert recent.between("a", 10, 14) == [(time, time) for time in range(10, 15)]

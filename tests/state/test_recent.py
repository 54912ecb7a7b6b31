"""What a join's store knows without its engine."""

from itertools import accumulate

from hypothesis import example, given
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
        recent.counted(1)
    oldest = max((time for _, time in writes), default=-1) - retention_ms + 1
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


def test_what_is_out_of_reach_goes():
    """With it goes its key: no more than two generations are kept, each as long as the retention."""
    recent = RecentEntries(RETENTION_MS, stream_time=-1)
    for time in range(0, 50 * RETENTION_MS, 5):
        recent.add(f"at {time}", time, time)
        assert len(recent.younger) + len(recent.older) <= 2 * RETENTION_MS // 5


def test_too_many_entries_go_by_whole_generations():
    """Beyond the limit the older generation is dropped, and no longer known; with half of it a new one begins."""
    recent = RecentEntries(RETENTION_MS, stream_time=-1)
    for time in range(10):
        recent.add("a", time, time)
        recent.counted(1)
        recent.bound(6)
    assert (recent.knows(3), recent.knows(4)) == (False, True)
    assert recent.between("a", 4, 14) == [(time, time) for time in range(4, 10)]
    recent.bound(0)
    assert (recent.knows(9), recent.knows(10)) == (False, True)


@example([18, 1, 1, 1], 4, 4)  # the older generation can still be read, and there is room for both
@given(st.lists(st.integers(-5, RETENTION_MS), max_size=30), st.integers(1, 12), st.integers(1, 5))
def test_what_it_knows_is_complete(steps, limit, every):
    """Whatever generations were dropped, by time or for lack of room: it answers in full, or says that it does not know."""
    recent = RecentEntries(RETENTION_MS, stream_time=-1)
    writes = [(max(time, 0), number) for number, time in enumerate(accumulate(steps))]
    for count, (time, number) in enumerate(writes, 1):
        recent.add("a", time, number)
        recent.counted(1)
        if count % every == 0:
            recent.bound(limit)
        for first in range(recent.latest + 1):
            if recent.knows(first):
                readable = [entry for entry in writes[:count] if entry[0] >= max(first, recent.oldest)]
                assert recent.between("a", first, recent.latest) == sorted(readable)


def test_entries_of_both_generations_are_read_by_time():
    """A late one stands where its time is, behind what came before it at that time."""
    recent = RecentEntries(RETENTION_MS, stream_time=-1)
    for number, time in enumerate((5, 9, RETENTION_MS, 9, 7)):
        recent.add("a", time, number)
    assert recent.younger and recent.older
    assert recent.between("a", 0, 99) == [(5, 0), (7, 4), (9, 1), (9, 3), (RETENTION_MS, 2)]


@given(WRITES, st.lists(st.integers(0, 100), min_size=1, max_size=10), st.integers(0, 100))
def test_entries_of_new_keys_may_come_together_where_their_order_does_not_matter(writes, times, read_from):
    """All that could be read when the last of them is here can be, and stays as long as that."""
    one, other = RecentEntries(RETENTION_MS, stream_time=10), RecentEntries(RETENTION_MS, stream_time=10)
    for recent in (one, other):
        for number, (key, time) in enumerate(writes):
            recent.add(key, time, number)
    if one.order_matters(min(times), max(times), read_from):
        return
    one.add_new(range(len(times)), times, times)
    for number, time in enumerate(times):
        other.add(number, time, time)
    for later in (0, RETENTION_MS // 2, RETENTION_MS, 3 * RETENTION_MS):
        for recent in (one, other):
            recent.add("later", max(times) + later, None)
        for key in ("a", "b", *range(len(times))):
            assert one.between(key, max(read_from, 11), 200) == other.between(key, max(read_from, 11), 200)

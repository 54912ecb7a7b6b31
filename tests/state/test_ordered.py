"""The dictionary in order, and the merge of two orders."""

from hypothesis import given
from hypothesis import strategies as st

from state.ordered import OrderedBytes, overlay

KEYS = st.binary(max_size=2)
STEP = st.one_of(
    st.tuples(st.just("set"), st.lists(KEYS, max_size=90)),
    st.tuples(st.just("discard"), KEYS),
    st.tuples(st.just("discard_range"), st.tuples(st.none() | KEYS, st.none() | KEYS)),
    st.tuples(st.just("read"), st.tuples(st.none() | KEYS, st.none() | KEYS)),
)


def within(key, bounds):
    return (bounds[0] is None or bounds[0] <= key) and (bounds[1] is None or key < bounds[1])


@given(st.lists(STEP, max_size=12))
def test_it_is_a_sorted_dictionary(steps):
    """Whatever is set and removed, reads are those of a dictionary that is sorted each time."""
    ordered, model = OrderedBytes(), {}
    for number, (verb, what) in enumerate(steps):
        if verb == "set":
            for key in what:
                ordered[key] = model[key] = bytes([number])
        elif verb == "discard":
            ordered.discard(what)
            model.pop(what, None)
        elif verb == "discard_range":
            ordered.discard_range(*what)
            model = {key: value for key, value in model.items() if not within(key, what)}
        else:
            expected = sorted(item for item in model.items() if within(item[0], what))
            assert ordered.entries(*what) == expected
            assert ordered.entries(*what, reverse=True) == expected[::-1]
    assert dict(ordered) == model


@given(st.dictionaries(KEYS, st.none() | st.just(b"new")), st.dictionaries(KEYS, st.just(b"old")), st.booleans())
def test_overlay_is_a_dictionary_update(newer, older, reverse):
    """Merging equals updating a dictionary and dropping what is None, in either direction."""
    merged = overlay(
        sorted(newer.items(), reverse=reverse), iter(sorted(older.items(), reverse=reverse)), reverse=reverse
    )
    expected = {key: value for key, value in (older | newer).items() if value is not None}
    assert list(merged) == sorted(expected.items(), reverse=reverse)

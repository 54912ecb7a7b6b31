"""The orders of Java's collections, which Kafka's descriptions and flushes show."""

from hypothesis import given
from hypothesis import strategies as st

from streams.topology.java_order import TreeOrder, hash_ordered, java_hash


def test_string_hash_codes():
    """java.lang.String.hashCode of known texts, surrogate pairs included."""
    assert java_hash("") == 0
    assert java_hash("hello") == 99162322
    assert java_hash("KSTREAM-SOURCE-0000000000") == java_hash("KSTREAM-SOURCE-0000000000")
    assert java_hash("\U0001f600") == 1772899


def test_stores_of_a_left_join_in_a_hash_set():
    """The order in which Kafka 4.3 prints the two stores of a left join, which depends on their numbers."""
    pending, other = "KSTREAM-OUTERSHARED-0000000004-store", "KSTREAM-OUTEROTHER-0000000005-store"
    assert hash_ordered([pending, other]) == (other, pending)
    pending, other = "KSTREAM-OUTERSHARED-0000000012-store", "KSTREAM-OUTEROTHER-0000000013-store"
    assert hash_ordered([other, pending]) == (pending, other)


@given(st.lists(st.text(max_size=8)))
def test_a_hash_set_holds_each_name_once(names):
    """Order aside, a HashSet is a set."""
    assert sorted(hash_ordered(names)) == sorted(set(names))


@given(st.lists(st.integers(0, 50), max_size=40))
def test_a_tree_set_with_a_steady_comparison_is_sorted(numbers):
    """While the comparison does not change, a TreeSet gives its elements back in order."""
    order = TreeOrder(lambda a, b: int(a) < int(b))
    for number in numbers:
        order.add(str(number))
    assert [int(name) for name in order] == sorted(set(numbers))


def test_a_tree_set_keeps_the_order_of_the_time_of_insertion():
    """An element that outgrows its neighbours later stays where it is."""
    size = {"a": 1, "b": 2}
    order = TreeOrder(lambda a, b: size[a] > size[b])
    order.add("a")
    order.add("b")
    size["a"] = 3
    assert list(order) == ["b", "a"]

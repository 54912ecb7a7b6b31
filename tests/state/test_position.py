"""How complete a store is, and in which changelog."""

from state import StoreKind

ONE, OTHER = bytes(16), bytes(range(16))


def test_a_position_counts_in_the_changelog_that_was_noted_first(bench):
    """Also in a store that is opened again; one that has no position yet takes any, and the entries stay as they are."""
    directory, spec = bench.task(), bench.spec(StoreKind.KEY_VALUE)
    store = bench.open(spec, directory=directory)
    assert store.counts_in(OTHER)
    assert store.counts_in(ONE)
    store.put("k", 1)
    store.commit(1)
    store.close()
    again = bench.open(spec, directory=directory)
    assert again.counts_in(ONE)
    assert not again.counts_in(OTHER)
    assert (again.position, list(again.all())) == (1, [("k", 1)])
    again.close()


def test_a_store_that_has_noted_no_changelog_takes_the_first_one(bench):
    """As an earlier release has left it: a position, and nothing about the topic."""
    store = bench.open(bench.spec(StoreKind.KEY_VALUE), directory=bench.task())
    store.restore([b"k"], [store.spec.value_serde.serialize(1)], [0], 1)
    assert store.counts_in(ONE)
    assert not store.counts_in(OTHER)

"""Store specs: kind, cache, retention and serdes by what a store is for."""

import pytest

from state.stores import StoreKind
from streams.dsl.options import Materialized
from streams.dsl.stores import key_value_store
from streams.errors import TopologyError
from streams.graph.windows import (
    EmitStrategy,
    JoinWindows,
    SessionWindows,
    SlidingWindows,
    TimeWindows,
    UnlimitedWindows,
)
from streams.serdes import serde_for
from streams.topology.nodes import StoreUse


@pytest.mark.parametrize(
    ("windows", "kind", "retention_ms", "size_ms"),
    [
        (TimeWindows.of(100, grace=5), StoreKind.TIMESTAMPED_WINDOW, 105, 100),
        (SlidingWindows.of(100, grace=5), StoreKind.TIMESTAMPED_WINDOW, 205, 100),
        (SessionWindows.with_inactivity_gap(100, grace=5), StoreKind.SESSION, 105, 0),
        (UnlimitedWindows.of(), StoreKind.TIMESTAMPED_WINDOW, 2**63 - 1, 2**63 - 1),
    ],
)
def test_windowed_aggregates(builder, build, windows, kind, retention_ms, size_ms):
    """Windows decide the kind of store, and how long it keeps them."""
    builder.stream("in", key=str).group_by_key().windowed_by(windows).count(name="n")
    spec = build().stores["n"]
    assert (spec.kind, spec.retention_ms, spec.window_size_ms) == (kind, retention_ms, size_ms)
    assert (spec.key_serde, spec.value_serde, spec.cached) == (serde_for(str), serde_for(int), True)


@pytest.mark.parametrize(
    ("windows", "cached"),
    [
        (TimeWindows.of(100), True),
        (SlidingWindows.of(100), False),
        (SessionWindows.with_inactivity_gap(100), False),
    ],
)
def test_caching_of_what_is_emitted_on_close(builder, build, windows, cached):
    """Kafka caches time windows that are emitted on close, but neither sliding windows nor sessions."""
    windowed = builder.stream("in").group_by_key().windowed_by(windows)
    windowed.emit_strategy(EmitStrategy.ON_WINDOW_CLOSE).count(name="n")
    assert build().stores["n"].cached is cached


def test_a_versioned_table_is_never_cached(builder, build):
    """A history makes a versioned store, which keeps every version."""
    builder.table("t", store=Materialized(name="v", history="1 minute"))
    spec = build().stores["v"]
    assert (spec.kind, spec.retention_ms, spec.cached) == (StoreKind.VERSIONED_KEY_VALUE, 60_000, False)


def test_no_cache_without_room_for_one(builder, build):
    """statestore_cache_max_bytes=0 turns the record cache of every store off, users' stores too."""
    builder.stream("in").group_by_key().count(name="n")
    builder.add_state_store(key_value_store("mine", str, str, cached=True))
    assert {name: spec.cached for name, spec in build().stores.items()} == {"n": True, "mine": True}
    assert not any(spec.cached for spec in build(statestore_cache_max_bytes=0).stores.values())


def test_retention_may_only_be_raised(builder, build):
    """A store must keep windows until no record can change them."""
    grouped = builder.stream("in").group_by_key().windowed_by(TimeWindows.of(100, grace=5))
    grouped.count(store=Materialized(name="n", retention=104))
    with pytest.raises(TopologyError, match=r"its store n must keep windows for 105 ms .* retention is 104 ms"):
        build()


def test_stores_of_an_outer_join(builder, build):
    """Two window stores that keep duplicates, and the pending records of both sides."""
    left, right = builder.stream("l", key=str), builder.stream("r", key=str)
    left.outer_join(right, lambda a, b: a, within=JoinWindows.of(10, grace=3), store="j").to("out")
    topology = build()
    assert topology.store_uses == {
        "j-outer-this-join-store": StoreUse.JOIN_WINDOW,
        "j-outer-other-join-store": StoreUse.JOIN_WINDOW,
        "j-outer-shared-join-store": StoreUse.JOIN_PENDING,
    }
    window = topology.stores["j-outer-this-join-store"]
    assert (window.kind, window.retention_ms, window.retain_duplicates) == (StoreKind.WINDOW, 23, True)


def test_undeclared_types_get_the_configured_serde(builder, build):
    """Without a declared type, keys and values have the default serdes, inside windowed keys too."""
    counts = builder.stream("in").group_by_key().windowed_by(TimeWindows.of(100)).count(name="n")
    counts.to_stream().to("out")
    topology = build(default_key_serde="str")
    assert topology.stores["n"].key_serde is serde_for(str)
    sink = next(node for node in topology.nodes.values() if node.name.startswith("KSTREAM-SINK-"))
    assert sink.serdes.key.inner is serde_for(str)

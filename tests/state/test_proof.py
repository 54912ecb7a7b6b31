"""Values of another class than their serde gives back: they are in memory what they are after a restart."""

from enum import IntEnum, StrEnum

import pytest

from state import StoreKind
from streams.serdes import serde_for
from streams.serdes.primitives import Float32


class Colour(StrEnum):
    RED = "red"


class Size(IntEnum):
    BIG = 7


CACHES = pytest.mark.parametrize("cache_bytes", [None, 1, 1 << 20], ids=["no cache", "tiny cache", "cache"])
VALUES = [
    (float, 1),
    (float, 2**53 + 1),
    (int, True),
    (int, Size.BIG),
    (str, Colour.RED),
    (bytes, bytearray(b"x")),
    (Float32, 0.1),
    (Float32, 3),
]
PUTS = {
    StoreKind.KEY_VALUE: (lambda store, value: store.put("k", value), lambda store: store.get("k")),
    StoreKind.TIMESTAMPED_KEY_VALUE: (lambda store, value: store.put("k", value, 1), lambda store: store.get("k")[0]),
    StoreKind.VERSIONED_KEY_VALUE: (lambda store, value: store.put("k", value, 1), lambda store: store.get("k")[0]),
    StoreKind.WINDOW: (lambda store, value: store.put("k", value, 1), lambda store: store.fetch("k", 1)),
    StoreKind.TIMESTAMPED_WINDOW: (lambda store, value: store.put("k", value, 1), lambda store: store.fetch("k", 1)[0]),
    StoreKind.SESSION: (lambda store, value: store.put("k", 1, 2, value), lambda store: store.fetch_session("k", 1, 2)),
}


@CACHES
@pytest.mark.parametrize("kind", PUTS)
@pytest.mark.parametrize(("declared", "value"), VALUES)
def test_a_value_is_what_it_will_be_after_a_restart(bench, kind, cache_bytes, declared, value):
    """Of its serde's class from the beginning, and passed on so by a record cache."""
    put, get = PUTS[kind]
    spec = bench.spec(kind, cached=cache_bytes is not None, value_serde=serde_for(declared), retention_ms=1_000)
    directory, told = bench.task(), []
    store = bench.open(spec, directory=directory, cache_bytes=cache_bytes)
    store.set_flush_listener(lambda flushed: told.extend(flushed.new_values), send_old_values=False)
    put(store, value)
    found = [get(store)]
    store.flush()
    store.commit(1)
    store.close()
    store = bench.open(spec, directory=directory)
    found.append(get(store))
    store.close()
    assert len({(type(each), each) for each in [*found, *told]}) == 1


@CACHES
@pytest.mark.parametrize("kind", PUTS)
def test_bytes_that_change_later(bench, kind, cache_bytes):
    """Who fills the same buffer for each record changes nothing that is in a store, nor what a record cache lets go."""
    put, get = PUTS[kind]
    spec = bench.spec(kind, cached=cache_bytes is not None, value_serde=serde_for(bytes), retention_ms=1_000)
    store, buffer = bench.open(spec, cache_bytes=cache_bytes), bytearray(b"first")
    store.set_flush_listener(lambda _flushed: None, send_old_values=False)
    put(store, buffer)
    buffer[:] = b"other"
    before = get(store)
    store.flush()
    assert (before, get(store)) == (b"first", b"first")
    store.close()


@pytest.mark.parametrize(("declared", "value"), VALUES)
def test_updates_that_replace_each_other_are_kept_so(bench, declared, value):
    """As those that are put one by one."""
    store = bench.open(bench.spec(cached=True, value_serde=serde_for(declared)), cache_bytes=1 << 20)
    store.set_flush_listener(lambda _flushed: None, send_old_values=False)
    store.put("k", value, 1)
    one = store.get("k")[0]
    store.put_known(["k"], {"k": None}, zip(store.kept([value]), [2], strict=True))
    assert (type(store.get("k")[0]), store.get("k")) == (type(one), (one, 2))
    store.close()

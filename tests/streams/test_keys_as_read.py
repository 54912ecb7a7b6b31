"""Keys that nobody changes are written as the bytes that they were read from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.serde import exact
from streams.dsl.builder import StreamsBuilder
from streams.record import Batch
from streams.serdes.primitives import BOOL, BYTES, DOUBLE, FLOAT32, INT16, INT32, LONG, STRING, UUID_TEXT, Int32
from tests.streams.operators.cutting import Cutter, topology_of

EXACT = [STRING, BYTES, BOOL, LONG, INT32, INT16]


@pytest.mark.parametrize("serde", EXACT, ids=lambda serde: str(serde.type))
@given(data=st.binary(max_size=9) | st.text(max_size=5).map(str.encode) | st.binary(min_size=8, max_size=8))
def test_an_exact_serde_writes_what_it_reads(serde: Any, data: bytes) -> None:
    """Whatever bytes it takes come out again, so that they may stand for the object."""
    assert exact(serde)
    try:
        read = serde.deserialize(data)
    except ValueError:
        return
    assert serde.serialize(read) == data


def test_what_has_more_than_one_form_is_not_exact() -> None:
    """A UUID in capitals is written in small letters, and NaN has many forms: such keys are written anew."""
    assert not any(map(exact, (DOUBLE, FLOAT32, UUID_TEXT)))


def test_bytes_follow_their_keys() -> None:
    """A cut or a choice of records has the bytes of its own keys; other keys have none, and other values leave them."""
    batch = Batch([1, 2, 3], ["a", "b", "c"], [0, 0, 0], key_bytes=[b"1", b"2", b"3"])
    assert batch.slice(1, 3).key_bytes == [b"2", b"3"]
    assert batch.select([True, False, True]).key_bytes == [b"1", b"3"]
    assert batch.with_columns(batch.keys, ["x"] * 3).key_bytes == batch.key_bytes
    assert batch.with_columns([4, 5, 6], batch.values).key_bytes is None


def written(program: Callable[[StreamsBuilder], None], topic: str, keys: list[bytes]) -> list[bytes]:
    cutter = Cutter(topology_of(program))
    cutter.feed([("in", key, b"%d" % at, at) for at, key in enumerate(keys)])
    return [key for key, *_ in cutter.written(topic)]


KEYS = [number.to_bytes(8, "big") for number in (1, 2, 3, 4)]


def test_keys_that_stay_are_not_written_anew() -> None:
    """Behind a filter and a function of the values the very bytes of the keys that are left go out."""
    kept = written(
        lambda builder: (
            builder.stream("in", key=int, value=str)
            .filter(lambda key, _: key != 2)
            .map_values(lambda value: value + "!")
            .to("out")
        ),
        "out",
        KEYS,
    )
    assert list(map(id, kept)) == list(map(id, [KEYS[0], KEYS[2], KEYS[3]]))


def test_other_keys_are_written_as_they_are_now() -> None:
    """Where a function makes keys, or a sink among others has a serde of its own, what was read is of no use."""

    def rekeyed(builder: StreamsBuilder) -> None:
        builder.stream("in", key=int, value=str).select_key(lambda key, _: key + 1).to("out", key=int)

    def shorter(builder: StreamsBuilder) -> None:
        stream = builder.stream("in", key=int, value=str)
        stream.to("long")
        stream.to("out", key=Int32)

    assert written(rekeyed, "out", KEYS) == [number.to_bytes(8, "big") for number in (2, 3, 4, 5)]
    assert written(shorter, "out", KEYS) == [number.to_bytes(4, "big") for number in (1, 2, 3, 4)]
    assert written(shorter, "long", KEYS) == KEYS

"""What operators write as bytes comes back as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.operators.buffered import BufferedChange, Origin, pack_change, unpack_change
from streams.operators.change import pack, unpack
from streams.operators.subscriptions import (
    Instruction,
    Response,
    Subscription,
    combined_key,
    combined_prefix,
    primary_key_of,
)

VALUES = st.none() | st.binary(max_size=300)
HASHES = st.none() | st.binary(min_size=16, max_size=16)
HEADERS = st.lists(st.tuples(st.text(max_size=5), VALUES), max_size=3).map(tuple)
TIMES = st.integers(0, 2**62)


@given(new=VALUES, old=VALUES)
def test_changes(new: bytes | None, old: bytes | None) -> None:
    """New, old or both; neither is no value at all."""
    assert unpack(pack(new, old)) == (new, old)


def test_a_change_of_an_unknown_kind_is_refused() -> None:
    """The last byte tells the kind."""
    with pytest.raises(ValueError, match="ends in a byte 0, 1 or 2"):
        unpack(b"x\x07")


@given(timestamp=TIMES, offset=TIMES, topic=st.text(max_size=9), headers=HEADERS, prior=VALUES, old=VALUES, new=VALUES)
def test_buffered_changes(
    timestamp: int,
    offset: int,
    topic: str,
    headers: tuple[tuple[str, bytes | None], ...],
    prior: bytes | None,
    old: bytes | None,
    new: bytes | None,
) -> None:
    """With where they were read; what follows them does not matter."""
    change = BufferedChange(Origin(timestamp, offset, topic, 3, headers), prior, old, new)
    assert unpack_change(pack_change(change) + b"more") == change


@given(
    hash_=HASHES,
    instruction=st.sampled_from(Instruction),
    primary=st.binary(max_size=40),
    partition=st.integers(0, 999),
)
def test_subscriptions(hash_: bytes | None, instruction: Instruction, primary: bytes, partition: int) -> None:
    """What a left row sends."""
    subscription = Subscription(hash_, instruction, primary, partition)
    assert Subscription.from_bytes(subscription.to_bytes()) == subscription


@given(hash_=HASHES, value=VALUES)
def test_responses(hash_: bytes | None, value: bytes | None) -> None:
    """What comes back; an empty value is none, as in Kafka."""
    assert Response.from_bytes(Response(hash_, value).to_bytes()) == Response(hash_, value or None)


@given(foreign=st.binary(max_size=9), primary=st.binary(max_size=9))
def test_combined_keys(foreign: bytes, primary: bytes) -> None:
    """All subscribers of a foreign key share a prefix."""
    key = combined_key(foreign, primary)
    assert key.startswith(combined_prefix(foreign))
    assert primary_key_of(key) == primary


def test_messages_of_newer_programs_are_refused() -> None:
    """The version stands in the first byte."""
    with pytest.raises(ValueError, match="version 0 or 1, got 2"):
        Subscription.from_bytes(b"\x02\x00")
    with pytest.raises(ValueError, match="version 0, got 1"):
        Response.from_bytes(b"\x01")

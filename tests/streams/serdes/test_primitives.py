"""Single values in Kafka's own bytes."""

import math
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.serdes import Float32, Int16, Int32, serde_for

BYTES = {
    (str, "é中"): "c3a9e4b8ad",
    (int, -2): "fffffffffffffffe",
    (Int32, 258): "00000102",
    (Int16, -1): "ffff",
    (float, 1.5): "3ff8000000000000",
    (Float32, 1.5): "3fc00000",
    (bool, True): "01",
    (bool, False): "00",
    (bytes, b"\x00\xff"): "00ff",
    (UUID, UUID(int=1)): b"00000000-0000-0000-0000-000000000001".hex(),
}


@pytest.mark.parametrize(("kind", "value"), BYTES, ids=str)
def test_bytes_are_kafkas(kind: Any, value: Any) -> None:
    """Each type is written as Kafka's serializer of that type writes it, and read back."""
    serde = serde_for(kind)
    data = serde.serialize(value)
    assert data.hex() == BYTES[kind, value]
    assert serde.deserialize(data) == value


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (str, st.text(st.characters(exclude_categories=["Cs"]))),
        (int, st.integers(-(2**63), 2**63 - 1)),
        (Int32, st.integers(-(2**31), 2**31 - 1)),
        (float, st.floats(allow_nan=False)),
        (bytes, st.binary()),
        (UUID, st.uuids()),
    ],
    ids=str,
)
def test_round_trip(kind: Any, values: st.SearchStrategy[Any]) -> None:
    """What is written is read back, for any value."""
    serde = serde_for(kind)

    @given(values)
    def holds(value: Any) -> None:
        assert serde.deserialize(serde.serialize(value)) == value

    holds()


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (str, 5, "expected a str, got 5"),
        (int, "5", "expected an int of 64 bits, got '5'"),
        (int, 2**63, "expected an int of 64 bits"),
        (Int32, 2**31, "expected an int of 32 bits"),
        (float, "x", "expected a float, got 'x'"),
        (bool, 1, "expected True or False, got 1"),
        (bytes, "text", "expected bytes, got 'text'"),
        (UUID, "x", "expected a uuid.UUID"),
        (None, 5, "expected None, because the type given for it is None; got 5"),
    ],
)
def test_wrong_value(kind: Any, value: Any, message: str) -> None:
    """The error says what was expected and what came."""
    with pytest.raises(TypeError, match=message):
        serde_for(kind).serialize(value)


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        (str, b"ab\xff", "expected UTF-8 text: invalid start byte at byte 2"),
        (int, b"123", "expected an int of 64 bits in 8 bytes, got 3 bytes"),
        (float, b"", "in 8 bytes, got 0 bytes"),
        (bool, b"\x02", "expected one byte, 00 or 01, got 02"),
        (UUID, b"nonsense", "expected a UUID as text, got b'nonsense'"),
        (None, b"x", "expected nothing"),
    ],
)
def test_wrong_bytes(kind: Any, data: bytes, message: str) -> None:
    """Bytes of another form are refused, with what was expected."""
    with pytest.raises(ValueError, match=message):
        serde_for(kind).deserialize(data)


def test_long_values_are_cut_in_messages() -> None:
    """An error about a huge value stays readable."""
    with pytest.raises(TypeError) as raised:
        serde_for(int).serialize("x" * 100_000)
    assert len(str(raised.value)) < 400


def test_equal_values_have_equal_bytes_where_promised() -> None:
    """`by_value` is not claimed for floats, whose two zeros are equal and differ in bytes."""
    assert serde_for(str).by_value
    assert serde_for(int).by_value
    assert not serde_for(float).by_value
    assert math.copysign(1, serde_for(float).deserialize(serde_for(float).serialize(-0.0))) == -1

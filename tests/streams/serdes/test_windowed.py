"""Windowed keys in Kafka's layouts."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import TopologyError
from streams.record import Windowed
from streams.serdes import SessionWindowedSerde, TimeWindowedSerde, serde_for

VECTORS = Path(__file__).parents[4] / "shared" / "oracle" / "executed" / "format-vectors.json"
STRING = serde_for(str)
TIMES = st.integers(0, 2**62)


def test_layouts() -> None:
    """Time windows keep the start; sessions the end, then the start."""
    assert TimeWindowedSerde(STRING, 10).serialize(Windowed("k", 10, 20)).hex() == "6b000000000000000a"
    assert SessionWindowedSerde(STRING).serialize(Windowed("k", 10, 20)).hex() == "6b0000000000000014000000000000000a"


@pytest.mark.skipif(not VECTORS.exists(), reason="no recorded vectors beside this checkout")
def test_recorded_vectors() -> None:
    """The bytes are those that Kafka Streams wrote."""
    recorded = json.loads(VECTORS.read_text())["serializers"]
    key = Windowed("k", 10, 20)
    assert recorded["TimeWindowedSerializer('k',[10,20))"] == TimeWindowedSerde(STRING, 10).serialize(key).hex()
    assert recorded["SessionWindowedSerializer('k',[10,20])"] == SessionWindowedSerde(STRING).serialize(key).hex()


@given(st.text(st.characters(exclude_categories=["Cs"])), TIMES, st.integers(0, 2**40))
def test_round_trip(key: str, start_ms: int, length_ms: int) -> None:
    """A windowed key is read back whole, given the window's size."""
    windowed = Windowed(key, start_ms, start_ms + length_ms)
    for serde in (TimeWindowedSerde(STRING, length_ms), SessionWindowedSerde(STRING)):
        assert serde.deserialize(serde.serialize(windowed)) == windowed


def test_a_type_and_a_duration_will_do() -> None:
    """As everywhere else; what is none of them is refused at once, not with the first key."""
    assert TimeWindowedSerde(str, "10 s") == TimeWindowedSerde(STRING, timedelta(seconds=10))
    assert TimeWindowedSerde(str, "10 s").size_ms == 10_000
    assert SessionWindowedSerde(str) == SessionWindowedSerde(STRING)
    with pytest.raises(TopologyError, match="the size of windows: expected a number and a unit"):
        TimeWindowedSerde(str, "10")
    with pytest.raises(TopologyError, match="no serde is known for 5"):
        SessionWindowedSerde(5)


def test_unlimited_windows_do_not_overflow() -> None:
    """The end of a window without end is Java's largest long, as in Kafka."""
    serde = TimeWindowedSerde(STRING)
    assert serde.deserialize(serde.serialize(Windowed("k", 7, 8))).end_ms == 2**63 - 1


@pytest.mark.parametrize("serde", [TimeWindowedSerde(STRING, 10), SessionWindowedSerde(STRING)])
def test_wrong_input(serde: TimeWindowedSerde | SessionWindowedSerde) -> None:
    """Bytes too short, and keys that are not windowed, are refused."""
    with pytest.raises(ValueError, match="expected a key and a"):
        serde.deserialize(b"short")
    with pytest.raises(TypeError, match="expected Windowed"):
        serde.serialize("plain")  # type: ignore[arg-type]

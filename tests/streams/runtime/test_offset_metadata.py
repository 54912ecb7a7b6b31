"""What is committed beside an offset."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.offset_metadata import PartitionMetadata, decode, encode

times = st.integers(-(2**63), 2**63 - 1)


@given(times, st.dictionaries(st.text(max_size=20), times, max_size=4))
def test_round_trip(time: int, processors: dict[str, int]) -> None:
    """What was encoded is decoded."""
    metadata = PartitionMetadata(time, processors)
    assert decode(encode(metadata)) == metadata


def test_kafkas_bytes() -> None:
    """Version 2, then the time, big-endian, in Base64: what Kafka Streams commits for partition time 1000."""
    assert encode(PartitionMetadata(1000)) == "AgAAAAAAAAPo"


def test_version_1_of_kafka() -> None:
    """Older Kafka Streams wrote the time alone."""
    assert decode("AQAAAAAAAAPo") == PartitionMetadata(1000)


@pytest.mark.parametrize("text", ["hello", "!", "AgAA", "AgAAAAAAAAPoAAAAAQ=="])
def test_foreign_text_is_unknown_time(text: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever else was committed there is ignored with a warning."""
    with caplog.at_level(logging.WARNING):
        assert decode(text) == PartitionMetadata()
    assert "is not a partition time" in caplog.text


def test_nothing_committed() -> None:
    """No text means no time, silently."""
    assert decode("") == PartitionMetadata()

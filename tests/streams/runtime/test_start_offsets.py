"""Where reading begins."""

from __future__ import annotations

import logging

import pytest

from streams.clients.base import NewTopic, OffsetAndMetadata
from streams.clients.memory import MemoryBroker, MemoryConsumer
from streams.errors import ClientError
from streams.record import Batch, TopicPartition
from streams.runtime.start_offsets import StartOffsets

PART = TopicPartition("t", 0)


@pytest.fixture
def consumer() -> MemoryConsumer:
    broker = MemoryBroker()
    broker.create(NewTopic("t", 1))
    broker.append(PART, Batch([None] * 3, [b""] * 3, [1_000, 2_000, 3_000]))
    consumer = MemoryConsumer(broker, "g")
    consumer.assign([PART])
    return consumer


@pytest.mark.parametrize(("reset", "offset"), [("earliest", 0), ("latest", 3), (1_500, 1), (99_999, 0)])
def test_without_a_committed_offset_the_rule_decides(consumer: MemoryConsumer, reset: str | int, offset: int) -> None:
    """Earliest, latest, or so many ms before now (3,400): the source's own rule goes first."""
    StartOffsets({"t": reset}, "none", lambda: 3_400).place(consumer, [PART])
    assert consumer.position(PART) == offset


def test_a_pattern_has_a_rule_for_what_matches(consumer: MemoryConsumer) -> None:
    """Whole names match, and a topic that is named goes first."""
    rules: dict[str, str | int] = {"x": "none", "t": "latest", ".": "earliest"}
    StartOffsets({}, "none", lambda: 0, patterns=rules).place(consumer, [PART])
    assert consumer.position(PART) == 3
    StartOffsets({"t": "earliest"}, "none", lambda: 0, patterns=rules).place(consumer, [PART])
    assert consumer.position(PART) == 0


def test_a_committed_offset_goes_first(consumer: MemoryConsumer) -> None:
    """It is returned too, for its metadata."""
    consumer.commit({PART: OffsetAndMetadata(1, "m")})
    assert StartOffsets({}, "latest", lambda: 0).place(consumer, [PART]) == {PART: OffsetAndMetadata(1, "m")}
    assert consumer.position(PART) == 1


def test_none_is_an_error(consumer: MemoryConsumer) -> None:
    """It names the partition and the cure."""
    with pytest.raises(ClientError, match="t-0 has no committed offset.*'earliest' or 'latest'"):
        StartOffsets({}, "none", lambda: 0).place(consumer, [PART])


def test_a_lost_offset_is_said(consumer: MemoryConsumer, caplog: pytest.LogCaptureFixture) -> None:
    """Going on elsewhere is a warning with both offsets."""
    with caplog.at_level(logging.WARNING):
        StartOffsets({}, "latest", lambda: 0).reset(consumer, PART, 77)
    assert consumer.position(PART) == 3
    assert "no offset 77 any more: going on at 3" in caplog.text

"""Tests for streams.mock_processor_context: a processor on its own."""

from __future__ import annotations

from typing import Any

import pytest

from streams import Processor, PunctuationType, Record, TopologyError, key_value_store
from streams.processor import ProcessorContext, RecordMetadata
from streams.testing import MockProcessorContext


class Counter(Processor):
    """Counts keys; tells the counts when the clock strikes."""

    def init(self, context: ProcessorContext) -> None:
        super().init(context)
        self.counts = context.store("counts")
        self.ticking = context.schedule("5 s", PunctuationType.WALL_CLOCK_TIME, self.tell)

    def process(self, record: Record) -> None:
        if record.key is None:
            self.context.failed(record, ValueError("no key"))
            return
        self.counts.put(record.key, (self.counts.get(record.key) or 0) + 1)
        self.context.forward(record, to="raw")

    def tell(self, time_ms: int) -> None:
        for key, count in self.counts.all():
            self.context.forward(Record(key, count, time_ms))
        self.context.commit()
        self.ticking.cancel()


@pytest.fixture
def context() -> MockProcessorContext:
    return MockProcessorContext(stores=[key_value_store("counts", str, int)])


@pytest.fixture
def processor(context: MockProcessorContext) -> Counter:
    processor = Counter()
    processor.init(context)
    return processor


def test_what_a_processor_does_is_written_down(context: MockProcessorContext, processor: Counter) -> None:
    """Records and the children they are for, punctuators to fire, commits asked for, errors handed over."""
    for key in ("a", "b", "a", None):
        processor.process(Record(key, "x", 1))
    assert [each.to for each in context.forwards] == ["raw"] * 3
    assert [record.key for record in context.forwarded("raw")] == ["a", "b", "a"]
    assert context.forwarded("other") == []
    assert [str(error) for _, error in context.failures] == ["no key"]
    (punctuator,) = context.punctuators
    assert (punctuator.interval_ms, punctuator.kind) == (5_000, PunctuationType.WALL_CLOCK_TIME)
    assert not context.commit_requested
    context.reset()
    punctuator.callback(9_000)
    assert context.forwarded() == [Record("a", 2, 9_000), Record("b", 1, 9_000)]
    assert context.commit_requested
    assert punctuator.cancelled


def test_the_test_sets_place_and_time(context: MockProcessorContext) -> None:
    """Nothing moves by itself."""
    assert (context.stream_time_ms(), context.system_time_ms(), context.record_metadata) == (-1, 0, None)
    context.stream_ms, context.system_ms = 7, 8
    context.record_metadata = RecordMetadata("in", 0, 3)
    assert (context.stream_time_ms(), context.system_time_ms()) == (7, 8)


def test_an_unknown_store_is_named(context: MockProcessorContext) -> None:
    """With those that there are."""
    unknown: Any = "totals"
    with pytest.raises(TopologyError, match=r"there is no store 'totals': .* \(there are: counts\)"):
        context.store(unknown)

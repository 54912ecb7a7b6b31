"""Reading and writing: bytes that cannot be read, timestamps, topics and partitions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pytest

from streams.clients.base import NewTopic
from streams.clients.partitioner import partition_for
from streams.dsl.builder import StreamsBuilder
from streams.errors import DeserializationError, ProcessingError, ProductionError, StreamsError
from streams.graph.windows import TimeWindows
from streams.on_error import CONTINUE
from streams.processor import log_and_skip_on_invalid_timestamp, use_partition_time_on_invalid_timestamp
from streams.runtime.error_handlers import ErrorHandlers
from streams.serdes import TimeWindowedSerde, serde_for
from tests.streams.operators.cutting import Cutter, skipping, texts, topology_of


def numbers(builder: StreamsBuilder, **options: Any) -> Any:
    return builder.stream("in", key=str, value=dict, **options)


def test_bytes_that_cannot_be_read_stop_the_task_with_topic_and_offset() -> None:
    """The default; the message shows the bytes."""
    cutter = Cutter(topology_of(lambda builder: numbers(builder).to("out")))
    with pytest.raises(DeserializationError, match=r"in\[0\]@1"):
        cutter.feed(texts("in", ("a", "{}", 1), ("b", "{", 2)))


def test_bytes_that_cannot_be_read_are_skipped_on_demand() -> None:
    """The others of the batch keep their order."""
    cutter = Cutter(topology_of(lambda builder: numbers(builder).to("out")), handlers=skipping())
    cutter.feed(texts("in", ("a", "{}", 1), ("b", "{", 2), ("c", "{}", 3)))
    assert [key for key, *_ in cutter.written("out")] == [b"a", b"c"]


def test_the_value_may_tell_the_time() -> None:
    """A function of the value, over the whole batch."""
    cutter = Cutter(topology_of(lambda builder: numbers(builder, timestamp=lambda value: value["at"]).to("out")))
    cutter.feed(texts("in", ("a", '{"at":7}', 1), ("b", '{"at":5}', 2)))
    assert [timestamp for *_, timestamp in cutter.written("out")] == [7, 5]


def test_the_time_may_be_a_datetime() -> None:
    """With a zone or without one, which is UTC; anything else is told with its record."""

    def at(value: Any) -> Any:
        return datetime.fromisoformat(value["at"]) if "at" in value else "noon"

    cutter = Cutter(topology_of(lambda builder: numbers(builder, timestamp=at).to("out")), handlers=skipping())
    values = '{"at":"1970-01-01T00:00:07"}', '{"at":"1970-01-01T01:00:05+01:00"}', "{}"
    cutter.feed(texts("in", *(("a", value, 1) for value in values)))
    assert [timestamp for *_, timestamp in cutter.written("out")] == [7_000, 5_000]


def test_a_deletion_keeps_its_own_time() -> None:
    """A function of the value has nothing to read there; one that knows what to do without a value is asked."""
    for function, expected in (
        (lambda value: value["at"], [7, 2]),
        (lambda value: value["at"] if value else 9, [7, 9]),
    ):
        cutter = Cutter(topology_of(lambda builder, of=function: numbers(builder, timestamp=of).to("out")))
        cutter.feed(texts("in", ("a", '{"at":7}', 1), ("b", None, 2)))
        assert [timestamp for *_, timestamp in cutter.written("out")] == expected


def test_an_extractor_gets_the_time_of_its_partition() -> None:
    """The highest time of the records before, -1 at first."""
    times = []

    def extract(record: Any, partition_time: int) -> int:
        times.append(partition_time)
        return int(record.timestamp)

    cutter = Cutter(topology_of(lambda builder: numbers(builder, timestamp=extract).to("out")))
    cutter.feed(texts("in", ("a", "{}", 4), ("b", "{}", 3), ("c", "{}", 9)))
    assert times == [-1, 4, 4]


def test_a_negative_time_drops_the_record() -> None:
    """Kafka's rule for extractors; the offset moves on."""
    cutter = Cutter(topology_of(lambda builder: numbers(builder, timestamp=lambda value: value["at"]).to("out")))
    cutter.feed(texts("in", ("a", '{"at":-1}', 1), ("b", '{"at":5}', 2)))
    assert [key for key, *_ in cutter.written("out")] == [b"b"]
    assert sum(cutter.task.dropped_records.values()) == 1


@pytest.mark.parametrize(
    ("timestamp", "records", "message"),
    [
        (lambda record, _time: record.value["at"], [("a", '{"at":4}', 1), ("b", "{}", 2)], "KeyError: 'at'"),
        (None, [("a", "{}", 1), ("b", "{}", -1)], "ValueError: expected a timestamp in ms since 1970, got -1"),
        (use_partition_time_on_invalid_timestamp, [("b", "{}", -1)], "ValueError: expected a timestamp"),
    ],
)
def test_an_extractor_that_raises_stops_the_task(timestamp: Any, records: list[Any], message: str) -> None:
    """No handler is asked. Kafka with LogAndContinue: StreamsException, "Fatal user code error in TimestampExtractor"."""
    program = topology_of(lambda builder: numbers(builder, timestamp=timestamp).to("out"))
    cutter = Cutter(program, handlers=skipping())
    with pytest.raises(
        StreamsError, match=f"the timestamp extractor of KSTREAM-SOURCE-0000000000 raised {message}"
    ) as told:
        cutter.feed(texts("in", *records))
    assert f"in[0]@{len(records) - 1}" in str(told.value)


def test_a_value_that_does_not_tell_its_time_is_one_that_cannot_be_read() -> None:
    """Here the second has no time in it, and a function of the value has no other way to say so."""
    program = topology_of(lambda builder: numbers(builder, timestamp=lambda value: value["at"]).to("out"))
    cutter = Cutter(program, handlers=skipping())
    cutter.feed(texts("in", ("a", '{"at":4}', 1), ("b", "{}", 2), ("c", '{"at":6}', 3)))
    assert [key for key, *_ in cutter.written("out")] == [b"a", b"c"]


def test_the_extractor_that_skips_leaves_out_records_without_a_time() -> None:
    """Kafka's LogAndSkipOnInvalidTimestamp is how such records are passed over."""
    program = topology_of(lambda builder: numbers(builder, timestamp=log_and_skip_on_invalid_timestamp).to("out"))
    cutter = Cutter(program)
    cutter.feed(texts("in", ("a", "{}", 4), ("b", "{}", -1), ("c", "{}", 6)))
    assert [key for key, *_ in cutter.written("out")] == [b"a", b"c"]


def test_a_result_that_cannot_be_serialized_names_the_topic() -> None:
    """Production errors say what the serde expected."""
    cutter = Cutter(topology_of(lambda builder: numbers(builder).to("out", value=str)))
    with pytest.raises(ProductionError, match="out"):
        cutter.feed(texts("in", ("a", "{}", 1)))


def test_a_chooser_picks_the_topic_of_each_record() -> None:
    """Records keep their order within a topic."""
    say = lambda builder: numbers(builder).to(lambda key, value, record: f"to-{key}")  # noqa: E731
    cutter = Cutter(topology_of(say))
    cutter.feed(texts("in", ("a", "{}", 1), ("b", "{}", 2), ("a", "{}", 3)))
    assert [timestamp for *_, timestamp in cutter.written("to-a")] == [1, 3]
    assert [timestamp for *_, timestamp in cutter.written("to-b")] == [2]


def partitions(cutter: Cutter, topic: str) -> list[tuple[bytes | None, int]]:
    return [(record.key, record.partition) for record in cutter.broker.records(topic)]


def test_a_partitioner_may_choose_several_partitions_or_none() -> None:
    """None as its answer leaves the choice to Kafka's partitioner; a partition that is named twice is one of Kafka's Set.

    numpy's numbers count, too. What goes nowhere counts as dropped. Kafka: RecordCollectorImpl, "Skipping record as partitioner returned no partitions".
    """
    choices = {"one": 2, "numpy": np.int64(1), "all": [0, 1, 2, 1], "none": [], "kafka": None}
    say = lambda builder: numbers(builder).to("out", partitioner=lambda topic, key, value, count: choices[key])  # noqa: E731
    cutter = Cutter(topology_of(say))
    cutter.broker.create(NewTopic("out", 3))
    cutter.feed(texts("in", *((key, "{}", 1) for key in choices)))
    expected = [
        (b"one", 2),
        (b"numpy", 1),
        (b"all", 0),
        (b"all", 1),
        (b"all", 2),
        (b"kafka", partition_for(b"kafka", 3)),
    ]
    assert sorted(partitions(cutter, "out")) == sorted(expected)
    assert cutter.task.dropped_records == {"KSTREAM-SINK-0000000001": 1}


def test_a_partition_that_does_not_exist_is_an_error() -> None:
    """The message says which there are."""
    say = lambda builder: numbers(builder).to("out", partitioner=lambda topic, key, value, count: 7)  # noqa: E731
    with pytest.raises(ProcessingError, match="chose 7: out has partitions 0 to 0"):
        Cutter(topology_of(say)).feed(texts("in", ("a", "{}", 1)))


def test_what_a_partitioner_raises_is_an_error_of_processing() -> None:
    """Its handler decides, not that of results which cannot be written. Kafka calls it inside the node before the sink."""
    say = lambda builder: numbers(builder).to("out", partitioner=lambda topic, key, value, count: value["at"])  # noqa: E731
    cutter = Cutter(topology_of(say), handlers=ErrorHandlers(processing=CONTINUE))
    cutter.feed(texts("in", ("a", '{"at":0}', 1), ("b", "{}", 2), ("c", '{"at":0}', 3)))
    assert [key for key, *_ in cutter.written("out")] == [b"a", b"c"]


def test_windows_of_a_key_share_its_partition() -> None:
    """Windowed keys are partitioned by the plain key, as Kafka does."""

    def say(builder: StreamsBuilder) -> None:
        grouped = builder.stream("in", key=str, value=str).group_by_key()
        grouped.windowed_by(TimeWindows.of(10)).count().to_stream().to("out")

    cutter = Cutter(topology_of(say, statestore_cache_max_bytes=0))
    cutter.broker.create(NewTopic("out", 5))
    cutter.feed(texts("in", *(("key", "v", timestamp) for timestamp in range(0, 100, 10))))
    keys = [
        (TimeWindowedSerde(serde_for(str), 10).deserialize(key or b""), at) for key, at in partitions(cutter, "out")
    ]
    assert len(keys) == 10
    assert {at for _, at in keys} == {partition_for(b"key", 5)}


def test_windows_of_a_key_are_repartitioned_one_by_one() -> None:
    """What a program goes on with is partitioned by key and window together: of Kafka's sinks only `to` knows windows."""

    def say(builder: StreamsBuilder) -> None:
        grouped = builder.stream("in", key=str, value=str).group_by_key()
        counted = grouped.windowed_by(TimeWindows.of(10)).count().to_stream()
        counted.repartition(partitions=5, name="again").to("out")

    cutter = Cutter(topology_of(say, statestore_cache_max_bytes=0))
    cutter.broker.create(NewTopic("cut-again-repartition", 5))
    cutter.feed(texts("in", *(("key", "v", timestamp) for timestamp in range(0, 100, 10))))
    found = partitions(cutter, "cut-again-repartition")
    assert len(found) == 10
    assert [at for _, at in found] == [partition_for(key or b"", 5) for key, _ in found]
    assert len({at for _, at in found}) > 1

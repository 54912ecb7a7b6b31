"""Filter, map and their kin over batches: what user code sees, and what happens when it raises."""

from __future__ import annotations

from typing import Any

import pytest

from streams.dsl.builder import StreamsBuilder
from streams.errors import ProcessingError
from streams.operators.columns import nothing
from streams.operators.stateless import filtering, mapping_values
from streams.record import Batch
from tests.streams.operators.cutting import Cutter, skipping, texts, topology_of


def stream(builder: StreamsBuilder) -> Any:
    return builder.stream("in", key=str, value=str)


def outputs(say: Any, *records: tuple[str | None, str | None, int]) -> list[tuple[Any, Any, int]]:
    """What a program that skips bad records writes to `out` for one batch."""
    cutter = Cutter(topology_of(say), handlers=skipping())
    cutter.feed(texts("in", *records))
    return cutter.written("out")


def test_a_record_whose_function_raises_is_left_out_and_the_others_are_seen_once() -> None:
    """The batch goes on behind the bad record; no function is called twice."""
    seen = []

    def shout(value: str) -> str:
        seen.append(value)
        if value == "bad":
            raise ValueError(value)
        return value.upper()

    found = outputs(
        lambda builder: stream(builder).map_values(shout).to("out"), ("1", "a", 1), ("2", "bad", 2), ("3", "c", 3)
    )
    assert found == [(b"1", b"A", 1), (b"3", b"C", 3)]
    assert seen == ["a", "bad", "c"]


def test_stop_iteration_out_of_a_function_is_an_error_of_its_record() -> None:
    """It must not end the batch silently."""

    def first_digit(value: str) -> str:
        return next(letter for letter in value if letter.isdigit())

    found = outputs(
        lambda builder: stream(builder).map_values(first_digit).to("out"), ("1", "a1", 1), ("2", "b", 2), ("3", "c3", 3)
    )
    assert [value for _, value, _ in found] == [b"1", b"3"]


def test_an_error_names_node_record_and_value() -> None:
    """By default user code that raises stops the task."""
    cutter = Cutter(topology_of(lambda builder: stream(builder).map_values(int, value=int, name="parse").to("out")))
    with pytest.raises(ProcessingError, match=r"parse.*\n.*node: parse\n.*record: in\[0\]@1\n.*value: 'x'") as caught:
        cutter.feed(texts("in", ("1", "1", 1), ("2", "x", 2)))
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize(
    ("say", "expected"),
    [
        (lambda builder: stream(builder).map(lambda key, value: value).to("out"), "a pair"),
        (lambda builder: stream(builder).flat_map_values(lambda value: value).to("out"), "an iterable of results"),
        (lambda builder: stream(builder).flat_map(lambda key, value: [value]).to("out"), "pairs"),
        (lambda builder: stream(builder).flat_map(lambda key, value: None).to("out"), "an iterable of results"),
    ],
    ids=["map", "flat_map_values", "flat_map", "flat_map none"],
)
def test_a_function_of_the_wrong_shape_is_told_what_was_expected(say: Any, expected: str) -> None:
    """The message says what to return."""
    with pytest.raises(ProcessingError, match=f"to return {expected}"):
        Cutter(topology_of(say)).feed(texts("in", ("1", "word", 1)))


def test_functions_see_null_keys_and_values() -> None:
    """Nulls are legal on a stream."""
    found = outputs(
        lambda builder: (
            stream(builder).filter(lambda key, value: value is None).map(lambda key, value: ("k", "v")).to("out")
        ),
        (None, None, 1),
        ("a", "b", 2),
    )
    assert found == [(b'"k"', b'"v"', 1)]


def test_null_keys_do_not_pass_a_repartition_topic(caplog: pytest.LogCaptureFixture) -> None:
    """They are left out, which the log tells; Kafka does not count them as dropped."""
    cutter = Cutter(topology_of(lambda builder: stream(builder).repartition(name="r").to("out")))
    cutter.feed(texts("in", (None, "a", 1), ("k", "b", 2)))
    assert cutter.written("out") == [(b"k", b"b", 2)]
    assert cutter.task.dropped_records == {}
    assert "r-repartition-filter drops 1 record(s): its key is null, and a repartition needs one" in caplog.text


def test_a_split_takes_the_first_branch_that_holds() -> None:
    """Records of no branch are dropped where there is no default."""

    def say(builder: StreamsBuilder) -> None:
        split = stream(builder).split()
        split = split.branch(lambda key, value: value < "c", use=lambda branch: branch.to("low"))
        split.branch(lambda key, value: value < "x", use=lambda branch: branch.to("middle"))

    cutter = Cutter(topology_of(say))
    cutter.feed(texts("in", ("1", "a", 1), ("2", "m", 2), ("3", "z", 3)))
    assert [len(cutter.written(topic)) for topic in ("low", "middle")] == [1, 1]


def test_merge_keeps_the_order_of_arrival() -> None:
    """Timestamps do not sort it."""

    def say(builder: StreamsBuilder) -> None:
        stream(builder).merge(builder.stream("other", key=str, value=str)).to("out", key=str, value=str)

    cutter = Cutter(topology_of(say))
    cutter.feed(texts("in", ("1", "a", 9)))
    cutter.feed(texts("other", ("2", "b", 5)))
    assert [timestamp for *_, timestamp in cutter.written("out")] == [9, 5]


def test_columns_that_a_stage_does_not_touch_are_passed_as_they_are() -> None:
    """No copies: keys, timestamps and headers are the same lists."""
    context = Cutter(topology_of(lambda builder: stream(builder).to("out"))).task
    passed: list[Batch] = []
    batch = Batch(["k"], ["v"], [1], [()])
    mapping_values(context, "node", str.upper, passed.append, with_key=False)(batch)
    filtering(context, "node", lambda key, value: True, passed.append)(batch)
    mapped, filtered = passed
    assert (mapped.keys, mapped.timestamps, mapped.headers) == (batch.keys, batch.timestamps, batch.headers)
    assert mapped.keys is batch.keys
    assert filtered is batch


def test_nothing_is_passed_on_for_an_empty_result() -> None:
    """What follows is not called in vain."""
    context = Cutter(topology_of(lambda builder: stream(builder).to("out"))).task
    passed: list[Batch] = []
    filtering(context, "node", lambda key, value: False, passed.append)(Batch(["k"], ["v"], [1]))
    nothing(Batch([], [], []))
    assert passed == []

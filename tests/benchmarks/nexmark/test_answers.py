"""Every query gives DuckDB's answer."""

import heapq

import pytest

from benchmarks.measure import run
from benchmarks.nexmark.__main__ import workload
from benchmarks.nexmark.answers import QUERIES, Query
from streams.testing import TopologyTestDriver

EVENTS = 3_000


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_the_program_answers_as_duckdb_does(query: Query) -> None:
    """All events in order of time through the driver: the rows are those of the SQL."""
    inputs = [make(EVENTS) for make in query.inputs]
    events = heapq.merge(
        *(
            zip(columns.timestamps, [source.topic] * len(columns.keys), columns.keys, columns.values, strict=True)
            for source in inputs
            for columns in source.chunks()
        ),
        key=lambda one: one[0],
    )
    with TopologyTestDriver(query.program) as driver:
        for timestamp, topic, key, value in events:
            driver.pipe(topic, key, value, timestamp)
        written = query.written(driver.output(query.name).read())
    answer = query.answer(inputs)
    assert answer
    assert written == answer


@pytest.mark.broker
@pytest.mark.parametrize("name", ["q3", "q8"])
def test_a_query_is_measured_and_checked_on_the_broker(name: str) -> None:
    """A worker on the real broker, four partitions, gives the same rows."""
    result = run(workload(QUERIES[name]), 20_000, [], idle_seconds=0)
    assert result.records == 1_600
    assert result.records_per_second > 0


def test_an_answer_that_differs_is_seen() -> None:
    """One bid more is another answer."""
    query = QUERIES["q11"]
    assert query.answer([make(204) for make in query.inputs]) != query.answer([make(205) for make in query.inputs])

"""A stream's records looked up in a table: whole batches at once, and what falls out of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.dsl.builder import StreamsBuilder
from tests.streams.operators.cutting import ALL, Cutter, Input, skipping, texts, topology_of

ROWS = texts("table", ("a", "1", 0), ("b", "2", 0))


def joined(records: list[Input], size: int, *, left: bool, with_key: bool) -> object:
    """All that can be seen of a join that skips the records whose value is "bad", in batches of `size`."""

    def join(value: str, row: str | None) -> str | None:
        if value == "bad":
            raise ValueError(value)
        return None if value == "nothing" else f"{value}{row}"

    def join_keyed(key: str, value: str, row: str | None) -> str | None:
        return join(f"{key}" if value == "key" else value, row)

    def say(builder: StreamsBuilder) -> None:
        stream, table = (builder.stream("stream", key=str, value=str), builder.table("table", key=str, value=str))
        verb = stream.left_join if left else stream.join
        verb(table, join_keyed if with_key else join, value=str).to("out")

    cutter = Cutter(topology_of(say), size, handlers=skipping())
    cutter.feed([*ROWS, *records])
    return cutter.seen()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c", None]), st.sampled_from(["x", "bad", "nothing", "key", None]), st.just(1)
        )
    ),
    st.booleans(),
    st.booleans(),
)
def test_batches_are_joined_as_single_records_are(
    records: list[tuple[str | None, str | None, int]], left: bool, with_key: bool
) -> None:
    """Rows that are missing, null keys and values, results that are None and joiners that raise fall where they do alone."""
    fed = texts("stream", *records)
    assert joined(fed, ALL, left=left, with_key=with_key) == joined(fed, 1, left=left, with_key=with_key)


@pytest.mark.parametrize(("left", "expected"), [(False, [b"x1", b"x2"]), (True, [b"x1", b"xNone", b"x2"])])
def test_a_whole_batch_meets_the_rows_that_are_there(left: bool, expected: list[bytes]) -> None:
    """Inner joins leave out what has no row, left joins keep it with None."""
    seen = joined(texts("stream", ("a", "x", 1), ("c", "x", 1), ("b", "x", 1)), ALL, left=left, with_key=False)
    assert isinstance(seen, dict)
    assert [record.value for record in seen["out"]] == expected

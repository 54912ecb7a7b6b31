"""Requests written by hand are aiokafka's, byte by byte, and so is what answers are read into."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from aiokafka.protocol.fetch import FetchRequest, FetchResponse_v11
from aiokafka.protocol.produce import ProduceRequest, ProduceResponse_v7
from hypothesis import given
from hypothesis import strategies as st

from streams.clients.kafka.hot import Fetch, FetchAnswer, Produce, ProduceAnswer

NEWEST = {0: (0, 13), 1: (4, 18)}
names = st.text(max_size=8)
int16, int32, int64 = (st.integers(-(1 << bits), (1 << bits) - 1) for bits in (15, 31, 63))
records = st.none() | st.binary(max_size=40)
data = st.binary(max_size=40)


def topics(partition: st.SearchStrategy[Any]) -> st.SearchStrategy[list[tuple[str, list[Any]]]]:
    return st.lists(st.tuples(names, st.lists(partition, max_size=3)), max_size=3)


def on_the_wire(request: Any) -> bytes:
    struct = request.prepare(NEWEST)
    return bytes(struct.build_request_header(correlation_id=7, client_id="me \N{SNOWMAN}").encode() + struct.encode())


@given(st.none() | names, st.sampled_from([-1, 1]), int32, topics(st.tuples(int32, data)))
def test_produce_requests(transactional_id: str | None, acks: int, timeout: int, written: list[Any]) -> None:
    """Of any content."""
    content = (transactional_id, acks, timeout, written)
    assert on_the_wire(Produce(*content)) == on_the_wire(ProduceRequest(*content))


@given(st.tuples(int32, int32, int32), st.sampled_from([0, 1]), topics(st.tuples(int32, int64, int32)), names)
def test_fetch_requests(limits: tuple[int, int, int], isolation: int, wanted: list[Any], rack: str) -> None:
    """Of any content."""
    content = (*limits, isolation, wanted, rack)
    assert on_the_wire(Fetch(*content)) == on_the_wire(FetchRequest(*content))


def answered(request: Any, response: Any) -> Any:
    """What a connection makes of an answer."""
    frame = (7).to_bytes(4, "big") + response.encode()
    struct = request.prepare(NEWEST)
    assert struct.parse_response_header(BytesIO(frame)).correlation_id == 7
    return struct.RESPONSE_TYPE.decode(BytesIO(frame))


@given(topics(st.tuples(int32, int16, int64, int64, int64)), int32)
def test_produce_answers(parts: list[Any], throttle: int) -> None:
    """Of any content."""
    response = ProduceResponse_v7(parts, throttle)
    answer = answered(Produce(None, -1, 0, []), response)
    assert type(answer) is ProduceAnswer
    assert answer.topics == ProduceResponse_v7.decode(response.encode()).topics


aborted = st.none() | st.lists(st.tuples(int64, int64), max_size=3)


@given(topics(st.tuples(int32, int16, int64, int64, int64, aborted, int32, records)), st.tuples(int32, int16, int32))
def test_fetch_answers(parts: list[Any], head: tuple[int, int, int]) -> None:
    """Of any content, null or empty."""
    response = FetchResponse_v11(*head, parts)
    answer = answered(Fetch(0, 0, 0, 0, []), response)
    assert type(answer) is FetchAnswer
    assert answer.topics == FetchResponse_v11.decode(response.encode()).topics


def test_records_that_end_too_soon() -> None:
    """A frame that ends inside its records is an error, not fewer records."""
    response = FetchResponse_v11(0, 0, 0, [("t", [(0, 0, 1, 1, 0, None, -1, b"records")])])
    with pytest.raises(ValueError, match="announces records up to byte"):
        FetchAnswer.decode(BytesIO(b"\0\0\0\7" + response.encode()[:-1]))


@pytest.mark.parametrize("versions", [{0: (0, 5), 1: (0, 6)}, {0: (8, 8), 1: (12, 12)}])
def test_other_versions_are_aiokafkas(versions: dict[int, tuple[int, int]]) -> None:
    """A broker that does not serve the version is sent, or denied, what aiokafka has for it."""
    if versions[0][0]:
        with pytest.raises(NotImplementedError):
            Produce(None, -1, 0, []).prepare(versions)
    else:
        assert Produce(None, -1, 0, []).prepare(versions).API_VERSION == 5
        assert Fetch(0, 0, 0, 0, []).prepare(versions).API_VERSION == 6

"""Frames out of a stream, whatever its pieces, and request headers."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import MalformedRequest
from broker.protocol.framing import (
    INITIAL_BUFFER_BYTES,
    KEPT_BUFFER_BYTES,
    LOOK_EVERY,
    FrameBuffer,
    parse_request_header,
)

frames = st.lists(st.binary(min_size=8, max_size=40_000) | st.binary(min_size=8, max_size=30), max_size=12)


def framed(payload: bytes) -> bytes:
    return struct.pack(">i", len(payload)) + payload


@given(frames, st.lists(st.integers(1, 20_000), min_size=1, max_size=8))
def test_any_cut_gives_the_same_frames(payloads: list[bytes], cuts: list[int]) -> None:
    """However the network cuts the stream, every frame comes out whole and in order, and nothing is left."""
    stream, buffer, seen, position, turn = b"".join(map(framed, payloads)), FrameBuffer(), [], 0, 0
    while position < len(stream):
        piece = stream[position : position + cuts[turn % len(cuts)]]
        seen += [bytes(frame) for frame in buffer.feed(piece)]
        position, turn = position + len(piece), turn + 1
    assert seen == payloads
    assert buffer.pending == 0


def test_views_stay_while_a_large_frame_comes() -> None:
    """Growing for a large frame does not change a frame that was handed out before."""
    buffer = FrameBuffer()
    (first,) = list(buffer.feed(framed(b"a" * 20) + framed(b"b" * 100_000)[:50]))
    buffer.writable()
    assert bytes(first) == b"a" * 20


@pytest.mark.parametrize("size", [-1, 0, 7, 1001, 2**31 - 1])
def test_impossible_lengths(size: int) -> None:
    """A negative, tiny or oversized length is refused before any memory is taken for it."""
    buffer = FrameBuffer(max_frame_bytes=1000)
    with pytest.raises(MalformedRequest):
        list(buffer.feed(struct.pack(">i", size) + b"x" * 8))


def test_memory_goes_back() -> None:
    """After a huge frame the buffer is not huge any more, and after many small ones it is small again."""
    buffer = FrameBuffer()
    list(buffer.feed(framed(bytes(8 << 20))))
    assert len(buffer.writable()) <= KEPT_BUFFER_BYTES
    for _ in range(2 * LOOK_EVERY):
        list(buffer.feed(framed(bytes(100))))
    assert len(buffer.writable()) == INITIAL_BUFFER_BYTES


def test_memory_stays_while_it_is_needed() -> None:
    """Frames of one size are read into one buffer, however many come."""
    buffer = FrameBuffer()
    list(buffer.feed(framed(bytes(200_000))))
    memory = buffer.writable().obj
    for _ in range(3 * LOOK_EVERY):
        assert [len(frame) for frame in buffer.feed(framed(bytes(200_000)))] == [200_000]
    assert buffer.writable().obj is memory


def test_header_of_a_legacy_version() -> None:
    """Key, version, correlation and client id; null is None."""
    header = parse_request_header(memoryview(struct.pack(">hhih", 0, 3, 42, 2) + b"me" + b"body"))
    assert header == (0, 3, 42, "me", 12)
    assert parse_request_header(memoryview(struct.pack(">hhih", 0, 3, 42, -1))).client_id is None


def test_a_client_id_in_another_encoding() -> None:
    """It is only a name: what is no UTF-8 is replaced, as by Java, and the request is served."""
    header = parse_request_header(memoryview(struct.pack(">hhih", 0, 3, 42, 4) + "Zoë!".encode("latin-1") + b"body"))
    assert (header.client_id, header.body_offset) == ("Zo\ufffd!", 14)


def test_header_of_a_flexible_version() -> None:
    """Tagged fields, known or not, are skipped; the client id keeps its old form."""
    tags = b"\x02" + b"\x00\x03abc" + b"\x81\x01\x01z"
    header = parse_request_header(memoryview(struct.pack(">hhih", 18, 3, 1, 1) + b"c" + tags + b"rest"))
    assert (header.client_id, header.body_offset) == ("c", 11 + len(tags))


@given(st.binary(min_size=8, max_size=60))
def test_garbage_is_refused_or_read(data: bytes) -> None:
    """No bytes make the header parser raise anything but MalformedRequest, or read beyond the frame."""
    try:
        header = parse_request_header(memoryview(data))
    except MalformedRequest:
        return
    assert header.body_offset <= len(data)

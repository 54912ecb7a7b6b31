"""Where a request begins and ends in a stream of bytes, and the header it begins with.

A frame is four bytes of length and that many bytes; a request header is API key, version, correlation id, client id and,
in flexible versions, tagged fields. `FrameBuffer` receives straight into its own memory (`asyncio.BufferedProtocol`) and
hands out views; what keeps a view longer than the next read copies it.

Rules: bytes only, no I/O. Must not know what a request asks for.
"""

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from broker.errors import MalformedRequest
from broker.protocol.apis import flexible
from broker.protocol.primitives import read_unsigned_varint

MAX_FRAME_BYTES = 100 * 1024 * 1024
INITIAL_BUFFER_BYTES = 16 * 1024
KEPT_BUFFER_BYTES = 1024 * 1024
"""A larger buffer is given back as soon as it is empty."""
LOOK_EVERY = 64
"""Empty reads between two looks at whether a buffer is larger than its frames."""
_LENGTH = Struct(">i")
_FIXED_HEADER = Struct(">hhih")
MIN_HEADER_BYTES = 8


class RequestHeader(NamedTuple):
    """What every request starts with; the body lies at `body_offset` of its frame."""

    api_key: int
    version: int
    correlation_id: int
    client_id: str | None
    body_offset: int


class FrameBuffer:
    """The receive buffer of one connection.

    `writable()` is where the next bytes go, `received(n)` says how many came, `frames()` yields every complete frame.
    A view stays valid until the next `writable()`; frames() must be exhausted before. The buffer grows to the largest
    frame in flight, stays as it is while frames of that size come (memory that is new costs more than what is read into
    it), and shrinks back when it is empty.
    """

    __slots__ = ("_buffer", "_end", "_largest", "_looks", "_max_frame_bytes", "_min_frame_bytes", "_start")

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._buffer = bytearray(INITIAL_BUFFER_BYTES)
        self._start = 0
        self._end = 0
        self._largest = 0
        self._looks = 0
        self.expect(MIN_HEADER_BYTES, max_frame_bytes)

    def expect(self, least: int, most: int) -> None:
        """What the frames from now on may announce, in bytes."""
        self._min_frame_bytes, self._max_frame_bytes = least, most

    @property
    def pending(self) -> int:
        """Bytes of a frame that is not complete yet."""
        return self._end - self._start

    def writable(self) -> memoryview:
        """Free space for at least the rest of the frame under way, or a good gulp."""
        if not self._end and len(self._buffer) > INITIAL_BUFFER_BYTES:
            self._shrink_if_idle()
        wanted = self._wanted()
        if self._start and len(self._buffer) - self._end < wanted:
            self._to_front()
        if len(self._buffer) - self._end < wanted:
            self._grow(self._end + wanted)
        return memoryview(self._buffer)[self._end :]

    def received(self, count: int) -> None:
        """Count bytes that were written into the last `writable()`."""
        self._end += count

    def frames(self) -> Iterator[memoryview]:
        """Every complete frame, without its length.

        Raises: MalformedRequest for a length that is negative, too small for a header, or above the cap.
        """
        view = memoryview(self._buffer).toreadonly()
        while self._end - self._start >= 4:
            size = self._frame_size()
            begin = self._start + 4
            if self._end - begin < size:
                break
            self._start = begin + size
            self._largest = max(self._largest, size)
            yield view[begin : begin + size]
        if self._start == self._end:
            self._start = self._end = 0

    def feed(self, data: bytes) -> Iterator[memoryview]:
        """`received` and `frames` in one step, for callers that hold bytes already."""
        space = self.writable()
        while data:
            count = min(len(space), len(data))
            space[:count] = data[:count]
            self.received(count)
            yield from self.frames()
            data = data[count:]
            space = self.writable()

    def _frame_size(self) -> int:
        size: int = _LENGTH.unpack_from(self._buffer, self._start)[0]
        if size < self._min_frame_bytes:
            raise MalformedRequest(f"a request announces {size} bytes, less than any request has")
        if size > self._max_frame_bytes:
            raise MalformedRequest(
                f"a request announces {size:,} bytes, more than the limit of {self._max_frame_bytes:,}"
            )
        return size

    def _wanted(self) -> int:
        if self._end - self._start < 4:
            return INITIAL_BUFFER_BYTES // 2
        missing = 4 + self._frame_size() - (self._end - self._start)
        return min(max(missing, INITIAL_BUFFER_BYTES // 2), 2 * max(len(self._buffer), INITIAL_BUFFER_BYTES))

    def _shrink_if_idle(self) -> None:
        """Once in a while, while nothing is in the buffer: give back what the last frames did not need."""
        self._looks += 1
        size = len(self._buffer)
        if size <= KEPT_BUFFER_BYTES and self._looks < LOOK_EVERY:
            return
        needed = min(max(2 * self._largest, INITIAL_BUFFER_BYTES), KEPT_BUFFER_BYTES)
        if needed <= size // 2:
            self._buffer = bytearray(needed)
        self._looks = self._largest = 0

    def _to_front(self) -> None:
        rest = self._buffer[self._start : self._end]
        self._grow(len(self._buffer), rest)

    def _grow(self, capacity: int, rest: bytearray | None = None) -> None:
        """Move to new memory: frames handed out keep the old."""
        kept = self._buffer[self._start : self._end] if rest is None else rest
        self._buffer = bytearray(max(capacity, 2 * len(kept)))
        self._buffer[: len(kept)] = kept
        self._start, self._end = 0, len(kept)


def parse_request_header(frame: memoryview) -> RequestHeader:
    """The header of a request.

    ApiVersions is special in no way here: its request header is flexible from version 3 like any other's, also in
    versions of the future, which have to be parsed far enough to be answered.
    Raises: MalformedRequest.
    """
    try:
        api_key, version, correlation_id, length = _FIXED_HEADER.unpack_from(frame)
        offset = _FIXED_HEADER.size
        client_id = None
        if length >= 0:
            client_id = str(frame[offset : offset + length], "utf-8", "replace")  # only a name, in whatever encoding
            offset += length
        if flexible(api_key, version):
            offset = skip_tagged_fields(frame, offset)
    except (ValueError, IndexError, Exception) as error:
        if isinstance(error, MalformedRequest):
            raise
        raise MalformedRequest(f"a request header cannot be read: {error}") from error
    if offset > len(frame):
        raise MalformedRequest("a request ends inside its header")
    return RequestHeader(api_key, version, correlation_id, client_id, offset)


def skip_tagged_fields(buffer: memoryview, offset: int) -> int:
    """The offset behind a section of tagged fields, none of which is of interest."""
    count, offset = read_unsigned_varint(buffer, offset)
    for _ in range(count):
        _, offset = read_unsigned_varint(buffer, offset)
        size, offset = read_unsigned_varint(buffer, offset)
        offset += size
    return offset

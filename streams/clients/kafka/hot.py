"""The requests that are sent most, by hand: Produce 7 and Fetch 11, and their answers.

aiokafka reads and writes every field through a schema, which for four partitions takes an eighth of a millisecond each way:
a third of what a write or a fetch costs. Here runs of numbers are packed together. The bytes, and what an answer is read
into, are the same (a test compares). A broker that does not serve these versions gets aiokafka's own requests.
Source: Kafka's message definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from struct import Struct
from typing import Any, NamedTuple

from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.produce import ProduceRequest

PRODUCE_VERSION, FETCH_VERSION = 7, 11
_HEADER = Struct(">hhih")
_CORRELATION = Struct(">i")
_INT32 = Struct(">i")
_LENGTH = Struct(">h")
_INDEX_AND_SIZE = Struct(">ii")
_ACKS_AND_TIMEOUT = Struct(">hii")
_FETCH_BEGIN = Struct(">iiiibiii")
_FETCH_PARTITION = Struct(">iiqqi")
_PRODUCED = Struct(">ihqqq")
_FETCHED = Struct(">ihqqqi")
_ABORTED = Struct(">qq")
_FETCHED_END = Struct(">ii")
_FETCHED_HEAD_BYTES = 10
"""Throttle time, error code and session of a fetch's answer."""


class _Correlation(NamedTuple):
    """The header of an answer."""

    correlation_id: int


class _Encoded(NamedTuple):
    """Bytes, as aiokafka's connection asks for them."""

    data: bytes

    def encode(self) -> bytes:
        """The bytes."""
        return self.data


class Answer(NamedTuple):
    """What a broker answered, by topic: its name, and a tuple per partition as aiokafka's schema has it."""

    topics: list[tuple[str, list[tuple[Any, ...]]]]


class ProduceAnswer(Answer):
    """Partitions: (number, error, base offset, time of append, log start offset)."""

    __slots__ = ()

    @classmethod
    def decode(cls, answer: BytesIO) -> ProduceAnswer:
        """Read an answer. Raises: struct.error when it is too short."""
        return cls.read(answer.getbuffer())

    @classmethod
    def read(cls, answer: memoryview) -> ProduceAnswer:
        """The same from where it lies."""
        return cls(_topics(answer, _CORRELATION.size, _produced))


class FetchAnswer(Answer):
    """Partitions: (number, error, high watermark, last stable and log start offset, aborted, preferred replica, records)."""

    __slots__ = ()

    @classmethod
    def decode(cls, answer: BytesIO) -> FetchAnswer:
        """Read an answer. Raises: struct.error or ValueError when it is too short."""
        return cls.read(answer.getbuffer())

    @classmethod
    def read(cls, answer: memoryview) -> FetchAnswer:
        """The same from where it lies; records are copied out of it."""
        return cls(_topics(answer, _CORRELATION.size + _FETCHED_HEAD_BYTES, _fetched))


class Written(NamedTuple):
    """A request in bytes, and how its answer is read: what aiokafka's connection needs of a request."""

    key: int
    version: int
    pieces: Sequence[bytes | bytearray]
    """The body."""
    RESPONSE_TYPE: type[ProduceAnswer | FetchAnswer]

    def build_request_header(self, correlation_id: int, client_id: str) -> _Encoded:
        """What stands before the body."""
        name = client_id.encode()
        return _Encoded(_HEADER.pack(self.key, self.version, correlation_id, len(name)) + name)

    def encode(self) -> bytes:
        """The body."""
        return b"".join(self.pieces)

    def parse_response_header(self, answer: BytesIO) -> _Correlation:
        """What the answer begins with."""
        return _Correlation(*_CORRELATION.unpack_from(answer.getbuffer()))


class Produce(ProduceRequest):
    """Write batches; see aiokafka's."""

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> Any:
        """The request in a version that the broker serves."""
        if not _serves(versions, self.API_KEY, PRODUCE_VERSION):
            return super().prepare(dict(versions))
        pieces: list[bytes | bytearray] = [
            _nullable(self._transactional_id),
            _ACKS_AND_TIMEOUT.pack(self._required_acks, self._timeout, len(self._topics)),
        ]
        for topic, partitions in self._topics:
            pieces += (_nullable(topic), _INT32.pack(len(partitions)))
            for partition, data in partitions:
                pieces += (_INDEX_AND_SIZE.pack(partition, len(data)), data)
        return Written(self.API_KEY, PRODUCE_VERSION, pieces, ProduceAnswer)


class Fetch(FetchRequest):
    """Fetch without a session; see aiokafka's."""

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> Any:
        """The request in a version that the broker serves."""
        if not _serves(versions, self.API_KEY, FETCH_VERSION):
            return super().prepare(dict(versions))
        limits = (self._max_wait_ms, self._min_bytes, self._max_bytes, self._isolation_level)
        pieces = [_FETCH_BEGIN.pack(-1, *limits, 0, -1, len(self._topics))]
        for topic, partitions in self._topics:
            pieces += (_nullable(topic), _INT32.pack(len(partitions)))
            pieces += [_FETCH_PARTITION.pack(partition, -1, offset, -1, most) for partition, offset, most in partitions]
        pieces += (_INT32.pack(0), _nullable(self._rack_id))
        return Written(self.API_KEY, FETCH_VERSION, pieces, FetchAnswer)


def _serves(versions: Mapping[int, tuple[int, int]], key: int, version: int) -> bool:
    lowest, highest = versions.get(key, (0, -1))
    return lowest <= version <= highest


def _nullable(text: str | None) -> bytes:
    if text is None:
        return _LENGTH.pack(-1)
    data = text.encode()
    return _LENGTH.pack(len(data)) + data


_Read = Callable[[memoryview, int], tuple[tuple[Any, ...], int]]


def _topics(data: memoryview, at: int, read: _Read) -> list[tuple[str, list[tuple[Any, ...]]]]:
    """The topics of an answer, which begin at an offset, with their partitions."""
    (count,) = _INT32.unpack_from(data, at)
    at += _INT32.size
    topics = []
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size + length
        topic = str(data[at - length : at], "utf-8")
        (each,) = _INT32.unpack_from(data, at)
        at += _INT32.size
        partitions = []
        for _ in range(each):
            partition, at = read(data, at)
            partitions.append(partition)
        topics.append((topic, partitions))
    return topics


def _produced(data: memoryview, at: int) -> tuple[tuple[Any, ...], int]:
    return _PRODUCED.unpack_from(data, at), at + _PRODUCED.size


def _fetched(data: memoryview, at: int) -> tuple[tuple[Any, ...], int]:
    *head, count = _FETCHED.unpack_from(data, at)
    at += _FETCHED.size
    aborted = None if count < 0 else [_ABORTED.unpack_from(data, at + each * _ABORTED.size) for each in range(count)]
    at += max(count, 0) * _ABORTED.size
    replica, size = _FETCHED_END.unpack_from(data, at)
    at += _FETCHED_END.size
    end = at + max(size, 0)
    if end > len(data):
        raise ValueError(f"a fetch's answer of {len(data):,} bytes announces records up to byte {end:,}")
    return (*head, aborted, replica, None if size < 0 else bytes(data[at:end])), end

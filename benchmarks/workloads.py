"""The workloads: which program, fed with what, and what it must have written.

Rules: a check computes the right answer from the input in plain Python, without the program; it raises when the
worker's output differs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from benchmarks.load import START_MS, Columns, Input, Ride, rides, zones
from benchmarks.processes import BenchmarkError
from benchmarks.programs import Kept, Pair, Placed, Takings
from examples.taxi.messages import Confirmed
from streams.clients.base import Clients
from streams.clients.partitioner import partition_for
from streams.record import TopicPartition

MINUTE_MS = 60_000
GRACE_MS = 10_000
TEN_MINUTES_MS = 600_000
CLOSED_MS = 30_000
"""How far behind the input's end a window must end to be closed for certain: grace, and the rarest key's silence."""
_value = msgspec.json.Decoder()


class Bag(NamedTuple):
    """Records of which every one counts, in whatever order: how many, and the sum of their checksums."""

    records: int
    checksum: int


Table = dict[bytes, Any]
"""The latest value of each key: what a topic of updates comes to, however many there were."""


@dataclass(frozen=True)
class Workload:
    """A program, its input for a number of records, its output topics, and what must hold of the output.

    `expected(inputs)` and `written(clients, topic)` are equal when the output is right. `window_ms` is the size of the
    windows whose start ends each key of the output, if there are any.
    """

    name: str
    program: str
    inputs: Callable[[int], Sequence[Input]]
    outputs: tuple[str, ...]
    expected: Callable[[Sequence[Input]], Bag | Table]
    written: Callable[[Clients, str], Bag | Table]
    group: str = ""
    repartitioned: bool = False
    window_ms: int = 0

    def check(self, clients: Clients, inputs: Sequence[Input], *, closed_only: bool = False) -> None:
        """Raises: BenchmarkError when the output is not what the input comes to.

        `closed_only` asks for no more than the windows that are closed for certain.
        """
        expected, written = answer(self, tuple(inputs)), self.written(clients, self.outputs[0])
        if closed_only and self.window_ms:
            expected, written = self._closed(expected, inputs), self._closed(written, inputs)
        if not expected:
            raise BenchmarkError(f"{self.name}: nothing to compare in so few records; measure with more")
        if expected != written:
            raise BenchmarkError(f"{self.name}: wrong output in {self.outputs[0]}: {difference(expected, written)}")

    def outputs_of(self, inputs: Sequence[Input], *, closed_only: bool) -> int:
        """How many records the output must have from a system that writes one for each update, or for each window."""
        expected = answer(self, tuple(inputs))
        if closed_only and self.window_ms:
            return len(self._closed(expected, inputs))
        return expected.records if isinstance(expected, Bag) else inputs[0].records

    def _closed(self, answer: Bag | Table, inputs: Sequence[Input]) -> Table:
        """The windows that a later record of every key has closed."""
        assert isinstance(answer, dict)
        last = START_MS + inputs[0].records - self.window_ms - CLOSED_MS
        return {key: value for key, value in answer.items() if int.from_bytes(key[8:], "big") < last}


@lru_cache(maxsize=4)
def answer(workload: Workload, inputs: tuple[Input, ...]) -> Bag | Table:
    """The right answer, kept for the systems that are asked the same next: it takes longer than some of their runs."""
    return workload.expected(inputs)


def difference(expected: Bag | Table, written: Bag | Table) -> str:
    """What a reader needs to find the fault: counts, or the first key that differs."""
    if isinstance(expected, Bag) or isinstance(written, Bag):
        return f"expected {expected}, found {written}"
    keys = sorted(key for key in expected.keys() | written.keys() if expected.get(key) != written.get(key))
    first = keys[0]
    return (
        f"{len(keys):,} of {len(expected):,} keys differ, first {first!r}: "
        f"expected {expected.get(first)}, found {written.get(first)}"
    )


def confirmed_rides(topic: str, records: int) -> Input:
    """The taxi example's confirmed rides, keyed by zone."""
    source = rides(topic, records)
    ride = msgspec.json.Decoder(Ride)

    def confirmed(value: bytes) -> bytes:
        one = ride.decode(value)
        return msgspec.json.encode(Confirmed(one.id, f"zone {one.zone}", "Manhattan", one.driver, one.fare))

    def chunks() -> Iterator[Columns]:
        for columns in source.chunks():
            yield columns._replace(values=[confirmed(value) for value in columns.values])

    return Input(topic, records, chunks)


def _rides_in(source: Input) -> Iterator[tuple[bytes, Ride]]:
    ride = msgspec.json.Decoder(Ride)
    for columns in source.chunks():
        yield from zip(columns.keys, map(ride.decode, columns.values), strict=True)


def _bag(records: Iterable[tuple[bytes, Any]]) -> Bag:
    """Of decoded values, so that two spellings of one JSON object are equal."""
    number = total = 0
    for key, value in records:
        number += 1
        total += crc32(msgspec.json.encode(value), crc32(key))
    return Bag(number, total)


def _kept(inputs: Sequence[Input]) -> Bag:
    return _bag(
        (key, Kept(ride.id, ride.zone, ride.fare, ride.fare / ride.miles))
        for key, ride in _rides_in(inputs[0])
        if ride.miles >= 6.0
    )


def _counts(inputs: Sequence[Input]) -> Table:
    return dict(Counter(key for columns in inputs[0].chunks() for key in columns.keys))


def _counts_by_driver(inputs: Sequence[Input]) -> Table:
    return dict(Counter(ride.driver.encode() for _, ride in _rides_in(inputs[0])))


def _takings(inputs: Sequence[Input]) -> Table:
    """By zone and minute, without rides that are late beyond the grace."""
    totals: Table = {}
    for key, ride in in_time(inputs[0]):
        window = key + (ride.picked_up_ms // MINUTE_MS * MINUTE_MS).to_bytes(8, "big")
        total = totals.get(window, Takings())
        totals[window] = Takings(total.rides + 1, total.fares + ride.fare)
    return totals


def in_time(source: Input) -> Iterator[tuple[bytes, Ride]]:
    """Rides whose minute was still open when they came, by the time of their partition's stream."""
    place = cache(lambda key: partition_for(key, source.partitions))
    stream_ms = [0] * source.partitions
    for key, ride in _rides_in(source):
        partition = place(key)
        now_ms = stream_ms[partition] = max(stream_ms[partition], ride.picked_up_ms)
        if ride.picked_up_ms // MINUTE_MS * MINUTE_MS + MINUTE_MS + GRACE_MS > now_ms:
            yield key, ride


def _placed(inputs: Sequence[Input]) -> Bag:
    """All rides, each with the zone that its number says."""
    return _bag(
        (key, Placed(ride.id, ride.fare, f"zone {ride.zone}", f"borough {ride.zone % 6}"))
        for key, ride in _rides_in(inputs[0])
    )


def _pairs(inputs: Sequence[Input]) -> Bag:
    """All pairs of reports of a ride; both carry the same time."""
    begun, ended = (dict(_rides_in(each)) for each in inputs)
    return _bag((key, Pair(ride.id, ride.fare, ended[key].miles)) for key, ride in begun.items() if key in ended)


def _confirmed(inputs: Sequence[Input]) -> Table:
    """The taxi example's rides per zone and ten minutes."""
    return dict(
        Counter(
            key + (time_ms // TEN_MINUTES_MS * TEN_MINUTES_MS).to_bytes(8, "big")
            for columns in inputs[0].chunks()
            for key, time_ms in zip(columns.keys, columns.timestamps, strict=True)
        )
    )


def _written_bag(kind: type[Any]) -> Callable[[Clients, str], Bag]:
    decode = msgspec.json.Decoder(kind).decode

    def written(clients: Clients, topic: str) -> Bag:
        return _bag(
            (key, decode(value))
            for columns in read_all(clients, topic)
            for key, value in zip(columns.keys, columns.values, strict=True)
        )

    return written


def _written_table(decode: Callable[[bytes], Any]) -> Callable[[Clients, str], Table]:
    def written(clients: Clients, topic: str) -> Table:
        latest: dict[bytes, bytes] = {}
        for columns in read_all(clients, topic):
            latest.update(zip(columns.keys, columns.values, strict=True))
        return {key: decode(value) for key, value in latest.items()}

    return written


def read_all(clients: Clients, topic: str) -> Iterator[Columns]:
    """All that lies in a topic now, batch by batch."""
    consumer = clients.consumer(group=None)
    partitions = [
        TopicPartition(topic, number) for number in range(clients.admin().describe([topic])[topic].partitions)
    ]
    begins, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
    consumer.assign(partitions)
    for partition, offset in begins.items():
        consumer.seek(partition, offset)
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        for batch in consumer.poll(1.0):
            columns = batch.columns()
            yield Columns(columns.keys, columns.values, columns.timestamps)
    consumer.close()


def _long(value: bytes) -> int:
    return int.from_bytes(value, "big")


def _rides_of(value: bytes) -> int:
    return int(_value.decode(value)["rides"])


def _workload(name: str, *inputs: Callable[[int], Input], outputs: str, **rest: Any) -> Workload:
    identifier = name.replace("-", "_")
    return Workload(
        name=name,
        program=f"benchmarks.programs:{identifier}",
        inputs=lambda records: [make(records) for make in inputs],
        outputs=(outputs,),
        group=rest.pop("group", f"bench-{name}"),
        **rest,
    )


def _zones(_records: int) -> Input:
    return zones("zones")


def _rides(records: int) -> Input:
    return rides("rides", records)


WORKLOADS = {
    workload.name: workload
    for workload in (
        _workload(
            "taxi",
            lambda records: confirmed_rides("ride_confirmed", records),
            outputs="zone_takings",
            group="taxi-analytics",
            expected=_confirmed,
            written=_written_table(_rides_of),
        ),
        _workload("stateless", _rides, outputs="kept", expected=_kept, written=_written_bag(Kept)),
        _workload("count", _rides, outputs="counted", expected=_counts, written=_written_table(_long)),
        _workload(
            "rekey-count",
            _rides,
            outputs="counted",
            expected=_counts_by_driver,
            written=_written_table(_long),
            repartitioned=True,
        ),
        _workload(
            "window",
            _rides,
            outputs="takings-by-minute",
            expected=_takings,
            written=_written_table(msgspec.json.Decoder(Takings).decode),
            window_ms=MINUTE_MS,
        ),
        _workload("table-join", _rides, _zones, outputs="placed", expected=_placed, written=_written_bag(Placed)),
        _workload(
            "stream-join",
            lambda records: rides("rides-begun", records // 2, key="id", late=0),
            lambda records: rides("rides-ended", records // 2, key="id", seed=2, late=0),
            outputs="pairs",
            expected=_pairs,
            written=_written_bag(Pair),
        ),
        _workload(
            "count-1m",
            lambda records: rides("rides-of-a-million", records, key="million"),
            outputs="counted",
            expected=_counts,
            written=_written_table(_long),
        ),
    )
}
"""By name."""

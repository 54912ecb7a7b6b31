"""The workloads: which program, fed with what, and what it must have written.

Rules: a check computes the right answer from the input in plain Python, without the program; it raises when the
worker's output differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import msgspec

from benchmarks.load import Columns, Input, Ride, rides, zones
from benchmarks.processes import BenchmarkError
from benchmarks.programs import Pair, Placed
from examples.taxi.messages import Confirmed
from streams.clients.base import Clients
from streams.record import TopicPartition

_value = msgspec.json.Decoder()


@dataclass(frozen=True)
class Workload:
    """A program, its input for a number of records, its output topics, and what must hold of the output.

    `check(clients, records)` raises BenchmarkError when the output is wrong.
    """

    name: str
    program: str
    inputs: Callable[[int], Sequence[Input]]
    outputs: tuple[str, ...]
    expected: Callable[[Sequence[Input]], int]
    written: Callable[[Clients, str], int]
    group: str = ""

    def check(self, clients: Clients, records: int) -> None:
        """Raises: BenchmarkError when the output is not what the input comes to."""
        expected, written = self.expected(self.inputs(records)), self.written(clients, self.outputs[0])
        if expected != written:
            raise BenchmarkError(f"{self.name}: expected {expected:,} in {self.outputs[0]}, found {written:,}")


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


def _records(inputs: Sequence[Input]) -> int:
    return inputs[0].records


def _longer_rides(inputs: Sequence[Input]) -> int:
    ride = msgspec.json.Decoder(Ride)
    return sum(ride.decode(value).miles >= 6.0 for columns in inputs[0].chunks() for value in columns.values)


def _placed_rides(inputs: Sequence[Input]) -> int:
    """The sum over all joined rides, each with the zone that its number says."""
    ride = msgspec.json.Decoder(Ride)
    rides = (ride.decode(value) for columns in inputs[0].chunks() for value in columns.values)
    return sum(_sum_of(Placed(one.id, one.fare, f"zone {one.zone}", f"borough {one.zone % 6}")) for one in rides)


def _pairs(inputs: Sequence[Input]) -> int:
    """The sum over all pairs of reports of a ride; both carry the same time."""
    ride = msgspec.json.Decoder(Ride)
    begun, ended = (
        {one.id: one for columns in each.chunks() for one in map(ride.decode, columns.values)} for each in inputs
    )
    return sum(_sum_of(Pair(number, begun[number].fare, ended[number].miles)) for number in begun.keys() & ended.keys())


def _sum_of(result: Any) -> int:
    return crc32(msgspec.json.encode(result))


def _sum_of_records(clients: Clients, topic: str) -> int:
    """The checksums of all values of a topic, added up: the same whatever the order."""
    return sum(crc32(value) for columns in read_all(clients, topic) for value in columns.values)


def _sum_of_latest(number: Callable[[Any], int]) -> Callable[[Clients, str], int]:
    """Sums the latest value of each key of a topic: what a table of counts holds in all."""

    def written(clients: Clients, topic: str) -> int:
        latest: dict[bytes, bytes] = {}
        for columns in read_all(clients, topic):
            latest.update(zip(columns.keys, columns.values, strict=True))
        return sum(map(number, latest.values()))

    return written


def _number_of_records(clients: Clients, topic: str) -> int:
    return sum(len(columns.keys) for columns in read_all(clients, topic))


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
        **{"group": f"bench-{name}", "expected": _records, "written": _number_of_records, **rest},
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
            written=_sum_of_latest(_rides_of),
        ),
        _workload("stateless", _rides, outputs="kept", expected=_longer_rides),
        _workload("count", _rides, outputs="counted", written=_sum_of_latest(_long)),
        _workload("rekey-count", _rides, outputs="counted", written=_sum_of_latest(_long)),
        _workload("window", _rides, outputs="takings-by-minute", written=_sum_of_latest(_rides_of)),
        _workload("table-join", _rides, _zones, outputs="placed", expected=_placed_rides, written=_sum_of_records),
        _workload(
            "stream-join",
            lambda records: rides("rides-begun", records // 2, key="id", late=0),
            lambda records: rides("rides-ended", records // 2, key="id", seed=2, late=0),
            outputs="pairs",
            expected=_pairs,
            written=_sum_of_records,
        ),
        _workload(
            "count-1m",
            lambda records: rides("rides-of-a-million", records, key="million"),
            outputs="counted",
            written=_sum_of_latest(_long),
        ),
    )
}
"""By name."""

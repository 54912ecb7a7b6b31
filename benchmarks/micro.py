"""The path stage by stage: CPU per record of each step between a fetched byte and a committed result, in one thread.

Rules: a stage gets its input ready beforehand, works on batches of a thousand records as the runtime does, and counts
the CPU time of this process only. Beside each figure stands what the design spikes measured for the same step, and how
it compares with a stored run of the same machine, both divided by the fixed loop that was timed beside them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from crc32c import crc32c

from benchmarks.load import CHUNK, Columns, Ride, produce, rides
from benchmarks.machine import calibration_ns
from benchmarks.processes import broker
from state.cache import RecordCacheBudget
from state.opening import open_store
from state.serde import deserializer, serializer
from state.stores import StoreKind, StoreSpec
from streams.clients.base import Clients, NewTopic
from streams.clients.kafka import KafkaClients
from streams.clients.kafka.record_batches import split
from streams.clients.partitioner import partitions_for
from streams.config import StreamsConfig
from streams.operators.aggregate import StreamAggregate
from streams.operators.folding import count_fold
from streams.operators.stateless import filtering, mapping_values, select_key
from streams.record import Batch, Headers, TopicPartition
from streams.runtime.collector import ChangelogPartition
from streams.serdes import serde_for
from streams.tuning import seldom_collected

BATCH = 1_000
BATCHES = 100
PARTITION = TopicPartition("rides", 0)


@dataclass(frozen=True)
class Stage:
    """A measured step; `spike` is the design spike's figure for it, in ns, or empty."""

    name: str
    what: str
    ns: float
    spike: str
    calibration_ns: float

    def ratio(self, before: Stage) -> float:
        """How many times as long it takes as it did in another run, the machine's speed at both moments allowed for."""
        return (self.ns / self.calibration_ns) / (before.ns / before.calibration_ns)


@dataclass(frozen=True)
class Step:
    """A step to be measured: `prepare` gives a function that handles one batch, by its number.

    With `threads` it goes through a client and a broker, and counts the CPU of both of the client's threads.
    """

    name: str
    what: str
    prepare: Callable[[], Any]
    spike: str = ""
    threads: bool = False


def measure_stage(step: Step, repeats: int = 5) -> Stage:
    """The best of some passes over all batches, beside the best of as many looks at the machine's speed."""
    spent, speeds = [], []
    for _ in range(repeats):
        speeds.append(calibration_ns(times=2))
        with step.prepare() as work, seldom_collected():
            begun = time.process_time_ns()
            for number in range(BATCHES):
                work(number)
            spent.append((time.process_time_ns() - begun) / (BATCH * BATCHES))
    return Stage(step.name, step.what, round(min(spent), 1), step.spike, round(min(speeds), 1))


@cache
def _columns() -> list[Columns]:
    cuts = range(0, CHUNK, BATCH)
    chunks = rides("rides", BATCH * BATCHES).chunks()
    return [columns.picked(range(cut, cut + BATCH)) for columns in chunks for cut in cuts]


@cache
def _wire() -> list[bytes]:
    return [_record_batch(columns) for columns in _columns()]


def _record_batch(columns: Columns) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=1 << 24,
    )  # fmt: skip
    for offset, (key, value, timestamp) in enumerate(zip(*columns, strict=True)):
        builder.append(offset, timestamp, key, value, [])
    return bytes(builder.build())


@cache
def _decoded() -> list[Batch]:
    key, value = serde_for(int).deserialize, serde_for(Ride).deserialize
    return [
        Batch(list(map(key, columns.keys)), list(map(value, columns.values)), columns.timestamps)
        for columns in _columns()
    ]


@contextmanager
def _split() -> Iterator[Callable[[int], None]]:
    wire = _wire()
    yield lambda number: _used(split(PARTITION, wire[number], 0, None).batches)


@contextmanager
def _decode() -> Iterator[Callable[[int], None]]:
    batches = [split(PARTITION, data, 0, None).batches for data in _wire()]
    yield lambda number: _used([batch.columns() for batch in batches[number]])


@contextmanager
def _deserialize() -> Iterator[Callable[[int], None]]:
    columns, key, value = _columns(), deserializer(serde_for(int)), deserializer(serde_for(Ride))
    yield lambda number: _used((key(columns[number].keys), value(columns[number].values)))


class _Unasked:
    """The context of operators whose functions never fail, and have no policy."""

    def attempted(self, _node: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function itself."""
        return function


@contextmanager
def _chain() -> Iterator[Callable[[int], None]]:
    context: Any = _Unasked()
    stage = select_key(context, "rekey", lambda _, ride: ride.driver, lambda batch: _used(batch.keys))
    stage = mapping_values(context, "map", lambda ride: ride, stage, with_key=False)
    stage = filtering(context, "filter", lambda _, ride: ride.miles >= 0.0, stage)
    batches = _decoded()
    yield lambda number: stage(batches[number])


class _Nowhere:
    """A changelog that is thrown away."""

    def write(
        self,
        keys: Sequence[bytes],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
    ) -> None:
        _used((keys, values, timestamps, headers))


@contextmanager
def _count() -> Iterator[Callable[[int], None]]:
    spec = StoreSpec(
        name="counts",
        kind=StoreKind.TIMESTAMPED_KEY_VALUE,
        key_serde=serde_for(int),
        value_serde=serde_for(int),
        cached=True,
    )
    batches = _decoded()
    with tempfile.TemporaryDirectory() as scratch:
        store = open_store(spec, directory=Path(scratch), changelog=_Nowhere(), cache=RecordCacheBudget(10 * 1024**2))
        context: Any = SimpleNamespace(store=lambda _name: store)
        counting = StreamAggregate("count", "counts", count_fold(), _used, send_old_values=False)
        counting.init(context)

        def work(number: int) -> None:
            counting.process(batches[number])
            if number % 50 == 49:
                store.flush()
            store.drain()
            if number % 50 == 49:
                store.commit(number)

        yield work
        store.close()


@contextmanager
def _state() -> Iterator[Callable[[int], None]]:
    spec = StoreSpec(
        name="takings",
        kind=StoreKind.TIMESTAMPED_WINDOW,
        key_serde=serde_for(int),
        value_serde=serde_for(Ride),
        retention_ms=70_000,
        window_size_ms=60_000,
        cached=True,
    )
    batches = _decoded()
    with tempfile.TemporaryDirectory() as scratch:
        store = open_store(spec, directory=Path(scratch), changelog=_Nowhere(), cache=RecordCacheBudget(10 * 1024**2))
        store.set_flush_listener(_used, send_old_values=False)

        def work(number: int) -> None:
            batch = batches[number]
            for key, ride, timestamp in zip(batch.keys, batch.values, batch.timestamps, strict=True):
                start = timestamp - timestamp % 60_000
                store.fetch(key, start)
                store.put(key, ride, start, timestamp)
            if number % 50 == 49:
                store.flush()
            store.drain()
            if number % 50 == 49:
                store.commit(number)

        yield work
        store.close()


@contextmanager
def _join() -> Iterator[Callable[[int], None]]:
    spec = StoreSpec(
        name="reports",
        kind=StoreKind.WINDOW,
        key_serde=serde_for(int),
        value_serde=serde_for(Ride),
        retention_ms=10_000,
        window_size_ms=10_000,
        retain_duplicates=True,
    )
    batches = _decoded()
    with tempfile.TemporaryDirectory() as scratch:
        store = open_store(spec, directory=Path(scratch), changelog=_Nowhere())

        def work(number: int) -> None:
            batch, recent = batches[number], store.recent
            columns = store.encoded(batch.keys, batch.values)
            for key, ride, time in zip(columns.identities, columns.values, batch.timestamps, strict=True):
                recent.between(-1 - key, time - 5_000, time + 5_000)
                recent.add(key, time, ride)
            store.append(columns, batch.timestamps, batch.timestamps)
            store.drain()
            if number % 50 == 49:
                store.commit(number)

        yield work
        store.close()


@contextmanager
def _serialize() -> Iterator[Callable[[int], None]]:
    batches, key, value = _decoded(), serializer(serde_for(int)), serializer(serde_for(Ride))
    yield lambda number: _used((key(batches[number].keys), value(batches[number].values)))


@contextmanager
def _partition() -> Iterator[Callable[[int], None]]:
    keys = [[(number * BATCH + at).to_bytes(8, "big") for at in range(BATCH)] for number in range(BATCHES)]
    yield lambda number: _used(partitions_for(keys[number], 4))


@contextmanager
def _build() -> Iterator[Callable[[int], None]]:
    columns = _columns()
    yield lambda number: _used(crc32c(_record_batch(columns[number])))


@contextmanager
def _clients() -> Iterator[Clients]:
    with tempfile.TemporaryDirectory() as scratch, broker(Path(scratch)) as (_, address):
        clients = KafkaClients(StreamsConfig.of("stages", {"broker": f"kafka://{address}"}))
        clients.admin().create([NewTopic(PARTITION.topic, 1)])
        yield clients
        clients.close()


@contextmanager
def _produce() -> Iterator[Callable[[int], None]]:
    columns = _columns()
    with _clients() as clients:
        producer = clients.producer()

        def work(number: int) -> None:
            keys, values, timestamps = columns[number]
            producer.send(*PARTITION, keys, values, timestamps)
            if number == BATCHES - 1:
                producer.flush()

        yield work


@contextmanager
def _changelog() -> Iterator[Callable[[int], None]]:
    columns = _columns()
    counts = [[b"\x00" * 8 + number.to_bytes(8, "big") for number in range(BATCH)]] * BATCHES
    with _clients() as clients:
        producer = clients.producer()
        changelog = ChangelogPartition(producer, *PARTITION)

        def work(number: int) -> None:
            changelog.write(columns[number].keys, counts[number], columns[number].timestamps)
            if number == BATCHES - 1:
                producer.flush()

        yield work


@contextmanager
def _restore() -> Iterator[Callable[[int], None]]:
    spec = StoreSpec(
        name="counts", kind=StoreKind.TIMESTAMPED_KEY_VALUE, key_serde=serde_for(int), value_serde=serde_for(int)
    )
    made = range(BATCH)
    value = b"\x00" * 16
    keys = [[(number * BATCH + at).to_bytes(8, "big") for at in made] for number in range(BATCHES)]
    with tempfile.TemporaryDirectory() as scratch:
        store = open_store(spec, directory=Path(scratch), changelog=_Nowhere())

        def work(number: int) -> None:
            store.restore(keys[number], [value] * BATCH, [0] * BATCH, (number + 1) * BATCH)

        yield work
        store.close()


@contextmanager
def _fetch() -> Iterator[Callable[[int], None]]:
    with _clients() as clients:
        produce(clients.producer(), rides(PARTITION.topic, BATCH * BATCHES))
        consumer = clients.consumer(group=None)
        consumer.assign([PARTITION])

        def work(number: int) -> None:
            while consumer.position(PARTITION) < (number + 1) * BATCH:
                _used(consumer.poll(1.0))

        yield work


def _used(result: object) -> None:
    """Keeps a result alive until here."""


STAGES = (
    Step("fetch", "from the broker, undecoded, both threads", _fetch, "355", threads=True),
    Step("split", "record batches cut and checked, not decoded", _split),
    Step("decode", "keys, values, offsets and times as columns", _decode, "186"),
    Step("deserialize", "an 8-byte long and a Struct of 7 fields", _deserialize, "230"),
    Step("chain", "filter, map_values, select_key", _chain, "300-430 for five"),
    Step("count", "per key, in front of a store with a record cache, a commit per 50,000", _count),
    Step("state", "window store: fetch, put, drain, a commit per 50,000", _state, "50, and 660 per dirty key"),
    Step("join", "a stream join's store: ask for a key that is not there, append, a commit per 50,000", _join),
    Step("serialize", "the same, to bytes", _serialize),
    Step("partition", "murmur2 of ids that come once", _partition, "40-400"),
    Step("build", "record batches of a thousand, with aiokafka's builder", _build, "180-200"),
    Step(
        "changelog",
        "counts through the store's writer, 8-byte keys, to acknowledged, both threads",
        _changelog,
        threads=True,
    ),
    Step("produce", "columns to acknowledged, both threads", _produce, "415-495", threads=True),
    Step("restore", "counts from a changelog into RocksDB, ascending keys", _restore),
)

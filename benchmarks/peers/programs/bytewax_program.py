"""The workloads on Bytewax, as its users write them. Arguments are those of benchmarks/peers/systems.py.

Snapshots go to SQLite at the commit interval. `cli_main` is what `python -m bytewax.run` calls, which takes whole
seconds only.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from struct import Struct

import bytewax.operators as op
import bytewax.operators.windowing as win
import orjson
from bytewax.connectors.kafka import KafkaSinkMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

workload, broker, _group, folder, _guarantee, interval_ms, output, *inputs = sys.argv[1:]
long = Struct(">q").pack
window_key = Struct(">qq").pack
flow = Dataflow("benchmark")


def source(topic, step):
    """Keyed records: the key as a string, which the engine asks for, and the decoded value."""
    records = kop.input(step, flow, brokers=[broker], topics=[topic])
    return op.map(
        f"{step}-decode",
        records.oks,
        lambda record: (str(int.from_bytes(record.key, "big")), orjson.loads(record.value)),
    )


def sink(records, encode):
    """Write out what `encode` makes of a key and a value: the bytes of both."""
    messages = op.map("encode", records, lambda pair: KafkaSinkMessage(*encode(*pair)))
    kop.output("out", messages, brokers=[broker], topic=output)


def as_json(key, value):
    return long(int(key)), orjson.dumps(value)


def counted(records):
    def count_up(number, _ride):
        number = (number or 0) + 1
        return number, number

    return op.stateful_map("count", records, count_up)


def stateless():
    kept = op.filter_value("longer", source(inputs[0], "rides"), lambda ride: ride["miles"] >= 6.0)

    def keep(ride):
        return {
            "id": ride["id"],
            "zone": ride["zone"],
            "fare": ride["fare"],
            "per_mile": ride["fare"] / ride["miles"],
        }

    sink(op.map_value("keep", kept, keep), as_json)


def count():
    sink(counted(source(inputs[0], "rides")), lambda key, number: (long(int(key)), long(number)))


def rekey_count():
    by_driver = op.map("rekey", source(inputs[0], "rides"), lambda pair: (pair[1]["driver"], pair[1]))
    sink(counted(by_driver), lambda driver, number: (driver.encode(), long(number)))


def window():
    clock = win.EventClock(lambda ride: datetime.fromtimestamp(ride["picked_up_ms"] / 1000, UTC), timedelta(seconds=10))
    minutes = win.TumblingWindower(timedelta(minutes=1), datetime(1970, 1, 1, tzinfo=UTC))
    takings = win.fold_window(
        "takings",
        source(inputs[0], "rides"),
        clock,
        minutes,
        lambda: (0, 0.0),
        lambda total, ride: (total[0] + 1, total[1] + ride["fare"]),
        lambda left, right: (left[0] + right[0], left[1] + right[1]),
        # In the order of arrival, as everybody else adds.
        ordered=False,
    )
    sink(
        takings.down,
        lambda zone, closed: (
            window_key(int(zone), closed[0] * 60_000),
            orjson.dumps({"rides": closed[1][0], "fares": closed[1][1]}),
        ),
    )


def table_join():
    """A zone is kept as state; rides that come before their zone wait for it."""
    rides = op.map_value("ride", source(inputs[0], "rides"), lambda ride: (ride, None))
    zones = op.map_value("zone", source(inputs[1], "zones"), lambda zone: (None, zone))

    def place(state, sides):
        zone, waiting = state or (None, [])
        ride, fresh = sides
        zone = fresh or zone
        if ride:
            waiting = [*waiting, ride]
        if not zone:
            return (zone, waiting), []
        placed = [
            {"id": each["id"], "fare": each["fare"], "zone": zone["name"], "borough": zone["borough"]}
            for each in waiting
        ]
        return (zone, []), placed

    sink(op.stateful_flat_map("place", op.merge("sides", rides, zones), place), as_json)


def stream_join():
    pairs = op.join("pairs", source(inputs[0], "begun"), source(inputs[1], "ended"), emit_mode="complete")
    sink(
        pairs,
        lambda key, sides: as_json(key, {"id": sides[0]["id"], "fare": sides[0]["fare"], "miles": sides[1]["miles"]}),
    )


{
    "stateless": stateless,
    "count": count,
    "count-1m": count,
    "rekey-count": rekey_count,
    "window": window,
    "table-join": table_join,
    "stream-join": stream_join,
}[workload]()
Path(folder).mkdir(parents=True)
init_db_dir(folder, 1)
cli_main(
    flow,
    epoch_interval=timedelta(milliseconds=int(interval_ms)),
    recovery_config=RecoveryConfig(folder),
)

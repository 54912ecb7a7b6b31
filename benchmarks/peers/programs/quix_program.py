"""The workloads on Quix Streams, as its users write them. Arguments are those of benchmarks/peers/systems.py."""

import sys
from datetime import timedelta
from struct import Struct

from quixstreams import Application
from quixstreams.dataframe.windows import Count, Sum

workload, broker, group, folder, guarantee, interval_ms, output, *inputs = sys.argv[1:]
long = Struct(">q").pack
window_key = Struct(">qq").pack
FOR_GOOD = timedelta(days=36_500)

app = Application(
    broker_address=broker,
    consumer_group=group,
    auto_offset_reset="earliest",
    commit_interval=int(interval_ms) / 1000,
    state_dir=folder,
    processing_guarantee="exactly-once" if guarantee == "exactly_once_v2" else "at-least-once",
)


def source(name):
    return app.dataframe(app.topic(name, key_deserializer="bytes", value_deserializer="json"))


def sink(value_serializer, key_serializer="bytes"):
    return app.topic(output, key_serializer=key_serializer, value_serializer=value_serializer)


def count_up(_value, state):
    number = state.get("count", 0) + 1
    state.set("count", number)
    return long(number)


def stateless():
    kept = source(inputs[0]).filter(lambda ride: ride["miles"] >= 6.0)
    kept = kept.apply(
        lambda ride: {
            "id": ride["id"],
            "zone": ride["zone"],
            "fare": ride["fare"],
            "per_mile": ride["fare"] / ride["miles"],
        }
    )
    kept.to_topic(sink("json"))


def count():
    source(inputs[0]).apply(count_up, stateful=True).to_topic(sink("bytes"))


def rekey_count():
    by_driver = source(inputs[0]).group_by("driver", key_serializer="str", key_deserializer="str")
    by_driver.apply(count_up, stateful=True).to_topic(sink("bytes", "str"))


def window():
    takings = source(inputs[0]).tumbling_window(timedelta(minutes=1), grace_ms=timedelta(seconds=10))
    takings = takings.agg(rides=Count(), fares=Sum("fare")).current()
    takings = takings.apply(
        lambda total, key, _timestamp, _headers: {**total, "zone": int.from_bytes(key, "big")}, metadata=True
    )
    takings.to_topic(sink("json"), key=lambda total: window_key(total["zone"], total["start"]))


def table_join():
    def place(ride, zone):
        return {"id": ride["id"], "fare": ride["fare"], "zone": zone["name"], "borough": zone["borough"]}

    # The table is older than any default grace: it is to be kept for good.
    placed = source(inputs[0]).join_asof(source(inputs[1]), on_merge=place, grace_ms=FOR_GOOD)
    placed.to_topic(sink("json"))


def stream_join():
    def pair(left, right):
        return {"id": left["id"], "fare": left["fare"], "miles": right["miles"]}

    within = timedelta(seconds=5)
    pairs = source(inputs[0]).join_interval(
        source(inputs[1]), on_merge=pair, grace_ms=within, backward_ms=within, forward_ms=within
    )
    pairs.to_topic(sink("json"))


{
    "stateless": stateless,
    "count": count,
    "count-1m": count,
    "rekey-count": rekey_count,
    "window": window,
    "table-join": table_join,
    "stream-join": stream_join,
}[workload]()
app.run()

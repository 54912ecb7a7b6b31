"""The workloads as an expert writes them by hand: confluent-kafka, orjson and dictionaries, in batches, no framework.

No guarantee: offsets are committed by librdkafka every so often, whether or not results were written, and what the
dictionaries hold is lost with the process. Arguments are those of benchmarks/peers/systems.py.
"""

import sys
from collections import defaultdict
from struct import Struct

import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

workload, broker, group, _folder, _guarantee, interval_ms, output, *inputs = sys.argv[1:]
BATCH = 10_000
MINUTE_MS = 60_000
long = Struct(">q").pack
window_key = Struct(">8sq").pack


def consumer(**settings):
    return Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": group,
            "auto.offset.reset": "earliest",
            # The two settings that small records need; librdkafka waits a second on a full queue otherwise.
            "fetch.queue.backoff.ms": 2,
            "queued.min.messages": 200_000,
            **settings,
        }
    )


producer = Producer({"bootstrap.servers": broker, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000})


def write(key, value):
    try:
        producer.produce(output, value, key)
    except BufferError:
        producer.poll(1.0)
        producer.produce(output, value, key)


def stateless():
    def handle(messages):
        for message in messages:
            ride = orjson.loads(message.value())
            miles = ride["miles"]
            if miles >= 6.0:
                fare = ride["fare"]
                kept = {"id": ride["id"], "zone": ride["zone"], "fare": fare, "per_mile": fare / miles}
                write(message.key(), orjson.dumps(kept))

    return handle


def count():
    counts = defaultdict(int)

    def handle(messages):
        for message in messages:
            key = message.key()
            orjson.loads(message.value())
            counts[key] = number = counts[key] + 1
            write(key, long(number))

    return handle


def rekey_count():
    counts = defaultdict(int)

    def handle(messages):
        for message in messages:
            driver = orjson.loads(message.value())["driver"]
            counts[driver] = number = counts[driver] + 1
            write(driver, long(number))

    return handle


def window():
    totals = {}

    def handle(messages):
        for message in messages:
            fare = orjson.loads(message.value())["fare"]
            key = window_key(message.key(), message.timestamp()[1] // MINUTE_MS * MINUTE_MS)
            rides, fares = totals.get(key, (0, 0.0))
            totals[key] = total = (rides + 1, fares + fare)
            write(key, orjson.dumps({"rides": total[0], "fares": total[1]}))

    return handle


def table_join():
    zones = {message.key(): orjson.loads(message.value()) for message in everything(inputs[1])}

    def handle(messages):
        for message in messages:
            key = message.key()
            ride, zone = orjson.loads(message.value()), zones.get(key)
            if zone:
                placed = {"id": ride["id"], "fare": ride["fare"], "zone": zone["name"], "borough": zone["borough"]}
                write(key, orjson.dumps(placed))

    return handle


def stream_join():
    begun, ended = {}, {}

    def handle(messages):
        for message in messages:
            key, ride = message.key(), orjson.loads(message.value())
            mine, theirs = (begun, ended) if message.topic() == inputs[0] else (ended, begun)
            if (other := theirs.pop(key, None)) is None:
                mine[key] = ride
                continue
            left, right = (ride, other) if mine is begun else (other, ride)
            write(key, orjson.dumps({"id": left["id"], "fare": left["fare"], "miles": right["miles"]}))

    return handle


def everything(topic):
    """All that lies in a topic now."""
    reader = consumer(**{"group.id": f"{group}-table", "enable.auto.commit": False})
    partitions = [
        TopicPartition(topic, number, OFFSET_BEGINNING) for number in reader.list_topics(topic).topics[topic].partitions
    ]
    left = sum(reader.get_watermark_offsets(partition)[1] for partition in partitions)
    reader.assign(partitions)
    while left > 0:
        messages = reader.consume(min(left, BATCH), 1.0)
        left -= len(messages)
        yield from messages
    reader.close()


def main():
    makers = {
        "stateless": stateless,
        "count": count,
        "count-1m": count,
        "rekey-count": rekey_count,
        "window": window,
        "table-join": table_join,
        "stream-join": stream_join,
    }
    handle = makers[workload]()
    source = consumer(**{"auto.commit.interval.ms": int(interval_ms)})
    source.subscribe(inputs if workload == "stream-join" else inputs[:1])
    while True:
        handle(source.consume(BATCH, 0.1))
        producer.poll(0)


main()

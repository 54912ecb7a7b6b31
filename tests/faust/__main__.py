"""How much processor time two applications take on Faust and on Headrace: `python -m tests.faust --records 20000`.

Per runtime and application: start a worker, give it a few records, and when they are done the rest; the worker's user
and system time in between, from /proc, is what counts. Runs alternate, and the best of each counts.
"""

import argparse
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from streams.clients.base import NewTopic
from streams.config import StreamsConfig
from streams.connection import connected
from tests.broker.process import BrokerProcess
from tests.faust.world import Row, World

RUNTIMES = ("faust", "compat")
WARM_UP = 200
PATIENCE_S = 600
WORDS = [f"word{number}" for number in range(1000)]


def lines(count: int) -> Iterator[Row]:
    """Lines of ten words, as many as make `count` words."""
    choose = random.Random(1)
    for _ in range(count // 10):
        yield Row(None, " ".join(choose.choices(WORDS, k=10)).encode())


def rides(count: int) -> Iterator[Row]:
    """Taxi rides."""
    choose = random.Random(1)
    for _ in range(count):
        vendor, amount = choose.choice("1234"), choose.uniform(3, 90)
        yield Row(
            None,
            {
                "vendorId": vendor,
                "passenger_count": 1,
                "trip_distance": 2.5,
                "payment_type": 1,
                "total_amount": round(amount, 2),
            },
        )


REPARTITION = "taxi.count_per_vendor-yellow_taxi_ride.json-TaxiRide.vendorId-repartition"
CASES = {
    "word_count": (lines, "lines", "word-count", ["lines", "words"]),
    "taxi": (rides, "yellow_taxi_ride.json", "taxi-course", ["yellow_taxi_ride.json", REPARTITION]),
}
TOPICS = ["lines", "words", "word-counts", "yellow_taxi_ride.json"]
TOPICS += ["yellow_taxi_rides.high_amount", "yellow_taxi_rides.low_amount"]


def cpu_s(process: int) -> float:
    """User and system time of a process and of its threads so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(runtime: str, name: str, records: int) -> float:
    """Processor seconds that a worker takes for so many records."""
    make, topic, group, watched = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        broker = BrokerProcess(home / "broker").start()
        world = World(runtime, broker.address, home)
        config = StreamsConfig.of("watcher", {"broker": f"kafka://{broker.address}"}, environment={})
        try:
            with connected(config) as connection:
                connection.create(NewTopic(each, 2) for each in TOPICS)

                def done() -> bool:
                    lag = connection.lag(group, watched)
                    return lag is not None and not any(lag.values())

                world.write(topic, make(WARM_UP))
                world.start(name)
                wait(done)
                before = cpu_s(world.workers[name].pid)
                world.write(topic, make(records))
                wait(done)
                return cpu_s(world.workers[name].pid) - before
        finally:
            world.stop_all()
            broker.stop()


def wait(condition: object) -> None:
    """Until it holds. Raises: TimeoutError."""
    assert callable(condition)
    until = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.25)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description="Faust against streams.compat.faust, the same applications.")
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    for name in CASES:
        best = dict.fromkeys(RUNTIMES, float("inf"))
        for _ in range(given.rounds):
            for runtime in RUNTIMES:
                best[runtime] = min(best[runtime], measured(runtime, name, given.records))
        per_record = {runtime: seconds / given.records * 1e6 for runtime, seconds in best.items()}
        print(
            f"{name}: Faust {per_record['faust']:.0f} us of CPU per record, Headrace {per_record['compat']:.0f} us: "
            f"{best['faust'] / best['compat']:.1f} times faster",
            flush=True,
        )


if __name__ == "__main__":
    main()

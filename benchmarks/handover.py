"""python -m benchmarks.handover rebalance|standby: how long results stop when workers come, go and die.

`rebalance`: a second and a third worker join and leave under an even load; told is the longest time without a committed
result, of tasks that stay and of tasks that move. `standby`: one of two workers with a million keys is killed; told is
the time until all of its partitions give results again. Everything is seen from outside, in the committed results.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from typing import Self

from benchmarks.measure import connect
from benchmarks.processes import BenchmarkError, Watched, broker, running
from streams import App
from streams.clients.base import Clients, NewTopic, Producer
from streams.clients.partitioner import partitions_for
from streams.record import TopicPartition

PARTITIONS, RATE, STEP_S, CHUNK = 8, 4_000, 0.005, 50_000
WATCHED_S, PATIENCE_S = 8.0, 240.0
SESSION_MS, HEARTBEAT_MS = 6_000, 500
"""A member hears with its next heartbeat that another's session is over."""
NAME = "handover"
RUNNING, COMPLETE = "running tasks: ", " is complete"


def worker(address: str, state_dir: str, *settings: str) -> None:
    """The program: a count per key, whose results lie where their keys do."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(created).3f %(message)s")
    given = dict(setting.split("=", 1) for setting in settings)
    app = App(NAME, broker=f"kafka://{address}", state_dir=state_dir, **given)
    app.stream("events", key=int, value=int).group_by_key().count(name="counts").to_stream().to(
        app.topic("counts", key=int, value=int)
    )
    app.run()


class Flow:
    """Results as they are seen: times of arrival by partition; and an even load of events, so that there are some."""

    def __init__(self, clients: Clients, keys: int) -> None:
        self.arrivals: list[list[float]] = [[] for _ in range(PARTITIONS)]
        self.error: BaseException | None = None
        self._clients = clients
        self._keys = keys
        self._over = Event()
        self._threads = [Thread(target=self._guarded, args=(what,), daemon=True) for what in (self._write, self._read)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def longest(self, partitions: Iterable[int], since: float, until: float) -> float:
        """The longest time without a result of one of these, within these times, in seconds."""
        longest = 0.0
        for partition in partitions:
            times = [since, *(at for at in self.arrivals[partition] if since < at < until), until]
            longest = max([longest, *(after - before for before, after in pairwise(times))])
        return longest

    def first_after(self, partitions: Iterable[int], since: float) -> float:
        """When all of these had given a result again."""
        return max(next((at for at in self.arrivals[partition] if at > since), 1e12) for partition in partitions)

    def _guarded(self, what: object) -> None:
        try:
            what()  # type: ignore[operator]
        except BaseException as error:
            self.error = error

    def _write(self) -> None:
        producer, begun, sent = self._clients.producer(), time.monotonic(), 0
        while not self._over.wait(STEP_S):
            due = round((time.monotonic() - begun) * RATE)
            send(producer, (number % self._keys for number in range(sent, due)))
            sent = due
        producer.close()

    def _read(self) -> None:
        reader = self._clients.consumer(group=None, read_committed=True)
        places = [TopicPartition("counts", number) for number in range(PARTITIONS)]
        reader.assign(places)
        for place, end in reader.end_offsets(places).items():
            reader.seek(place, end)
        while not self._over.is_set():
            for batch in reader.poll(0.05):
                if batch.columns().keys:  # else what ends a transaction, maybe a dead worker's
                    self.arrivals[batch.partition].append(time.monotonic())


def send(producer: Producer, numbers: Iterable[int]) -> None:
    """Events with these keys, each where its key belongs."""
    keys = [number.to_bytes(8, "big") for number in numbers]
    columns: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
    for key, partition in zip(keys, partitions_for(keys, PARTITIONS), strict=True):
        columns[partition].append(key)
    now_ms = time.time_ns() // 1_000_000
    for partition, chosen in enumerate(columns):
        if chosen:
            producer.send("events", partition, chosen, chosen, [now_ms] * len(chosen))


class Crew:
    """Workers by number, each with a state directory of its own, and what their logs say."""

    def __init__(self, address: str, folder: Path, settings: Sequence[str]) -> None:
        self._address, self._folder, self._settings = address, folder, settings
        self._stacks: dict[int, ExitStack] = {}
        self._watched: dict[int, Watched] = {}

    def start(self, number: int) -> None:
        """A process of its own."""
        state = str(self._folder / f"state-{number}")
        command = [sys.executable, "-m", "benchmarks.handover", "worker", self._address, state, *self._settings]
        self._stacks[number] = ExitStack()
        self._watched[number] = self._stacks[number].enter_context(running(f"worker-{number}", command, self._folder))

    def stop(self, number: int) -> None:
        """SIGTERM, and wait for the end."""
        del self._watched[number]
        self._stacks.pop(number).close()

    def kill(self, number: int) -> None:
        """SIGKILL."""
        self._watched[number].process.kill()
        self.stop(number)

    def close(self) -> None:
        """Stop all."""
        for number in list(self._watched):
            self.stop(number)

    def owned(self, number: int) -> frozenset[int]:
        """The partitions whose task a worker runs, by the last line that says so."""
        lines = [line for line in self.lines(number) if line.startswith(RUNNING)]
        tasks = lines[-1].removeprefix(RUNNING).split(", ") if lines else []
        return frozenset(int(task.partition("_")[2]) for task in tasks if "_" in task)

    def owners(self) -> dict[int, int]:
        """Partition to worker."""
        return {partition: number for number in self._watched for partition in self.owned(number)}

    def lines(self, number: int) -> list[str]:
        """What a worker's log says, without times. Raises: BenchmarkError when it has ended."""
        watched = self._watched[number]
        watched.check()
        return [line.partition(" ")[2] for line in watched.log.read_text(errors="replace").splitlines()]

    def until_balanced(self) -> None:
        """Until all tasks run, as many on each as on the others, or one more."""
        wait(lambda: len(self.owners()) == PARTITIONS and self._even(), "the tasks are not shared out")

    def _even(self) -> bool:
        counts = [len(self.owned(number)) for number in self._watched]
        return max(counts) - min(counts) <= 1


def wait(holds: object, complaint: str) -> None:
    """Until something holds. Raises: BenchmarkError."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise BenchmarkError(complaint)
        time.sleep(0.05)


@contextmanager
def stage(settings: Sequence[str]) -> Iterator[tuple[Clients, Crew]]:
    """A broker with the topics, and nobody at work."""
    with tempfile.TemporaryDirectory(prefix="headrace-handover-") as scratch, broker(Path(scratch)) as (_, address):
        clients = connect(address)
        admin = clients.admin()
        admin.create([NewTopic("events", PARTITIONS), NewTopic("counts", PARTITIONS)])
        admin.close()
        crew = Crew(address, Path(scratch), settings)
        try:
            yield clients, crew
        finally:
            crew.close()
            clients.close()


def rebalance(settings: Sequence[str]) -> None:
    """Two workers join and leave again; a line for each."""
    with stage(settings) as (clients, crew):
        crew.start(1)
        with Flow(clients, 10_000) as flow:
            wait(lambda: all(flow.arrivals), "no results")
            time.sleep(WATCHED_S)
            now = time.monotonic()
            print(f"{'nobody moves':14} all {flow.longest(range(PARTITIONS), now - WATCHED_S / 2, now) * 1000:7.0f} ms")
            for what, number in (("2 joins", 2), ("3 joins", 3), ("3 leaves", 3), ("2 leaves", 2)):
                before, since = crew.owners(), time.monotonic()
                (crew.start if what.endswith("joins") else crew.stop)(number)
                crew.until_balanced()
                time.sleep(WATCHED_S)
                after, until = crew.owners(), time.monotonic()
                stay = [partition for partition in before if before[partition] == after[partition]]
                move = [partition for partition in before if before[partition] != after[partition]]
                staying, moving = (flow.longest(part, since, until) * 1000 for part in (stay, move))
                print(f"{what:14} {len(stay)} stay {staying:7.0f} ms   {len(move)} move {moving:7.0f} ms", flush=True)
                if flow.error is not None:
                    raise flow.error


def standby(settings: Sequence[str], keys: int) -> None:
    """One of two workers is killed, whose keys the other has a copy of."""
    times = (f"session_timeout_ms={SESSION_MS}", f"heartbeat_interval_ms={HEARTBEAT_MS}")
    with stage([*settings, "num_standby_replicas=1", *times]) as (clients, crew):
        for number in (1, 2):
            crew.start(number)
        crew.until_balanced()
        producer = clients.producer()
        for first in range(0, keys, CHUNK):
            send(producer, range(first, min(first + CHUNK, keys)))
        producer.close()
        _until_counted(clients, keys)
        wait(lambda: all(any(COMPLETE in line for line in crew.lines(number)) for number in (1, 2)), "no standbys")
        with Flow(clients, keys) as flow:
            wait(lambda: all(flow.arrivals), "no results")
            time.sleep(WATCHED_S)
            lost, killed = crew.owned(1), time.monotonic()
            crew.kill(1)
            wait(lambda: flow.first_after(lost, killed + 1.0) < 1e12, "nobody took over")
            seconds = flow.first_after(lost, killed + 1.0) - killed
            restored = [line for line in crew.lines(2) if line.startswith("restored counts: ")]
        print(
            f"{keys:,} keys, {len(lost)} of {PARTITIONS} tasks killed: results again after {seconds:.2f} s, the session "
            f"({SESSION_MS / 1000:g} s) and {seconds - SESSION_MS / 1000:+.2f} s"
        )
        print("\n".join(restored[-len(lost) :]), flush=True)


def _until_counted(clients: Clients, records: int) -> None:
    consumer = clients.consumer(group=NAME)
    places = [TopicPartition("events", number) for number in range(PARTITIONS)]
    wait(lambda: sum(each.offset for each in consumer.committed(places).values()) >= records, "not all was counted")
    consumer.close()


def main(arguments: list[str] | None = None) -> int:
    """Measure, and tell. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.handover", description=__doc__)
    parser.add_argument("what", choices=["rebalance", "standby"])
    parser.add_argument("--keys", type=int, default=1_000_000, help="of the store (standby)")
    parser.add_argument(
        "--set", action="append", default=["processing_guarantee=exactly_once_v2"], metavar="NAME=VALUE"
    )
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that broker and workers are stopped too
    print(", ".join(options.set), flush=True)
    if options.what == "rebalance":
        rebalance(options.set)
    else:
        standby(options.set, options.keys)
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        worker(*sys.argv[2:])
    else:
        sys.exit(main())

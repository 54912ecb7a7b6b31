"""What can happen to workers and broker; each fault is over when its function returns, and all run again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from tests.chaos.processes import SESSION_TIMEOUT_MS, BrokerProcess, WorkerProcess

ZOMBIE_S = SESSION_TIMEOUT_MS / 1000 + 1.0
FROZEN_S = 8.0
"""At most: some nodes of a cluster wake before it has noticed (it does after 3 s), others after."""


class Victims(NamedTuple):
    """All that can be hurt, and chance."""

    broker: BrokerProcess
    workers: Sequence[WorkerProcess]
    random: Random

    def one(self) -> WorkerProcess:
        return self.random.choice(self.workers)

    def pause(self, longest_s: float) -> None:
        """Let some time pass, no one knows how much."""
        time.sleep(self.random.uniform(0, longest_s))


def kill_a_worker(victims: Victims) -> None:
    worker = victims.one()
    worker.kill()
    victims.pause(0.5)
    worker.start()


def kill_all_workers(victims: Victims) -> None:
    for worker in victims.workers:
        worker.kill()
    for worker in victims.workers:
        worker.start()


def kill_a_worker_for_long(victims: Victims) -> None:
    """The others take over before it is back."""
    worker = victims.one()
    worker.kill()
    time.sleep(ZOMBIE_S)
    worker.start()


def kill_and_wipe(victims: Victims) -> None:
    worker = victims.one()
    worker.kill()
    worker.wipe()
    worker.start()


def kill_the_broker(victims: Victims) -> None:
    victims.broker.kill()
    victims.pause(0.5)
    victims.broker.start()


def kill_broker_and_worker(victims: Victims) -> None:
    worker = victims.one()
    victims.broker.kill()
    worker.kill()
    victims.broker.start()
    worker.start()


def roll_the_broker(victims: Victims) -> None:
    """As for an upgrade: what a node leads and coordinates moves away before it ends, and back again."""
    victims.broker.roll()


def freeze_the_broker(victims: Victims) -> None:
    """A node that wakes up among others who lead and coordinate in its place, and takes itself for what it was."""
    victims.broker.freeze()
    victims.pause(FROZEN_S)
    victims.broker.thaw()


def zombie(victims: Victims) -> None:
    """Stopped for longer than the session lasts, a worker wakes up among others who have its tasks."""
    worker = victims.one()
    worker.pause()
    time.sleep(ZOMBIE_S)
    worker.resume()


def short_stop(victims: Victims) -> None:
    worker = victims.one()
    worker.pause()
    victims.pause(0.6)
    worker.resume()


def leave_and_join(victims: Victims) -> None:
    worker = victims.one()
    worker.leave()
    victims.pause(1.0)
    worker.start()


def nothing(_victims: Victims) -> None:
    """Even that must go well."""


FAULTS: Sequence[Callable[[Victims], None]] = (
    kill_a_worker,
    kill_a_worker,
    kill_all_workers,
    kill_a_worker_for_long,
    kill_and_wipe,
    kill_the_broker,
    kill_broker_and_worker,
    roll_the_broker,
    freeze_the_broker,
    zombie,
    zombie,
    short_stop,
    leave_and_join,
    nothing,
)

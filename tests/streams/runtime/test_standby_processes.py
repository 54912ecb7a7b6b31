"""Standbys on the real broker: whoever is killed, the work goes on where its copy is, with next to nothing to restore."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.streams.runtime.processes import QUICK, Process, Topics

pytestmark = [pytest.mark.broker, pytest.mark.crash]

MANY = 40_000
WITH_STANDBY = ("num_standby_replicas=1", "state_cleanup_delay_ms=600000")


def restored(lines: list[str]) -> int:
    """The records that a log says were restored."""
    return sum(int(line.split()[2]) for line in lines if line.startswith("restored counts: "))


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_a_killed_worker_is_replaced_by_its_standby(
    topics: Topics, start: Callable[..., Process], guarantee: str
) -> None:
    """SIGKILL of one of two workers: the other has a copy of every key, restores nothing of it, and counts on.

    What the dead one had not committed is undone by the leader: nobody waits ten minutes for it.
    """
    settings = (*WITH_STANDBY, f"processing_guarantee={guarantee}", "transaction_timeout_ms=600000")
    first = start("a", *settings)
    words = [f"word-{number}" for number in range(MANY)]
    topics.say(words)
    topics.until_counted(lambda counts: len(counts) == MANY)
    second = start("b", *settings)
    (task,) = (name for name in first.until_tasks(2) if name.startswith("1_"))
    second.until_tasks(2)
    second.until_said(f"standby of task {task} is complete")
    before = len(second.lines)
    first.kill()
    assert task in second.until_tasks(4)
    assert restored(second.lines[before:]) == 0
    topics.say(words[:100])
    topics.until_counted(lambda counts: all(counts[word] == 2 for word in words[:100]))


COUNTING = """
from streams import App

app = App("machines")
words = app.stream("words", key=str, value=str)
counted = words.group_by(lambda _, word: word, key=str, value=str, name="by-word").count(name="counts")
counted.to_stream().to("counts", key=str, value=int)
"""


class Machine:
    """`streams run --workers 2` with a state directory of its own: all of it can be killed at once."""

    def __init__(self, home: Path, number: int, broker: str) -> None:
        (home / "counting.py").write_text(COUNTING)
        self._log = home / f"machine-{number}.log"
        settings = (*QUICK, *WITH_STANDBY, f"state_dir={home / f'state-{number}'}")
        options = [part for setting in settings for part in ("--set", setting)]
        command = [sys.executable, "-m", "streams.cli", "run", "counting:app", "--workers", "2", "--broker", broker]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *options], cwd=home, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def said(self) -> str:
        return " ".join(self._log.read_text(errors="replace").split())

    def kill(self) -> None:
        """SIGKILL of the supervisor and its workers."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@pytest.fixture
def machine(tmp_path: Path, broker_url: str) -> Iterator[Callable[[], Machine]]:
    """Starts machines; all are killed at the end."""
    made: list[Machine] = []

    def starting() -> Machine:
        made.append(Machine(tmp_path, len(made), broker_url))
        return made[-1]

    yield starting
    for each in made:
        each.kill()


def test_a_machine_of_workers_is_replaced_by_another(topics: Topics, machine: Callable[[], Machine]) -> None:
    """Standbys lie on the other machine, not with a neighbour: when one dies with all its workers, no key is restored."""
    first = machine()
    words = [f"word-{number}" for number in range(MANY // 10)]
    topics.say(words)
    topics.until_counted(lambda counts: len(counts) == len(words))
    second = machine()
    topics.until(lambda: all(f"standby of task 1_{number} is complete" in second.said for number in range(2)))
    before = len(second.said)
    first.kill()
    topics.say(words)
    topics.until_counted(lambda counts: all(counts[word] == 2 for word in words))
    assert not re.search(r"restored counts: [1-9]", second.said[before:])

"""Agents that wait with tables in their hands, in processes that are killed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from itertools import accumulate
from pathlib import Path

import pytest

from streams.clients.base import NewTopic
from streams.config import StreamsConfig
from streams.connection import connected
from tests.broker.process import BrokerProcess
from tests.streams.runtime.waiting_app import INPUT, OUTPUT, application

pytestmark = [pytest.mark.broker, pytest.mark.crash]

KILLS = int(os.environ.get("KILLS", "3"))
EACH = 150
PATIENCE_S = 120


def test_exactly_once_while_agents_wait(tmp_path: Path) -> None:
    """Killed again and again between the two halves of its records, and started on the same state: each counts once.

    `KILLS=100` makes a campaign of it.
    """
    choose = random.Random(KILLS)
    broker = BrokerProcess(tmp_path / "broker").start()
    config = StreamsConfig.of("watcher", {"broker": f"kafka://{broker.address}"}, environment={})
    sent: dict[str, list[int]] = defaultdict(list)
    worker = None
    try:
        with connected(config) as connection:
            connection.create([NewTopic(INPUT, 2), NewTopic(OUTPUT, 2)])
            app = application(f"kafka://{broker.address}", str(tmp_path / "unused"))
            for kill in range(KILLS + 1):
                rows = [(f"k{choose.randrange(12)}", choose.randrange(1, 10)) for _ in range(EACH)]
                for key, value in rows:
                    sent[key].append(value)
                app.write(INPUT, rows)
                program = Path(__file__).with_name("waiting_app.py")
                command = [sys.executable, str(program), f"kafka://{broker.address}", str(tmp_path / "state")]
                with (tmp_path / "log").open("ab") as log:
                    worker = subprocess.Popen(command, stdout=log, stderr=log)
                if kill < KILLS:
                    time.sleep(choose.uniform(1.2, 3.5))
                    worker.kill()
                    worker.wait()
            until = time.monotonic() + PATIENCE_S
            while any((connection.lag("waiting", [INPUT]) or {None: 1}).values()):
                assert time.monotonic() < until, (tmp_path / "log").read_text()[-3000:]
                assert worker is not None
                assert worker.poll() is None, (tmp_path / "log").read_text()[-3000:]
                time.sleep(0.2)
            got: dict[str, list[list[int]]] = defaultdict(list)
            for record in app.read(OUTPUT):
                got[record.key].append(record.value)
    finally:
        if worker is not None and worker.poll() is None:
            worker.kill()
            worker.wait()
        broker.stop()
    for key, values in sent.items():
        assert [[total, count] for count, total in enumerate(accumulate(values), 1)] == got[key]

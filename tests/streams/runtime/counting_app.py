"""An application for tests, also a program: counts words through a repartition topic.

python counting_app.py BROKER NAME STATE_DIR [setting=value ...] [cut=STEP:N] [also=TOPIC]

`cut` kills the process with SIGKILL in its N-th commit, right after that step (a CommitStep's value). `also`
makes it another program, which copies that topic, too.
"""

from __future__ import annotations

import logging
import os
import signal
import sys

from streams.clients.kafka import KafkaClients
from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.runtime.committer import CommitStep
from streams.runtime.worker import Worker
from streams.topology.topology import Topology

INPUT, OUTPUT = "words", "counts"


def topology(config: StreamsConfig, also: str | None = None) -> Topology:
    """Words by value, counted: two sub-topologies and a store, and one sub-topology more for another topic."""
    builder = StreamsBuilder()
    (
        builder.stream(INPUT, key=str, value=str)
        .group_by(lambda _key, word: word, key=str, value=str, name="by-word")
        .count(name="counts")
        .to_stream()
        .to(OUTPUT, key=str, value=int)
    )
    if also is not None:
        builder.stream(also, key=str, value=str).to(f"{also}-copy")
    return builder.build(config)


class Cut:
    """Kills this process after the n-th time of a step."""

    def __init__(self, step: str, times: int) -> None:
        self._step, self._left = CommitStep(step), times

    def __call__(self, step: CommitStep) -> None:
        self._left -= step is self._step
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def cut_of(text: str | None) -> Cut:
    """None never cuts."""
    step, _, times = (text or f"{CommitStep.COMMITTED.value}:-1").rpartition(":")
    return Cut(step, int(times))


def main(broker: str, name: str, state_dir: str, *settings: str) -> None:
    """Run a worker until SIGTERM."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    given = dict(setting.split("=", 1) for setting in settings)
    cut, also = cut_of(given.pop("cut", None)), given.pop("also", None)
    config = StreamsConfig.of(name, {"broker": broker, "state_dir": state_dir}, command_line=given)
    clients = KafkaClients(config)
    worker = Worker(topology(config, also), config, clients, after_commit_step=cut)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    try:
        worker.run()
    finally:
        clients.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

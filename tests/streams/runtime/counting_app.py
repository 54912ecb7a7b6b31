"""An application for tests, also a program: counts words through a repartition topic.

python counting_app.py BROKER NAME STATE_DIR [setting=value ...]
"""

from __future__ import annotations

import logging
import signal
import sys

from streams.clients.kafka import KafkaClients
from streams.config import StreamsConfig
from streams.dsl.builder import StreamsBuilder
from streams.runtime.worker import Worker
from streams.topology.topology import Topology

INPUT, OUTPUT = "words", "counts"


def topology(config: StreamsConfig) -> Topology:
    """Words by value, counted: two sub-topologies and a store."""
    builder = StreamsBuilder()
    (
        builder.stream(INPUT, key=str, value=str)
        .group_by(lambda _key, word: word, key=str, value=str, name="by-word")
        .count(name="counts")
        .to_stream()
        .to(OUTPUT, key=str, value=int)
    )
    return builder.build(config)


def main(broker: str, name: str, state_dir: str, *settings: str) -> None:
    """Run a worker until SIGTERM."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    given = dict(setting.split("=", 1) for setting in settings)
    config = StreamsConfig.of(name, {"broker": broker, "state_dir": state_dir}, command_line=given)
    clients = KafkaClients(config)
    worker = Worker(topology(config), config, clients)
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    try:
        worker.run()
    finally:
        clients.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

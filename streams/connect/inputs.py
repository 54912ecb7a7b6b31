"""Files as the inputs of a run: `streams run MODULE:APP --input TOPIC=FILE`.

All files are checked before anything is written; then all of them are written in one transaction, so that readers of
what is committed (an application under exactly_once_v2 among them) see all rows or none, whatever ends the process.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from streams.clients.base import NewTopic
from streams.config import StreamsConfig
from streams.connect.file_source import FileSource
from streams.connect.readers import read_csv, read_jsonl, read_parquet
from streams.connection import Connection
from streams.dsl.options import Topic
from streams.errors import ConfigError
from streams.serdes import serde_for
from streams.settings import nearest
from streams.writing import Writer

log = logging.getLogger(__name__)

LONGEST_LOAD_MS = 15 * 60 * 1000
"""Kafka's own limit for a transaction (transaction.max.timeout.ms)."""

READERS: Mapping[str, Callable[[str | Path], FileSource]] = {
    ".parquet": read_parquet,
    ".pq": read_parquet,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
}


class Input(NamedTuple):
    """A topic that a file fills; `key` and `timestamp` are columns of it."""

    topic: str
    source: FileSource
    key: str | None = None
    timestamp: str | None = None


def open_source(path: str | Path) -> FileSource:
    """The file as a source, by the ending of its name. Raises: ConfigError."""
    name = str(path).lower().removesuffix(".gz")
    for ending, read in READERS.items():
        if name.endswith(ending):
            return read(path)
    raise ConfigError(f"{path}: expected a file that ends in {', '.join(READERS)}; .gz may follow where it is text")


def parse_inputs(inputs: Iterable[str], keys: Iterable[str], timestamps: Iterable[str]) -> list[Input]:
    """Inputs given as TOPIC=FILE, TOPIC=COLUMN and TOPIC=COLUMN on a command line. Raises: ConfigError."""
    files = _pairs("--input", "TOPIC=FILE", inputs)
    columns = [_pairs("--input-key", "TOPIC=COLUMN", keys), _pairs("--input-timestamp", "TOPIC=COLUMN", timestamps)]
    for option, named in zip(("--input-key", "--input-timestamp"), columns, strict=True):
        for topic in named.keys() - files.keys():
            raise ConfigError(f"{option} {topic}=...: there is no --input for {topic}{nearest(topic, files)}")
    return [Input(topic, open_source(file), *(named.get(topic) for named in columns)) for topic, file in files.items()]


def check(
    inputs: Sequence[Input], topics: Mapping[str, Topic], config: StreamsConfig, patterns: Sequence[str] = ()
) -> dict[str, int]:
    """See that all of it can be written. Shape: rows by topic.

    `topics` are those that the application reads, those of the inputs among them that match its `patterns`.

    Raises: ConfigError with file and place.
    """
    for each in inputs:
        if each.topic not in topics:
            known = ", ".join([*topics, *(f"what matches {pattern!r}" for pattern in patterns)]) or "none"
            raise ConfigError(
                f"--input {each.topic}=...: {config.application_id} does not read that topic; it reads {known}"
                f"{nearest(each.topic, topics)}"
            )
    default = serde_for(config.default_value_serde)
    return {
        each.topic: each.source.check(topics[each.topic], default, key=each.key, timestamp=each.timestamp)
        for each in inputs
    }


def load(connection: Connection, inputs: Sequence[Input], topics: Mapping[str, Topic]) -> None:
    """Write files that were checked, in one transaction."""
    config = connection.config
    connection.create(NewTopic(each.topic) for each in inputs)
    producer = connection.clients.producer(
        transactional_id=f"{config.application_id}-inputs", transaction_timeout_ms=LONGEST_LOAD_MS
    )
    try:
        producer.begin()
        writer = Writer(producer, serde_for(config.default_value_serde))
        for each in inputs:
            records = each.source.records(topics[each.topic], key=each.key, timestamp=each.timestamp)
            count = writer.write(topics[each.topic], records, key=None, timestamp=None)
            log.info("%s: %s rows of %s", each.topic, f"{count:,}", each.source.path)
        producer.commit_transaction()
    finally:
        producer.close()


def _pairs(option: str, form: str, given: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip() or not text.strip():
            raise ConfigError(f"{option} {pair}: expected {form}, as in {option} rides=trips.parquet")
        if name in found:
            raise ConfigError(f"{option} {pair}: {name} was given {found[name]} already; give each topic once")
        found[name.strip()] = text.strip()
    return found

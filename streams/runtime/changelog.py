"""Where the stores of tasks are logged."""

from __future__ import annotations

import logging
from typing import NamedTuple

from state.engine import any_none
from state.stores import Store
from streams.record import Batch, TopicPartition

log = logging.getLogger(__name__)


class Changelog(NamedTuple):
    """A store of a task and the partition that logs it."""

    store: Store
    partition: TopicPartition


def with_keys(columns: Batch) -> Batch:
    """Records of a source topic that serves as changelog, less those without a key: processing drops them as well.

    Brokers refuse them where a topic is compacted, so changelogs of our own have none.
    """
    if not any_none(columns.keys):
        return columns
    kept = columns.select([key is not None for key in columns.keys])
    skipped = len(columns) - len(kept)
    log.warning("%s[%d]: %d record(s) without a key are not restored", columns.topic, columns.partition, skipped)
    return kept

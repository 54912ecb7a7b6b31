"""Where the stores of tasks are logged."""

from __future__ import annotations

from typing import NamedTuple

from state.stores import Store
from streams.record import TopicPartition


class Changelog(NamedTuple):
    """A store of a task and the partition that logs it."""

    store: Store
    partition: TopicPartition

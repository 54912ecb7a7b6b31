"""What a worker has from its start to its end, and how it is let go of.

Rules: parts are closed in the reverse of the order in which they were made; what fails on the way is told, and the rest
is closed all the same, for the run already has its end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from streams.clients.base import Admin, Consumer
from streams.runtime.committer import Committer
from streams.runtime.global_state import GlobalState
from streams.runtime.restorer import Restorer
from streams.runtime.store_locations import StoreLocations
from streams.runtime.streams_producer import StreamsProducer
from streams.runtime.task_manager import TaskManager
from streams.runtime.task_stores import TaskStores

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Parts:
    """See the module; `closings` closes them all."""

    consumer: Consumer
    producer: StreamsProducer
    admin: Admin
    tasks: TaskManager
    restorer: Restorer
    committer: Committer
    stores: TaskStores
    locations: StoreLocations
    closings: ExitStack
    globals: GlobalState | None = None


def quietly(closing: Callable[[], object]) -> None:
    """Close something at the end of a run: what fails on the way is told, and the rest is closed all the same."""
    try:
        closing()
    except Exception as error:
        log.warning("while closing: %s", error)

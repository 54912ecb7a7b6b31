"""The last act of a worker whose end is to stop its application on all machines: Kafka's SHUTDOWN_APPLICATION.

It undoes what it had not committed, lets its tasks go, and joins one more generation, to say so there. The leader leaves
everything where it is and tells all; they commit, leave, and end with StopApplication. Rules: it waits for the word to
be passed on, but not for ever; a leader of an older version does not understand it, as in Kafka Streams.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from streams.runtime.worker_parts import Parts

log = logging.getLogger(__name__)

POLL_S = 0.1


def stop_all(parts: Parts, patience_s: float, interrupted: Callable[[], bool]) -> None:
    """Have the group know, for as long as patience lasts. Raises: StreamsError when it cannot be reached."""
    log.warning("telling all workers of the application to stop")
    parts.tasks.group.stop_all()
    parts.committer.abort()
    parts.tasks.close_all()
    parts.consumer.enforce_rebalance()
    until = time.monotonic() + patience_s
    while not parts.tasks.group.all_stop and not interrupted():
        if time.monotonic() > until:
            log.warning("not all workers have heard within %g s that they are to stop", patience_s)
            return
        parts.consumer.poll(POLL_S)

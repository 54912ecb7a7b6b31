"""Transactions that workers left open when they died: the leader ends them, so that nobody waits for their timeout.

An open transaction holds back the end of every changelog it wrote to, and with it whoever takes over the tasks. Rules:
only ids of workers of this application, and of none that is a member as of the last assignment. They are ended beside
everything else, by taking over the id: a worker that is alive after all is fenced, and its tasks are others' by then.
What cannot be done here the timeout does.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Collection, Iterable

from streams.clients.base import Admin, Clients

log = logging.getLogger(__name__)

_PROCESS = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-\d+"
"""The name of a worker, see `process_id`."""


class Orphans:
    """See the module. `opened` gives the ids of open transactions, `end` takes an id over."""

    def __init__(self, application_id: str, opened: Callable[[], Iterable[str]], end: Callable[[str], None]) -> None:
        self._id = re.compile(f"{re.escape(application_id)}-({_PROCESS})")
        self._opened = opened
        self._end = end
        self._living: Collection[str] = ()

    @classmethod
    def of(cls, application_id: str, clients: Clients, admin: Admin) -> Orphans:
        """Those of an application, over the clients of a worker."""
        return cls(
            application_id, admin.open_transactions, lambda name: clients.producer(transactional_id=name).close()
        )

    def end(self, living: Collection[str]) -> threading.Thread:
        """End the transactions of workers that are not among these. Shape: the thread that does it."""
        self._living = living
        thread = threading.Thread(target=self._end_all, name="orphans", daemon=True)
        thread.start()
        return thread

    def _end_all(self) -> None:
        try:
            for name in self._opened():
                worker = self._id.fullmatch(name)
                if worker is not None and worker[1] not in self._living:
                    self._end(name)
                    log.info("ended the transaction that %s had left open", name)
        except Exception as error:
            log.info("transactions of dead workers are left to their timeout: %s", error)

"""The end of a worker's patience with its broker: what is waited for is given up some time after it was told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable


class GivingUp:
    """Calls `give_up` later, unless `cancel` comes before; from any thread."""

    def __init__(self, give_up: Callable[[], None]) -> None:
        self._give_up = give_up
        self._timer: threading.Timer | None = None

    def after(self, seconds: float) -> None:
        """On a thread of its own: a signal handler may have interrupted whoever holds the clients' locks."""
        self._timer = threading.Timer(seconds, self._give_up)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        """Give nothing up."""
        if self._timer is not None:
            self._timer.cancel()

"""What the email program does with a confirmed ride: prints and counts. The post itself is left out."""

from __future__ import annotations

import time

from rich.console import Console

from examples.taxi.messages import Confirmed

PER_SECOND = 4.0


class Mailer:
    """Sends emails; on a terminal it shows a few of them a second, elsewhere only their number is of interest."""

    def __init__(self, console: Console) -> None:
        self.sent = 0
        self._console = console
        self._next_shown = 0.0 if console.is_terminal else float("inf")

    def send(self, ride: Confirmed) -> None:
        """Tell the rider who drives, and what it costs."""
        self.sent += 1
        now = time.monotonic()
        if now >= self._next_shown:
            self._next_shown = now + 1 / PER_SECOND
            self._console.print(
                f"Email {self.sent:,}: ride {ride.id:,} from {ride.zone}, {ride.driver}, {ride.fare:.2f} $",
                highlight=False,
            )

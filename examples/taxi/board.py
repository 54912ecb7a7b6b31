"""What a person sees: a live table of the busiest zones on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from examples.taxi.ledger import Ledger
from examples.taxi.zones import ZONES

BUSIEST = 12
SECONDS_BETWEEN_TABLES = 0.1
SECONDS_BETWEEN_LINES = 5.0


class Board:
    """Shows a ledger while it fills; a context manager."""

    def __init__(self, console: Console, ledger: Ledger, rides: int) -> None:
        self._console = console
        self._ledger = ledger
        self._rides = rides
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._interval = SECONDS_BETWEEN_TABLES if self._live else SECONDS_BETWEEN_LINES
        self._due = time.monotonic() + self._interval

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.update(self.table(), refresh=True)
            self._live.stop()
        elif error is None:
            self._console.print(self.table())

    def show(self, emails: int) -> None:
        """Show how far things are."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self._interval
        line = self._progress(emails)
        if self._live:
            self._live.update(Group(self.table(), Text(line)), refresh=True)
        else:
            self._console.print(line)

    def _progress(self, emails: int) -> str:
        ledger = self._ledger
        return (
            f"{len(ledger.rides):,} of {self._rides:,} rides in, {len(ledger.confirmed):,} confirmed, "
            f"{len(ledger.refused):,} refused, {emails:,} emails"
        )

    def table(self) -> Table:
        """The busiest zones so far."""
        table = Table(title="Busiest zones", title_justify="left")
        table.add_column("zone")
        table.add_column("borough")
        table.add_column("rides", justify="right")
        table.add_column("fares", justify="right")
        table.add_column("per ride", justify="right")
        busiest = sorted(self._ledger.zones.items(), key=lambda entry: (-entry[1].rides, entry[0]))[:BUSIEST]
        for number, takings in busiest:
            zone, mean = ZONES[number], takings.fares / takings.rides
            table.add_row(zone.name, zone.borough, f"{takings.rides:,}", f"{takings.fares:,.2f} $", f"{mean:.2f} $")
        return table

"""What a person sees: busiest routes and most profitable areas beside each other, and how fast it all goes.

Rules: everything is shown from what the topics say; the board itself counts nothing but time. It fits a terminal of 80
columns and uses the room of a wider one for names.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from examples.taxi.debs.messages import Area, Change, Place, Route
from examples.taxi.zones import ZONES

_SECONDS = 5.0
"""Throughput is that of the last ones."""


@dataclass
class Board:
    """All that is shown. `lag` is in trips, by query; `state_bytes` is what lies on disk."""

    total: int
    read: int = 0
    lag: dict[str, int] = field(default_factory=dict)
    state_bytes: int = 0
    delay_ms: int = 0
    lists: int = 0
    now_ms: int = 0
    routes: list[Route] = field(default_factory=list)
    areas: list[Area] = field(default_factory=list)
    places: dict[Route, int] = field(default_factory=dict)
    _read: deque[tuple[float, int]] = field(default_factory=deque)

    def take_routes(self, change: Change[Route], delay_ms: int) -> None:
        """A new list of routes came."""
        self._take(change, delay_ms)
        self.places = {route: place for place, route in enumerate(self.routes)}
        self.routes = change.ten

    def take_areas(self, change: Change[Area], delay_ms: int) -> None:
        """A new list of areas came."""
        self._take(change, delay_ms)
        self.areas = change.ten

    def _take(self, change: Change[Any], delay_ms: int) -> None:
        self.lists += 1
        self.delay_ms = delay_ms
        self.now_ms = max(self.now_ms, change.dropped_off_ms)

    def measure(self, seconds: float, lag: dict[str, int], state_bytes: int) -> None:
        """How things stand at a time."""
        self.lag, self.state_bytes = lag, state_bytes
        self._read.append((seconds, self.read - max(lag.values(), default=0)))
        while self._read[-1][0] - self._read[0][0] > _SECONDS:
            self._read.popleft()

    @property
    def throughput(self) -> float:
        """Trips per second through both queries, of late."""
        (begin, before), (end, after) = (self._read[0], self._read[-1]) if self._read else ((0.0, 0), (0.0, 0))
        return (after - before) / (end - begin) if end > begin else 0.0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        tables = Table.grid(expand=True, padding=(0, 1, 0, 0))
        tables.add_column(ratio=1)
        tables.add_column(ratio=1)
        tables.add_row(self._routes(width // 4 - 7), self._areas(width // 2 - 29))
        yield self._status()
        yield tables

    def _status(self) -> Panel:
        clock = (
            datetime.fromtimestamp(self.now_ms / 1000, UTC).strftime("%a %d %b %Y  %H:%M:%S") if self.now_ms else "…"
        )
        lag = "  ".join(f"{name} {trips:,}" for name, trips in self.lag.items()) or "…"
        facts = Table.grid(expand=True)
        for _ in range(4):
            facts.add_column(ratio=1)
        facts.add_row(
            _fact("trips", f"{self.read:,}"),
            _fact("per second", f"{self.throughput:,.0f}"),
            _fact("lists", f"{self.lists:,}"),
            _fact("delay", f"{self.delay_ms:,} ms"),
        )
        below = Table.grid(expand=True)
        below.add_column(ratio=3)
        below.add_column(ratio=1)
        below.add_row(_fact("lag", lag), _fact("state", _size(self.state_bytes)))
        bar = ProgressBar(total=max(1, self.total), completed=self.read)
        return Panel(Group(facts, below, bar), title=f"[bold]New York taxis[/]  {clock}", box=box.ROUNDED)

    def _routes(self, room: int) -> Table:
        table = _table("Busiest routes", "30 min")
        table.add_column("", justify="right", width=2)
        table.add_column("from", ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column("to", ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column("", width=3, no_wrap=True)
        for place, route in enumerate(self.routes):
            names = (_name(each, room) for each in route)
            table.add_row(f"{place + 1}", *names, self._moved(route, place))
        for place in range(len(self.routes), 10):
            table.add_row(f"{place + 1}", *["[dim]·[/]"] * 2, "")
        return table

    def _moved(self, route: Route, place: int) -> str:
        before = self.places.get(route)
        if before is None:
            return "[green]new[/]"
        if before == place:
            return ""
        return f"[green]▲{before - place}[/]" if before > place else f"[red]▼{place - before}[/]"

    def _areas(self, room: int) -> Table:
        table = _table("Most profitable areas", "15 min")
        table.add_column("", justify="right", width=2)
        table.add_column("area", ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column("empty", justify="right", width=5)
        table.add_column("median", justify="right", width=6)
        table.add_column("$/taxi", justify="right", width=6, style="bold")
        for place, (area, empty, median, profitability) in enumerate(self.areas):
            table.add_row(f"{place + 1}", _name(area, room), f"{empty}", _dollars(median), _dollars(profitability))
        for place in range(len(self.areas), 10):
            table.add_row(f"{place + 1}", *["[dim]·[/]"] * 4)
        return table


def _table(title: str, what: str) -> Table:
    return Table(title=f"[bold]{title}[/] [dim]{what}[/]", title_justify="left", box=box.SIMPLE_HEAD, expand=True, pad_edge=False,
                 title_style="", padding=(0, 1, 0, 0))  # fmt: skip


def _fact(name: str, value: str) -> Text:
    return Text.assemble((f"{name} ", "dim"), (value, "bold"))


def _name(place: Place, room: int) -> str:
    """What a place is called, in so many letters: ends tell neighbours apart, so what is too long lacks its middle."""
    zone = ZONES.get(int(place)) if isinstance(place, str) and place.isdigit() else None
    name = zone.name if zone else str(place)
    if len(name) <= room:
        return name
    head = (room - 1) // 2
    return f"{name[:head].rstrip()}…{name[len(name) - (room - 1 - head) :].lstrip()}"


def _size(count: int) -> str:
    return f"{count / 1024**2:,.1f} MiB" if count >= 1024**2 else f"{count / 1024:,.0f} KiB"


def _dollars(amount: float) -> str:
    return f"{amount:.2f}" if abs(amount) < 1_000 else f"{amount:,.0f}"

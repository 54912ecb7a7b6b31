"""What a run shows: one panel at the start, then a status line on a terminal or log lines elsewhere.

Rules: everything goes to stderr, so that a program's own output stays clean. Nothing here can stop a run.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.logging import RichHandler
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streams.cli.json_lines import JsonHandler
from streams.errors import ConfigError
from streams.runner import Runner
from streams.running import Application, Listener
from streams.runtime.node_counts import NodeCounts
from streams.runtime.worker_states import WorkerStatus
from streams.settings import nearest

log = logging.getLogger("streams")

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")

REFRESH_S = 1.0
LOG_EVERY_S = 30.0


def set_up_logging(level: str, console: Console | None) -> None:
    """Log lines to stderr: coloured on a terminal, plain with time and level elsewhere; JSON without a console.

    Raises: ConfigError for a level that is none.
    """
    if level.lower() not in LOG_LEVELS:
        raise ConfigError(
            f"--log-level: expected one of {', '.join(LOG_LEVELS)}, got {level!r}{nearest(level, LOG_LEVELS)}"
        )
    if console is None:
        handler: logging.Handler = JsonHandler()
        logging.captureWarnings(True)
    elif console.is_terminal:
        handler = RichHandler(console=console, show_path=False, rich_tracebacks=False)
        handler.setFormatter(logging.Formatter("%(message)s", datefmt="%H:%M:%S"))
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def stderr() -> Console:
    """The console of this process's standard error."""
    return Console(stderr=True, highlight=False)


class Screen(Listener):
    """Shows a run on a console; with `counts`, the records of every node too."""

    def __init__(self, console: Console, counts: NodeCounts | None = None) -> None:
        self._console = console
        self._counts = counts
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def starting(self, application: Application) -> None:
        """The panel: broker, guarantee, and the parts of the topology."""
        if self._console.is_terminal:
            self._console.print(start_panel(application))
        else:
            for line in start_lines(application):
                log.info(line)

    def running(self, worker: Runner) -> None:
        """Follow the worker with a line of its rate and lag."""
        follow = self._status_line if self._console.is_terminal else self._log_lines
        self._thread = threading.Thread(target=follow, args=(worker,), name="status", daemon=True)
        self._thread.start()

    def stopping(self) -> None:
        """Take the line away."""
        self._over.set()
        if self._thread:
            self._thread.join()
        if self._counts is not None:
            self._console.print(count_table(self._counts))

    def _status_line(self, worker: Runner) -> None:
        rate = Rate()
        while not self._over.is_set():
            if worker.status().restoring:
                self._over.wait(REFRESH_S)  # the restore's own progress bar has the screen
            else:
                self._follow(worker, rate)

    def _follow(self, worker: Runner, rate: Rate) -> None:
        """One line, drawn anew once a second, while nothing is restored."""
        # A program whose output goes to a file or pipe must keep it: only a terminal is shared with the line.
        with Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=sys.stdout.isatty()
        ) as live:
            while not self._over.wait(REFRESH_S) and not worker.status().restoring:
                line = Text(rate.line(worker.status()), style="dim")
                shown = line if self._counts is None else Group(count_table(self._counts), line)
                live.update(shown, refresh=True)

    def _log_lines(self, worker: Runner) -> None:
        rate = Rate()
        while not self._over.wait(LOG_EVERY_S):
            log.info(rate.line(worker.status()))


def count_table(counts: NodeCounts) -> Table:
    """The records in and out of every node."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("node", no_wrap=True)
    table.add_column("in", justify="right")
    table.add_column("out", justify="right")
    for row in counts.rows():
        table.add_row(Text(row.node), f"{row.taken:,}", f"{row.given:,}")
    return table


class Rate:
    """Turns what a worker shows of itself into a line of text, with the rate since the line before."""

    def __init__(self) -> None:
        self._processed = 0
        self._at = 0.0

    def line(self, status: WorkerStatus) -> str:
        """State, records per second, lag, records so far, tasks; what was left out, if anything; the program's own numbers."""
        now = time.monotonic()
        rate = (status.processed - self._processed) / (now - self._at) if self._at else 0.0
        self._processed, self._at = status.processed, now
        parts = [
            status.state.value,
            f"{rate:,.0f} records/s",
            f"{status.lag:,} behind",
            f"{status.processed:,} records",
            f"{len(status.tasks)} task{'' if len(status.tasks) == 1 else 's'}",
        ]
        left_out = {
            "skipped": status.skipped - status.dead_letters,
            "dead letters": status.dead_letters,
            "dropped": status.dropped,
        }
        parts += [f"{count:,} {name}" for name, count in left_out.items() if count]
        parts += [f"{name} {_shown(value)}" for name, value in status.metrics.items()]
        return ", ".join(parts)


def _shown(value: Any) -> str:
    """A number of the program's own as text."""
    return f"{value:,.10g}" if isinstance(value, int | float) else str(value)


def start_panel(application: Application) -> Panel:
    """The first thing a user sees."""
    table = Table.grid(padding=(0, 2))
    for line in start_lines(application):
        name, _, text = line.partition(": ")
        table.add_row(f"[dim]{name}[/dim]", text.replace("[", "\\["))
    return Panel(table, title=f"[bold]{application.config.application_id}[/bold]", title_align="left", expand=False)


def start_lines(application: Application) -> list[str]:
    """Shape: "name: text" per line."""
    config, topology = application.config, application.topology
    guarantee = config.processing_guarantee.replace("_", " ")
    lines = [
        f"broker: {config.broker}",
        f"guarantee: {guarantee}, commit every {config.commit_interval_ms:,} ms",
        f"state: {config.state_dir}",
    ]
    for part in topology.subtopologies:
        into = ", ".join(part.sink_topics) or "no topic"
        stores = f", stores {', '.join(spec.name for spec in part.stores)}" if part.stores else ""
        lines.append(f"sub-topology {part.id}: {', '.join(part.source_topics)} -> {into}{stores}")
    if topology.unnamed:
        lines.append(
            f"unnamed state: {', '.join(topology.unnamed)}; these names change with the program, and state is lost with "
            "them: say name="
        )
    return lines

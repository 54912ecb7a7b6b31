"""`streams dev`: run an application, and again whenever a Python file is saved.

The application runs as a process of its own, so that every start imports all of it anew. Rules: a reload commits before
it stops; the bundled broker is held on to over reloads; a program that does not start is told of and waited for.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from streams.cli.supervisor import this_program
from streams.cli.target import THIS_APP, BrokerOption, JsonLinesOption, SettingsOption, TargetArgument
from streams.config import StreamsConfig

DEV_COMMIT_MS = 200
"""Results are looked for right after an edit, so they must not wait for Kafka Streams' 30 s."""


def dev(
    target: TargetArgument,
    *,
    broker: BrokerOption = None,
    settings: SettingsOption = [],  # noqa: B006  typer's way to say: none given
    trace: Annotated[
        str | None, typer.Option(metavar="KEY", help="Print the way of records with this key through the topology.")
    ] = None,
    watch: Annotated[
        list[Path], typer.Option(help="A directory to watch for saved Python files; may be repeated.")
    ] = [],  # noqa: B006
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "warning",
    json: JsonLinesOption = False,
) -> None:
    """Run an application, and reload it whenever a Python file is saved; broker and state stay.

    Shows the records in and out of every node. --trace KEY prints what a record was before and after each node, with the
    record cache off, so that every update shows.
    """
    named = [] if target == THIS_APP else [target]
    options = [*(["--broker", broker] if broker else []), *(part for each in settings for part in ("--set", each))]
    options = ["--set", f"commit_interval_ms={DEV_COMMIT_MS}", *options, "--counts", "--log-level", log_level]
    options += ["--trace", trace] if trace is not None else []
    options += ["--json"] * json
    arguments = ["run", *named, *options]
    command = this_program(arguments) if target == THIS_APP else [sys.executable, "-m", "streams.cli", *arguments]
    raise typer.Exit(Reloader(command, watch or [_home(target)], _tell if json else _say).run())


def report(descriptor: int, config: StreamsConfig) -> None:
    """Tell whoever reloads this process where its embedded broker lives; an empty line when it is elsewhere."""
    directory = config.embedded_dir
    with os.fdopen(descriptor, "w") as pipe:
        pipe.write("\n" if directory is None else f"{config.embedded_idle_ms} {Path(directory).resolve()}\n")


class Reloader:
    """Runs a command, and again whenever a Python file in one of the directories changes."""

    def __init__(self, command: Sequence[str], directories: Sequence[Path], say: Callable[[str], None]) -> None:
        self._say = say
        self._command = list(command)
        self._directories = directories
        self._stop = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._release = ExitStack()
        self._held: str | None = None

    def run(self) -> int:
        """Until a signal. Shape: the exit code of the last process, 0 when it was asked to stop."""
        from watchfiles import PythonFilter, watch

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._signalled)
        with self._release:
            self._start()
            wanted = PythonFilter(ignore_paths=[str(path / ".streams") for path in self._directories])
            changes = watch(
                *self._directories, watch_filter=wanted, stop_event=self._stop, rust_timeout=200, yield_on_timeout=True
            )
            for changed in changes:
                if changed:
                    names = ", ".join(sorted({Path(path).name for _, path in changed}))
                    self._say(f"reloading: {names} changed")
                    self._end(self._process)
                    self._start()
                elif self._process is not None and self._process.poll() is not None:
                    self._say(f"the application ended with exit code {self._process.returncode}; waiting for a change")
                    self._process = None
            return self._end(self._process)

    def _start(self) -> None:
        reading, writing = os.pipe()
        command = [*self._command, "--report-to", str(writing)]
        self._process = subprocess.Popen(command, pass_fds=[writing])  # noqa: S603  our own command
        os.close(writing)
        with os.fdopen(reading) as told:
            self._hold(told.readline().strip())

    def _hold(self, told: str) -> None:
        """Keep the embedded broker of the application for as long as this runs."""
        idle_ms, _, directory = told.partition(" ")
        if not directory or directory == self._held:
            return
        from streams.embedded import lease

        self._held = directory
        self._release.enter_context(lease(directory, idle_seconds=int(idle_ms) / 1000))

    def _end(self, process: subprocess.Popen[bytes] | None) -> int:
        """Ask the process to commit and stop, and wait. Shape: its exit code; 0 when it had none of its own."""
        if process is None:
            return 0
        if process.poll() is None:
            process.terminate()
        code = process.wait()
        return 0 if code == -signal.SIGTERM else abs(code)

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._stop.is_set():
            os._exit(128 + number)  # the application shares the terminal, so it had the second Ctrl-C too
        self._stop.set()


def _home(target: str) -> Path:
    """Where the files of an application are: beside the file, else in the current directory."""
    where = sys.argv[0] if target == THIS_APP else target.partition(":")[0]
    path = Path(where)
    return path.resolve().parent if path.suffix == ".py" and path.is_file() else Path.cwd()


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _tell(line: str) -> None:
    """As an event of the reloading process."""
    from streams.cli.json_lines import write

    write("reload", message=line)

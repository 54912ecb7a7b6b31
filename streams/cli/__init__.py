"""The `streams` command: dispatches, sets up logging, and turns errors into one clear message and an exit code.

Exit codes: 0 done, 1 failed while running, 2 wrong usage or settings, 3 failed such that all workers are to stop,
130 interrupted. `streams broker` becomes the broker by exec before anything else is imported. The commands themselves
are in `streams.cli.commands`.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from functools import partial
from typing import Any, NoReturn

from state.errors import StateError, UnreadableState
from streams.errors import (
    ConfigError,
    ProcessingError,
    SchemaError,
    StopApplication,
    StreamsError,
    TopologyError,
)

FAILED = 1
WRONG_USAGE = 2
STOP_ALL = 3
INTERRUPTED = 130


def main(arguments: list[str] | None = None, app: Any = None) -> NoReturn:
    """Run the command line and end the process. With `app`, commands mean that App and take no MODULE:APP."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["broker"]:
        become_broker(arguments[1:])
    if os.getpid() == 1:  # as in a container: the kernel keeps from it every signal that it has no handler for
        signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    sys.exit(_guarded(arguments, app))


def become_broker(arguments: list[str]) -> NoReturn:
    """Replace this process by the broker, so that its process id and signals are the user's to handle."""
    # -P: a folder called broker in the current directory must not be taken for the package.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "broker", *arguments])  # noqa: S606  no shell is wanted


def _guarded(arguments: list[str], app: Any) -> int:
    """Run a command. Shape: the exit code; errors of ours are shown without a traceback."""
    from streams.cli.commands import command_line

    tell = partial(_told, json="--json" in arguments)
    try:
        return command_line(arguments, app)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left (`streams consume t | head`); nothing is to be said to anyone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (ConfigError, TopologyError, SchemaError) as error:
        return tell(error, WRONG_USAGE)
    except StopApplication as error:
        return tell(error, STOP_ALL)
    except (StreamsError, StateError, UnreadableState) as error:
        return tell(error, FAILED)


def _told(error: Exception, code: int, *, json: bool) -> int:
    """Say what went wrong; an error of the user's own code is shown with its traceback before."""
    cause = error.__cause__
    users_own = cause is not None and (isinstance(error, ProcessingError) or type(error) is StreamsError)
    trace = "".join(traceback.format_exception(cause)) if users_own else ""
    if json:
        from streams.cli.json_lines import write_error

        write_error(error, code, trace)
        return code
    sys.stderr.write(trace)
    sys.stderr.write(f"error: {error}\n")
    sys.stderr.writelines(f"{note}\n" for note in getattr(error, "__notes__", ()))
    return code

"""`python -m streams.compat.faust -A MODULE worker`: Faust's command line for applications without a `main()`.

MODULE or MODULE:NAME names the application, as for `faust -A`; the current directory is importable.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from streams.compat.faust.app import App


def main(arguments: list[str]) -> NoReturn:
    """Find the application that -A (or FAUST_APP) names, and run its command line."""
    if workdir := given(arguments, "-W", "--workdir"):
        os.chdir(workdir)
    target = named(arguments)
    module, _, name = target.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(import_module(module), name or "app", None)
    except ModuleNotFoundError as problem:
        if problem.name is None or not f"{module}.".startswith(f"{problem.name}."):
            raise
        sys.exit(f"error: there is no module {module!r} here: expected -A MODULE or -A MODULE:NAME, got {target!r}")
    if not isinstance(found, App):
        sys.exit(
            f"error: {module} has no application {name or 'app'!r} of streams.compat.faust: name it, as in "
            f"-A {module}:app, and import faust from streams.compat in it"
        )
    found.main(arguments)


def named(arguments: list[str]) -> str:
    """The application that the arguments name, else the environment."""
    found = given(arguments, "-A", "--app")
    if found is not None:
        return found
    target = os.environ.get("FAUST_APP", "")
    if not target:
        sys.exit("error: which application? Say -A MODULE, as for the faust command")
    return target


def given(arguments: list[str], *names: str) -> str | None:
    """The value of an option, before the command line is read; None where it is not given."""
    for index, argument in enumerate(arguments):
        option, equals, value = argument.partition("=")
        if option in names:
            return value if equals else (arguments[index + 1 : index + 2] or [""])[0]
    return None


if __name__ == "__main__":
    main(sys.argv[1:])

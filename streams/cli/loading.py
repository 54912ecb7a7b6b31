"""Finding an App by the name given on a command line: MODULE:APP.

Rules: the current directory is importable, as with `python -m`; a path of a file works too. Every failure is a
ConfigError in one sentence; an error inside the module itself is told with its traceback, from the module on. An App is known by its
decorators: `streams.app` stands above this command line and is not imported.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from streams.dsl.decorators import Decorators
from streams.errors import ConfigError, StreamsError
from streams.settings import nearest

DEFAULT_NAMES = ("app", "application")


def load_app(target: str) -> Any:
    """The App that "package.module:app" or "path/to/file.py:app" names; ":app" may be left out when there is one.

    Raises: ConfigError that says what was not found.
    """
    where, _, name = target.partition(":")
    module = _module(where)
    if not name:
        return _only_app(module, target)
    found = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise ConfigError(f"{where} has no {name!r}{nearest(part, vars(found))}")
        found = getattr(found, part)
    if not isinstance(found, Decorators):
        raise ConfigError(f"{target} is not an App but a {type(found).__name__}: name the App, as in {where}:app")
    return found


def _module(where: str) -> ModuleType:
    path = Path(where)
    if path.suffix == ".py":
        if not path.is_file():
            raise ConfigError(f"there is no file {where}")
        sys.path.insert(0, str(path.resolve().parent))
        where = path.stem
    elif "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(where)
    except StreamsError:
        raise
    except ModuleNotFoundError as problem:
        if problem.name is None or not f"{where}.".startswith(f"{problem.name}."):
            raise _broken(where, problem) from problem
        raise ConfigError(
            f"there is no module {where!r} to be imported from {Path.cwd()}: expected MODULE:APP, as in taxi.pipeline:app"
        ) from None
    except Exception as problem:
        if not where or where.startswith("."):
            raise ConfigError(f"expected MODULE:APP, as in taxi.pipeline:app, got {where!r}") from None
        raise _broken(where, problem) from problem


def _broken(where: str, problem: Exception) -> StreamsError:
    """The error for a module that raises; the traceback loses its beginning, which is ours and Python's."""
    at = problem.__traceback__
    while at is not None and at.tb_frame.f_code.co_filename.startswith(
        ("<frozen importlib", importlib.__file__, __file__)
    ):
        at = at.tb_next
    problem.__traceback__ = at
    return StreamsError(f"{where} cannot be imported: {type(problem).__name__}: {problem}")


def _only_app(module: ModuleType, target: str) -> Decorators:
    apps = {name: value for name, value in vars(module).items() if isinstance(value, Decorators)}
    for name in DEFAULT_NAMES:
        if name in apps:
            return apps[name]
    if len({id(app) for app in apps.values()}) == 1:
        return next(iter(apps.values()))
    listed = ", ".join(f"{target}:{name}" for name in apps) or "none was found in it"
    raise ConfigError(f"which App of {target}? Say one of: {listed}")

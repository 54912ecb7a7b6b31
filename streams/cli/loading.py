"""Finding an App by the name given on a command line: MODULE:APP.

Rules: the current directory is importable, as with `python -m`; a path of a file works too. Every failure is a
ConfigError in one sentence; an error inside the module itself is passed on with its traceback. An App is known by its
decorators: `streams.app` stands above this command line and is not imported.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from streams.dsl.decorators import Decorators
from streams.errors import ConfigError
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
    except ModuleNotFoundError as problem:
        if problem.name is None or not f"{where}.".startswith(f"{problem.name}."):
            raise
        raise ConfigError(
            f"there is no module {where!r} to be imported from {Path.cwd()}: expected MODULE:APP, as in taxi.pipeline:app"
        ) from None
    except ValueError:
        raise ConfigError(f"expected MODULE:APP, as in taxi.pipeline:app, got {where!r}") from None


def _only_app(module: ModuleType, target: str) -> Decorators:
    apps = {name: value for name, value in vars(module).items() if isinstance(value, Decorators)}
    for name in DEFAULT_NAMES:
        if name in apps:
            return apps[name]
    if len({id(app) for app in apps.values()}) == 1:
        return next(iter(apps.values()))
    listed = ", ".join(f"{target}:{name}" for name in apps) or "none was found in it"
    raise ConfigError(f"which App of {target}? Say one of: {listed}")

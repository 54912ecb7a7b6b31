"""Autodiscovery: the modules of an application that hold its agents, tables and commands, imported before it runs.

Rules: as in Faust, a package brings all that is in it, except for tests and `__main__`; a module within that cannot be
imported is logged and left out, unless it asks for something that is not here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

from streams.compat.faust.errors import ImproperlyConfigured
from streams.errors import StreamsError

log = logging.getLogger(__name__)

_LEFT_OUT = re.compile(r"test_|\.__main__$")


def discover(
    wanted: bool | Iterable[str] | Callable[[], Iterable[str]], origin: str | None, extra: Iterable[str]
) -> None:
    """Import the modules that are wanted, `origin` with them, and all that is in them. Raises: FaustError."""
    for name in dict.fromkeys([*_named(wanted, origin), *extra]):
        try:
            package = import_module(name)
        except ModuleNotFoundError as problem:
            if problem.name is None or not f"{name}.".startswith(f"{problem.name}."):
                raise
            raise ImproperlyConfigured(f"autodiscover: there is no module {name!r}") from problem
        for found in _within(package):
            _import(found)


def _named(wanted: Any, origin: str | None) -> list[str]:
    if not wanted:
        return []
    if wanted is True and origin is None:
        raise ImproperlyConfigured("autodiscover=True: say which package, as in App(..., origin='proj')")
    if isinstance(wanted, str):
        raise ImproperlyConfigured(f"autodiscover: expected True or a list of modules, got {wanted!r}")
    names = wanted() if callable(wanted) else [] if wanted is True else wanted
    return [*names, *([origin] if origin else [])]


def _within(package: Any) -> Iterator[str]:
    path = getattr(package, "__path__", None)
    if path is None:
        return
    for found in walk_packages(path, f"{package.__name__}.", onerror=lambda _name: None):
        if not _LEFT_OUT.search(found.name):
            yield found.name


def _import(name: str) -> None:
    try:
        import_module(name)
    except StreamsError:
        raise
    except Exception:
        log.warning("autodiscover: the module %s cannot be imported, and is left out", name, exc_info=True)

"""The modules of Faust that are not here say so when they are imported, and what to do instead."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from typing import Any

from streams.compat.faust.errors import FaustError, not_here

PACKAGE = "streams.compat.faust."


class MissingModuleError(FaustError, ModuleNotFoundError):
    """A module of Faust that is outside of the subset."""


class Absent(MetaPathFinder):
    """Asked last: whatever it is asked for in the package is not there."""

    def find_spec(self, fullname: str, _path: Sequence[str] | None, _target: Any = None) -> None:
        """Raises: MissingModuleError for one of Faust's."""
        if fullname.startswith(PACKAGE):
            name = fullname.removeprefix(PACKAGE)
            # By its full name Python would take it for a name that is missing, and say so without a word of what to do.
            raise MissingModuleError(str(not_here("faust", name)), name=f"faust.{name}")

"""`streams new NAME`: a project that runs and is tested.

Rules: the project is made beside its place and moved there when it is whole, so that nothing half written stays; a
directory that is there already is never touched.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Annotated

import msgspec
import typer

from streams.cli.target import JsonOption
from streams.errors import ConfigError

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")

_FILES = {
    "module.py": "{module}.py",
    "test_module.py": "tests/test_{module}.py",
    "sample.jsonl": "sample.jsonl",
    "README.md": "README.md",
    "pyproject.toml": "pyproject.toml",
    "gitignore": ".gitignore",
}
"""Templates by where they go."""


def new(
    name: Annotated[str, typer.Argument(help="The project, as in page-visits; also its directory and application id.")],
    *,
    json: JsonOption = False,
) -> None:
    """Make a project: an application with state, its tests, a sample of its input."""
    module = checked_module(name)
    home = Path(name)
    if home.exists():
        raise ConfigError(f"{home} exists already: choose another name, or remove it")
    with tempfile.TemporaryDirectory(dir=home.absolute().parent, prefix=f".{name}-") as scratch:
        made = Path(scratch) / name
        write_project(made, name, module)
        shutil.move(made, home)
    made_files = [target.format(module=module) for target in _FILES.values()]
    if json:
        typer.echo(msgspec.json.encode({"project": name, "app": f"{module}:app", "files": made_files}))
        return
    typer.echo(f"made {home}: {', '.join(made_files)}\n  cd {home}\n  python -m pytest\n  streams dev {module}:app")


def checked_module(name: str) -> str:
    """The name of the project's module. Raises: ConfigError for a name that cannot be one, or is taken."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is not a name for a project: expected lower-case letters, digits and single dashes, as in page-visits"
        )
    module = name.replace("-", "_")
    if module in sys.stdlib_module_names or find_spec(module) is not None:
        raise ConfigError(f"{name!r} would hide the Python module {module}: choose another name")
    return module


def write_project(home: Path, name: str, module: str) -> None:
    """Fill a directory with the project's files."""
    templates = files("streams.cli") / "project"
    for template, target in _FILES.items():
        path = home / target.format(module=module)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (templates / f"{template}.template").read_text(encoding="utf-8")
        path.write_text(Template(text).substitute(name=name, module=module), encoding="utf-8")

"""The reference: no public name or command is left out of it, and every page stands in the navigation."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import streams
import streams.testing
from streams.cli.examples import EXAMPLES

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "reference").glob("*.md"))


def named(target: str) -> Any:
    """The module, class or function that a page says is documented there."""
    try:
        return import_module(target)
    except ModuleNotFoundError:
        owner, _, name = target.rpartition(".")
        return getattr(import_module(owner), name)


SHOWN = [named(target) for page in PAGES for target in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE)]
PUBLIC = [(module, name) for module in (streams, streams.testing) for name in module.__all__]


@pytest.mark.parametrize(("module", "name"), PUBLIC, ids=[name for _, name in PUBLIC])
def test_every_public_name_is_shown(module: ModuleType, name: str) -> None:
    """By itself, or with the module that it lives in."""
    found = getattr(module, name)
    modules = {each.__name__ for each in SHOWN if isinstance(each, ModuleType)}
    assert any(found is each for each in SHOWN) or getattr(found, "__module__", "") in modules


@pytest.mark.parametrize("command", [*EXAMPLES, "broker"])
def test_every_command_is_on_its_page(command: str) -> None:
    """In the table of docs/commands.md."""
    assert re.search(rf"^\| `streams {command}\b", (ROOT / "docs" / "commands.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    "page", [page.relative_to(ROOT / "docs") for page in (*ROOT.glob("docs/*.md"), *PAGES)], ids=str
)
def test_every_page_is_in_the_navigation(page: Path) -> None:
    """Or nobody finds it."""
    assert f": {page.as_posix()}\n" in (ROOT / "mkdocs.yml").read_text()


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "decisions").glob("0*.md")), ids=lambda page: page.stem)
def test_every_decision_is_in_the_index(page: Path) -> None:
    """Once, by its number."""
    assert (ROOT / "docs" / "decisions" / "README.md").read_text().count(f"]({page.name})") == 1

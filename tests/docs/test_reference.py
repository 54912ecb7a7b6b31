"""The reference: no public name is left out of it, and every page stands in the navigation."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import streams
import streams.testing

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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_is_in_the_navigation(page: Path) -> None:
    """Or nobody finds it."""
    assert f"reference/{page.name}" in (ROOT / "mkdocs.yml").read_text()

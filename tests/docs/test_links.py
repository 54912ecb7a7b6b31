"""The links between pages: each leads to a file that is there, and to a heading that is on it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)


def links(page: Path) -> list[str]:
    """Where the links and pictures of a page lead, those to other sites and those in code left out."""
    found = re.findall(r"\]\(([^()\s]+)\)", CODE.sub("", page.read_text()))
    return [target for target in found if "://" not in target]


def anchors(page: Path) -> set[str]:
    """What may stand behind a `#`: each heading as the site makes an id of it, and ids that are written down."""
    text = page.read_text()
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    ids = (re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings)
    return {*ids, *re.findall(r'<a id="([^"]+)">', text)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """A file that is there and, behind a `#`, a heading that is on it."""
    for link in links(page):
        target, _, anchor = link.partition("#")
        to = (page.parent / target).resolve() if target else page
        assert to.exists(), link
        assert not anchor or anchor in anchors(to), link


def test_links_are_found() -> None:
    """The test above looks at links: a wrong one would be seen."""
    assert "tutorial.md" in links(ROOT / "docs" / "index.md")
    assert "what-it-costs" in anchors(ROOT / "docs" / "exactly-once.md")

"""README and tutorial, block by block, as a reader would follow them: in one directory, from top to bottom.

A Python block that begins with a comment `# name.py` is that file; others run. JSON blocks are the file that the next
command reads. Console blocks are commands and their output, in which `...` stands for anything; errors count as output,
log lines do not.
"""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    "docs/index.md",
    "docs/tutorial.md",
    "docs/concepts.md",
    "docs/windows.md",
    "docs/joins.md",
    "docs/exactly-once.md",
    "docs/testing.md",
    "docs/from-kafka-streams.md",
    "docs/from-pandas.md",
    "docs/files.md",
    "docs/functions.md",
    "docs/commands.md",
    "docs/values.md",
    "docs/developing.md",
    "docs/operation.md",
    "docs/from-faust.md",
    "examples/small/README.md",
]
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d [\d:,]+ [A-Z]+ |task \d+_\d+: ")


class Reader:
    """Someone who follows a page in a directory of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        # The broker of a page stays from one command to the next, and is not started anew for each.
        self.environment = {**os.environ, "PATH": path, "COLUMNS": "80", "STREAMS_EMBEDDED_IDLE_MS": "5000"}

    def follow(self, kind: str, block: str, rest: str) -> None:
        """Do what a block says; `rest` is the page after it."""
        if kind == "json":
            name = re.search(r"< (\S+)", rest)
            assert name, "no command reads the lines"
            (self.home / name[1]).write_text(block)
        elif kind == "console":
            for command, expected in commands(block):
                self.type(command, expected)
        elif named := re.match(r"# (\S+\.py)\n", block):
            (self.home / named[1]).write_text(block)
        else:
            self.type(f"{sys.executable} -c '{block}'" if "'" not in block else self.saved(block), "")

    def saved(self, block: str) -> str:
        """The command that runs a block."""
        (self.home / "block.py").write_text(block)
        return f"{sys.executable} block.py"

    def type(self, command: str, expected: str) -> None:
        """Run a command, and compare what it prints."""
        done = subprocess.run(
            command,
            shell=True,
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        told = "".join(line for line in done.stderr.splitlines(keepends=True) if not LOG_LINE.match(line))
        assert matches(done.stdout + told, expected), f"$ {command}\n{done.stdout}{done.stderr}\nexpected:\n{expected}"


def commands(block: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with its output."""
    for part in block.split("$ ")[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def matches(found: str, expected: str) -> bool:
    """Whether the lines are equal, trailing blanks aside; a line of `...` stands for any lines."""
    lines = ["\n".join(line.rstrip() for line in text.strip().splitlines()) for text in (found, expected)]
    pattern = "*".join(re.sub(r"([\[\]*?])", r"[\1]", part) for part in lines[1].split("..."))
    return fnmatch.fnmatchcase(lines[0], pattern)


@pytest.mark.broker
@pytest.mark.parametrize("page", PAGES)
def test_page(page: str, tmp_path: Path) -> None:
    """Everything that the page says happens, in its order."""
    text = (ROOT / page).read_text()
    reader = Reader(tmp_path)
    blocks = list(re.finditer(r"^```(python|json|console)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
    assert blocks
    for block in blocks:
        reader.follow(block[1], block[2], text[block.end() :])


def test_the_picture_is_what_the_command_draws(tmp_path: Path) -> None:
    """The drawing on the page of concepts is that of the program beside it."""
    program = re.search(r"```python\n# words.py\n(.*?)```", (ROOT / "docs" / "concepts.md").read_text(), re.DOTALL)
    assert program
    (tmp_path / "words.py").write_text(program[1])
    Reader(tmp_path).type("streams topology words:app --format svg", (ROOT / "docs/pictures/words.svg").read_text())


def test_every_page_with_code_is_followed() -> None:
    """A new page is added to the list, or has a test of its own."""
    with_code = {path.name for path in (ROOT / "docs").glob("*.md") if "```python" in path.read_text()}
    assert with_code <= {*(Path(page).name for page in PAGES), "language.md"}

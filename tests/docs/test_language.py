"""The page of the language: its examples run, and no verb is left out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from streams import App, BranchedKStream, GlobalKTable, KStream, KTable, ProcessorContext, StreamsBuilder
from streams.dsl.grouped import CogroupedKStream, KGroupedStream, KGroupedTable
from streams.dsl.topology_builder import TopologyBuilder
from streams.dsl.windowed import (
    SessionWindowedCogroupedKStream,
    SessionWindowedKStream,
    TimeWindowedCogroupedKStream,
    TimeWindowedKStream,
)
from streams.testing import MockProcessorContext, TestInputTopic, TestOutputTopic, TopologyTestDriver

PAGE = Path(__file__).parents[2] / "docs" / "language.md"
TEXT = PAGE.read_text()
SETUP, *EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
LINES = [TEXT[: match.start()].count("\n") + 2 for match in re.finditer(r"```python\n", TEXT)]
CLASSES = (
    StreamsBuilder,
    TopologyBuilder,
    KStream,
    BranchedKStream,
    KGroupedStream,
    CogroupedKStream,
    TimeWindowedKStream,
    SessionWindowedKStream,
    TimeWindowedCogroupedKStream,
    SessionWindowedCogroupedKStream,
    KTable,
    GlobalKTable,
    KGroupedTable,
)
PLUMBING = {"named", "expect_same_program", "build"}


@pytest.mark.parametrize(
    ("example", "line"), list(zip(EXAMPLES, LINES[1:], strict=True)), ids=[f"line {line}" for line in LINES[1:]]
)
def test_example(example: str, line: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands on the page is what happens."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for code, start in ((SETUP, LINES[0]), (example, line)):
        exec(compile("\n" * (start - 1) + code, str(PAGE), "exec"), names)


@pytest.mark.parametrize("owner", CLASSES, ids=lambda owner: owner.__name__)
def test_every_verb_is_on_the_page(owner: type) -> None:
    """The public methods of streams, tables and builders are all there."""
    verbs = {name for name in dir(owner) if not name.startswith("_") and callable(getattr(owner, name))} - PLUMBING
    missing = {verb for verb in verbs if not re.search(rf"\b{verb}\b", TEXT)}
    assert not missing


def test_every_verb_has_a_picture() -> None:
    """Each section of a verb shows what it does to a small stream, and has an example."""
    verbs = TEXT[TEXT.index("\n## Streams\n") : TEXT.index("\n## Time\n")]
    sections = re.split(r"\n### ", verbs)[1:]
    without = [
        section.splitlines()[0] for section in sections if "```text" not in section or "```python" not in section
    ]
    assert len(sections) > 25
    assert not without


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("app", {*dir(App("example"))}),
        ("context", {*dir(ProcessorContext), *ProcessorContext.__annotations__, *dir(MockProcessorContext)}),
        ("driver", {*dir(TopologyTestDriver)}),
    ],
)
def test_what_the_page_calls_is_there(name: str, known: set[str]) -> None:
    """Names on objects that are called the same throughout: `app.stream`, `context.forward`, ..."""
    ours, _, _ = TEXT.partition("\n## Faust -> Headrace")  # whose names are Faust's
    called = set(re.findall(rf"(?<![\w.]){name}\.([a-z_]+)", ours))
    assert called
    assert called <= known


def test_what_kafkas_test_topics_are_called_here_is_there() -> None:
    """The rows for TestInputTopic and TestOutputTopic."""
    for kafka, kind in (("pipeInput", TestInputTopic), ("readRecord", TestOutputTopic)):
        (row,) = (line for line in TEXT.splitlines() if line.startswith(f"| `{kafka}`"))
        named = re.findall(r"`(\w+)`", row.split("|")[2])
        assert named
        assert set(named) <= set(dir(kind))

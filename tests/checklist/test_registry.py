"""Which rows of the list of Kafka Streams' features are proved, and where."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.checklist import test_folds, test_streams, test_tables_and_joins
from tests.checklist.rows import ELSEWHERE, NOT_HERE

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LANGUAGE = {*range(1, 160), *range(193, 201)}
"""Builder, streams, folds, windows, tables, joins, processors, stores, state directories and test tools."""


def functions(path: Path) -> dict[str, str]:
    """The docstrings of a file's functions, by name."""
    tree = ast.parse(path.read_text())
    return {node.name: ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def rows_proved() -> set[int]:
    """Rows of proofs, of docstrings that begin with them, and of tests elsewhere."""
    modules = (test_folds, test_streams, test_tables_and_joins)
    rows = {row for module in modules for proof in module.PROOFS for row in proof.rows}
    for path in HERE.glob("test_*.py"):
        for docstring in functions(path).values():
            told = re.match(r"Rows? ([\d, ]+):", docstring)
            rows |= {int(number) for number in re.findall(r"\d+", told.group(1))} if told else set()
    return rows | set(ELSEWHERE)


def test_the_whole_language_is_proved() -> None:
    """No row of the language is left without a test, but those that say what is not here; and these have none."""
    assert LANGUAGE - rows_proved() == set(NOT_HERE)


@pytest.mark.parametrize("row", ELSEWHERE)
def test_tests_elsewhere_are_there(row: int) -> None:
    """A row that names a test can be looked up."""
    path, name = ELSEWHERE[row].split("::")
    assert name in functions(ROOT / path)

"""The house rules that no linter knows: size caps, a docstring for every test, no mocks, names we do not use."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("streams", "state", "broker", "examples", "benchmarks")
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", sources(*PACKAGES), ids=relative)
def test_sizes(path: Path) -> None:
    """A file over 500 lines or a function over 60 asks to be split."""
    text = path.read_text()
    assert text.count("\n") <= MAX_FILE_LINES
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, FUNCTIONS) and node.end_lineno and node.end_lineno - node.lineno >= MAX_FUNCTION_LINES
    ]
    assert not long


@pytest.mark.parametrize("path", sources("tests"), ids=relative)
def test_every_test_says_what_holds(path: Path) -> None:
    """Each test function carries a docstring, and none patches our code."""
    text = path.read_text()
    silent = [
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, FUNCTIONS) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert not silent
    if path != Path(__file__):
        assert not re.search(r"unittest\.mock|\bMagicMock\b|\bmonkeypatch\.setattr\b", text)


@pytest.mark.parametrize("path", sources(*PACKAGES), ids=relative)
def test_names(path: Path) -> None:
    """Files are nouns: no utils, helpers or common; no manager but Kafka's task manager; no back door for types."""
    assert path.stem not in {"utils", "util", "helpers", "helper", "common", "misc"}
    assert not path.stem.endswith("manager") or path.stem == "task_manager"
    assert "TYPE_CHECKING" not in path.read_text()


def test_repository_names_no_machine() -> None:
    """Tracked files carry no absolute path of a developer's machine."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    pattern = re.compile(rb"/(work|home|root|Users)/[a-z]")
    offenders = [name for name in files.split("\0") if name and pattern.search((ROOT / name).read_bytes())]
    assert not offenders

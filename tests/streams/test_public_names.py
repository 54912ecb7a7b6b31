"""What `import streams` gives, and what it costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import streams


def test_type_checkers_see_the_same_names() -> None:
    """The stub beside the package names what the package names."""
    stub = ast.parse(Path(streams.__file__).with_suffix(".pyi").read_text())
    stubbed = {alias.asname for node in ast.walk(stub) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert stubbed == set(streams.__all__)


@pytest.mark.parametrize("name", streams.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """Each name leads to something with documentation of its own."""
    assert getattr(streams, name).__doc__ or name == "Topology"
    assert name in dir(streams)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """Names that do not exist are refused as in any module."""
    with pytest.raises(AttributeError, match="module 'streams' has no attribute 'Apps'"):
        streams.Apps  # noqa: B018  the access is the test


HEAVY = [
    "aiokafka",
    "asyncio",
    "broker",
    "kio",
    "numpy",
    "pandas",
    "pydantic",
    "pytest",
    "rich",
    "rocksdict",
    "typer",
    "watchfiles",
]


def imported(statement: str) -> list[str]:
    """The modules that a statement brings into a new process, beside Python's own."""
    program = f"import sys\nbefore = {{*sys.modules}}\n{statement}\nprint(*({{*sys.modules}} - before))"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(("statement", "most"), [("import streams", 1), ("from streams import App, TimeWindows", 100)])
def test_importing_stays_light(statement: str, most: int) -> None:
    """Neither clients, stores, terminal nor pandas are imported before they are needed, and not too many of our own."""
    found = imported(statement)
    assert not {*HEAVY}.intersection(found)
    assert len([name for name in found if name.partition(".")[0] in {"streams", "state"}]) <= most


def test_data_classes_cost_little() -> None:
    """What is made while an App is imported are structs: the standard library compiles half a dozen functions for each class."""
    program = (
        "import dataclasses\nmade = []\nmake = dataclasses._process_class\n"
        "dataclasses._process_class = lambda cls, *rest: made.append(cls.__name__) or make(cls, *rest)\n"
        "from streams import App\nprint(*made)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert {*done.stdout.split()} == {"Record", "StreamsConfig"}

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


@pytest.mark.parametrize("statement", ["import streams", "from streams import App, TimeWindows"])
def test_importing_stays_light(statement: str) -> None:
    """Neither clients, terminal nor pandas are imported before they are needed."""
    heavy = ("aiokafka", "typer", "rich", "pandas", "kio", "broker", "pytest", "pydantic", "asyncio")
    program = f"{statement}\nimport sys\nprint([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

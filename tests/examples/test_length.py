"""How long the examples' applications are: each is something that a team reads in one sitting."""

import ast
import io
import tokenize
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
SHARED_BY_QUERIES = ("top_ten.py", "messages.py", "grid.py", "lines.py")


def code_lines(path: Path) -> int:
    """Lines of code: without blank ones, comments and docstrings."""
    source = path.read_text()
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in LAYOUT:
            found.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(found)


@pytest.mark.parametrize(
    ("folder", "files"),
    [
        ("retail", ("topology.py", "rules.py", "messages.py")),
        ("taxi/debs", ("frequent_routes.py", *SHARED_BY_QUERIES)),
        ("taxi/debs", ("profitable_areas.py", *SHARED_BY_QUERIES)),
        ("taxi", ("topology.py", "messages.py", "topics.py")),
    ],
)
def test_an_application_is_short(folder: str, files: tuple[str, ...]) -> None:
    """Types, topics, topology and rules together stay below 200 lines."""
    assert sum(code_lines(EXAMPLES / folder / name) for name in files) < 200

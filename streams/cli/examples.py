"""What the end of each command's --help shows: lines that can be typed as they stand.

Rules: an example is a whole command; the test of the help runs every one of them that ends by itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

EXAMPLES = {
    "run": """
streams run taxi:app
streams run taxi:app --workers 4 --broker kafka://host:9092
streams run taxi:app --to-end --set commit_interval_ms=500
streams run taxi:app --input rides=rides.parquet --input-key rides=id
streams run taxi:app --to-end --json 2> events.jsonl
""",
    "dev": """
streams dev taxi:app
streams dev taxi:app --trace k1
""",
    "new": """
streams new page-visits
""",
    "topology": """
streams topology taxi:app
streams topology taxi:app --format svg
""",
    "health": """
streams health taxi:app
""",
    "reset": """
streams reset taxi:app --dry-run
streams reset taxi:app
""",
    "topics": """
streams topics
streams topics --all --json
""",
    "describe": """
streams describe rides
""",
    "groups": """
streams groups
streams groups taxi
streams groups taxi --to earliest --dry-run
streams groups taxi --to 2026-01-31T12:00 --topic rides
""",
    "consume": r"""
streams consume rides
streams consume rides -o -10 -c 5
streams consume rides -p 0 -f '%k: %s\n'
streams consume totals --app taxi:app --follow
streams consume counts --key windowed:str:10m --value int
""",
    "produce": """
streams produce rides rides.jsonl
streams produce fares -K : --value float
streams produce rides -k k1 -H source=manual --app taxi:app
""",
    "bench": """
streams bench --records 20000
""",
}


FIRST_STEPS = """
streams new page-visits
streams dev page_visits:app
streams produce visits sample.jsonl
streams consume page_minutes --app page_visits:app
"""


def help_of(command: Callable[..., object]) -> str:
    """A command's docstring, each paragraph as one line, so that a terminal of any width breaks it."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def epilog(command: str = "") -> str:
    """The examples of a command, or the first steps, one a paragraph, as the help prints them."""
    lines = (EXAMPLES[command] if command else FIRST_STEPS).strip().splitlines()
    return "\n\n".join(["Examples:", *(f"  {line}".replace("[", "\\[") for line in lines)])

"""python -m tests.oracle: cases as JSON lines in, the same with our outputs and descriptions out.

Every line that is not blank gets a line, in order: what cannot be answered comes back with an `error`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from tests.oracle.cases import answered


def main() -> None:
    """Answer every line of standard input."""
    for line in sys.stdin:
        if line.strip():
            print(json.dumps(answer(line), ensure_ascii=False), flush=True)


def answer(line: str) -> dict[str, Any]:
    """A line's case, answered."""
    try:
        case = json.loads(line)
    except ValueError as problem:
        return {"error": f"expected a case as one line of JSON: {problem}"}
    if not isinstance(case, dict):
        return {"error": f"expected a case as a JSON object, got {line.strip()[:100]}"}
    return answered(case)


if __name__ == "__main__":
    main()

"""`python -m tests.clients.matrix`: the table of clients in docs/broker.md, from what the last `make clients` found."""

import json
from pathlib import Path

from tests.clients.expected import CODECS

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "broker.md"
BEGIN = "<!-- clients: made by tests.clients.matrix -->"
END = "<!-- end of clients -->"
COLUMNS = ("admin", "idempotent", "codecs", "group", "kill", "transactions", "offsets by timestamp", "more")
SHOWN = ("PRODUCE", "FETCH", "METADATA", "JOIN_GROUP", "CONSUMER_GROUP_HEARTBEAT", "END_TXN")


def cell(results: dict[str, str], column: str) -> str:
    """What a column says of a client: yes, what failed, or nothing where it was not tried."""
    if column == "codecs":
        return " ".join(name for name in CODECS if results.get(name) == "ok")
    if column == "more":
        usual = {*COLUMNS, *CODECS, "none"}
        return ", ".join(name for name, result in results.items() if name not in usual and result == "ok")
    return {"ok": "yes", None: ""}.get(results.get(column), "fails")


def table() -> str:
    """The rows, one per client that was run."""
    lines = [
        f"| client | {' | '.join(COLUMNS)} | versions |",
        f"|---|{'---|' * len(COLUMNS)}---|",
    ]
    for path in sorted((HERE / "build" / "results").glob("*.json"), key=lambda path: path.name.lower()):
        found = json.loads(path.read_text())
        versions = [
            f"{name.title().replace('_', '')} {found['versions'][name]}" for name in SHOWN if name in found["versions"]
        ]
        cells = [cell(found["results"], column) for column in COLUMNS]
        name = f"{path.stem.replace('@platformatic-', '@platformatic/')} {found['release']}"
        lines.append(f"| {name} | {' | '.join(cells)} | {', '.join(versions)} |")
    return "\n".join(lines)


def main() -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}")


if __name__ == "__main__":
    main()

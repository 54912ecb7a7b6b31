"""The page of the documentation about settings, made from their table: `python -m streams.settings_page`."""

from __future__ import annotations

import sys
from dataclasses import MISSING, fields
from typing import Any

from streams.config import SETTINGS, StreamsConfig
from streams.kafka_names import INSTEAD
from streams.settings import Setting

INTRODUCTION = """\
# Settings

Settings have Kafka Streams' names, in snake case. There are four places to set one, and the later ones win:

1. its default, in the table below;
2. keyword arguments: `App("taxi", commit_interval_ms=500)`;
3. the environment: `STREAMS_COMMIT_INTERVAL_MS=500`;
4. the command line: `streams run taxi:app --set commit_interval_ms=500` (Kafka's dots are understood too).

A duration is a number of milliseconds, a text such as `"10 s"` or `"1.5 minutes"`, or a `timedelta`. A size is a number
of bytes or a text such as `"64 MiB"`. An unknown name is an error that suggests the nearest one (in the environment, a
warning); for a name of Kafka's that is no setting here, it says [what to do instead](#kafkas-other-settings). The settings
of the bundled broker are on [their own page](broker.md#settings).

"""


OF_KAFKA = """
## Kafka's other settings

Those of Kafka Streams and of its clients, with or without the prefix of a client (`consumer.`, `main.consumer.`, `producer.`,
...), that have no setting of the same name. All clients of an application have the same settings; those with `topic.` before
them are `topic_settings`, tags of a client (`client.tag.`) are `client_tags`.

| Kafka | here |
|---|---|"""


def markdown() -> str:
    """The page of the documentation about settings: `python -m streams.settings_page > docs/configuration.md`."""
    lines = [INTRODUCTION + "| Setting | Default | Meaning |", "|---|---|---|"]
    for entry in fields(StreamsConfig):
        described_as = SETTINGS.get(entry.name)
        if described_as:
            default = {} if entry.default is MISSING else entry.default
            lines.append(f"| `{entry.name}` | {_shown_default(default, described_as)} | {_meaning(described_as)} |")
    lines.append(OF_KAFKA)
    answers: dict[str, list[str]] = {}
    for name, told in INSTEAD.items():
        answers.setdefault(told, []).append(f"`{name}`")
    lines += [f"| {', '.join(names)} | {told} |" for told, names in answers.items()]
    return "\n".join(lines) + "\n"


def _shown_default(value: Any, wanted: Setting) -> str:
    if value is None or value == {}:
        return ""
    if wanted.kind == "bytes" and value >= 1024**2:
        return f"{value // 1024**2} MiB"
    return f"{value:,} ms" if wanted.kind == "ms" else f"`{value}`"


def _meaning(wanted: Setting) -> str:
    choices = f" One of {', '.join(f'`{choice}`' for choice in wanted.choices)}." if wanted.choices else ""
    return wanted.doc + choices


if __name__ == "__main__":
    sys.stdout.write(markdown())

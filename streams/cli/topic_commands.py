"""The commands of `streams` about topics and groups: topics, describe, groups, consume, produce, reset.

Each is a few lines: it reads options, calls one function, prints.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from streams.cli.target import (
    AppOption,
    BrokerOption,
    JsonOption,
    SettingsOption,
    TargetArgument,
    app_of,
    connection_of,
)
from streams.errors import ConfigError

KeyOption = Annotated[
    str, typer.Option(help="Type of the keys: str, json, int, float, bool, bytes, uuid, int16, int32, float32, "
    "windowed:TYPE[:SIZE], session:TYPE; auto takes the App's, else text.")
]  # fmt: skip
ValueOption = Annotated[
    str, typer.Option(help="Type of the values, likewise; auto takes the App's, else JSON or text.")
]


def topics(
    broker: BrokerOption = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="The broker's own topics too.")] = False,
    json: JsonOption = False,
) -> None:
    """List the topics of a broker with their partitions and records."""
    from streams.cli.topic_tools import topic_rows

    with connection_of(app_of(None, broker), broker) as connection:
        rows = [row for row in topic_rows(connection) if every or not row["name"].startswith("__")]
        show(rows, json=json, nothing="there are no topics yet")


def describe(
    topic: Annotated[str, typer.Argument(help="The topic.")], *, broker: BrokerOption = None, json: JsonOption = False
) -> None:
    """Show a topic's partitions with their first and last offsets."""
    from streams.cli.topic_tools import partition_rows

    with connection_of(app_of(None, broker), broker) as connection:
        show(partition_rows(connection, topic), json=json, nothing="")


def groups(
    group: Annotated[str | None, typer.Argument(help="One group, partition by partition.")] = None,
    *,
    broker: BrokerOption = None,
    json: JsonOption = False,
) -> None:
    """List the groups of a broker with their lag; an application's group has its name."""
    from streams.cli.topic_tools import group_rows, lag_rows

    with connection_of(app_of(None, broker), broker) as connection:
        rows = group_rows(connection) if group is None else lag_rows(connection, group)
        nothing = "there are no groups yet" if group is None else f"the group {group} has committed nothing"
        show(rows, json=json, nothing=nothing)


def show(rows: list[dict[str, Any]], *, json: bool, nothing: str) -> None:
    """Print rows as a table, or as JSON lines."""
    from streams.cli.topic_tools import table

    lines = [msgspec.json.encode(row).decode() for row in rows] if json else table(rows, nothing)
    for line in lines:
        typer.echo(line)


def consume(
    topic: Annotated[str, typer.Argument(help="The topic to read.")],
    *,
    broker: BrokerOption = None,
    app: AppOption = None,
    key: KeyOption = "auto",
    value: ValueOption = "auto",
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="Stop after so many records.")] = None,
    last: Annotated[int | None, typer.Option(min=1, help="Begin so many records before each partition's end.")] = None,
    start: Annotated[str, typer.Option(help="earliest, latest, or a time as in 2026-01-31T12:00.")] = "earliest",
    end: Annotated[str, typer.Option(help="latest, or a time.")] = "latest",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more at the end.")] = False,
) -> None:
    """Print a topic as JSON lines: topic, partition, offset, timestamp, key, value, headers.

    What is neither declared nor text is shown as {"bytes": HEX}; --key and --value say what it is. What is not of its
    declared type is shown as {"unreadable": ...} with the problem.
    """
    from streams.cli.readable import line_of

    if signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    found = app_of(app, broker)
    with connection_of(found, broker) as connection, contextlib.suppress(KeyboardInterrupt):
        typed = _typed(topic, found, key, value)
        with connection.read(typed, start=start, end=end, last=last, follow=follow) as records:
            for record in islice(records, count):
                sys.stdout.write(line_of(record))
                if follow:
                    sys.stdout.flush()


def produce(
    topic: Annotated[str, typer.Argument(help="The topic to write.")],
    file: Annotated[Path | None, typer.Argument(help="The lines; standard input by default.")] = None,
    *,
    broker: BrokerOption = None,
    app: AppOption = None,
    key: KeyOption = "auto",
    value: Annotated[str, typer.Option(help="Type of the values, likewise; auto takes the App's, else JSON.")] = "auto",
) -> None:
    """Write JSON lines: {"key": ..., "value": ..., "timestamp": ...}, or else the line is the value."""
    from streams.cli.topic_tools import write_lines

    found = app_of(app, broker)
    if file is not None and not file.is_file():
        raise ConfigError(f"there is no file {file}")
    with (
        connection_of(found, broker) as connection,
        contextlib.nullcontext(sys.stdin) if file is None else file.open() as lines,
    ):
        typed = _typed(topic, found, key, value, writing=True)
        written = write_lines(connection, typed, lines)
        typer.echo(f"{written:,} record{'' if written == 1 else 's'} written", err=True)


def _typed(topic: str, app: Any, key: str, value: str, *, writing: bool = False) -> Any:
    """The topic with its types: those of the options, else the App's, else by their looks."""
    from streams.cli.readable import AUTO_KEY, AUTO_VALUE, TolerantSerde, serde_named
    from streams.dsl.options import Topic
    from streams.serdes import declared

    known = app.topic_types(topic) if app is not None else Topic(topic)
    auto_key, auto_value = ("str", "json") if writing else ("auto", "auto")
    key_serde, value_serde = known.key_serde, known.value_serde
    if key != "auto" or not declared(key_serde):
        key_serde = serde_named(auto_key if key == "auto" else key, AUTO_KEY)
    if value != "auto" or not declared(value_serde):
        value_serde = serde_named(auto_value if value == "auto" else value, AUTO_VALUE)
    if not writing and key_serde and value_serde:
        key_serde, value_serde = TolerantSerde(key_serde, AUTO_KEY), TolerantSerde(value_serde, AUTO_VALUE)
    return Topic(topic, key_serde, value_serde, known.timestamp)


def health(
    target: TargetArgument,
    *,
    within: Annotated[str, typer.Option(help="How long a lagging application may take to commit something.")] = "",
    broker: BrokerOption = None,
    json: JsonOption = False,
    settings: SettingsOption = [],  # noqa: B006  typer's way to say: none given
) -> None:
    """Say whether a running application is well; the exit code is 1 when it is not.

    Lagging but not progressing is not well. Without --within, a lagging one is watched for a commit interval.
    """
    from streams.cli.health import group_health
    from streams.durations import milliseconds

    try:
        within_s = milliseconds(within, "--within") / 1000 if within else None
    except ValueError as problem:
        raise ConfigError(str(problem)) from None
    app = app_of(target, broker, settings)
    with connection_of(app, broker) as connection:
        found = group_health(connection, app.build(), within_s)
    if json:
        typer.echo(msgspec.json.encode(found._asdict()).decode())
    else:
        typer.echo(f"{'healthy' if found.healthy else 'unhealthy'}: {found.reason} ({found.members} workers)")
    if not found.healthy:
        raise typer.Exit(1)


def reset(
    target: TargetArgument,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    broker: BrokerOption = None,
    settings: SettingsOption = [],  # noqa: B006  typer's way to say: none given
) -> None:
    """Take an application back to its beginning: forget its offsets, delete its internal topics and its state.

    Topics that it reads and writes stay. It must not be running.
    """
    from streams.cli.resetting import execute, plan

    app = app_of(target, broker, settings)
    topology = app.build()
    with connection_of(app, broker) as connection:
        found = plan(connection, topology)
        if not dry_run:
            execute(connection, found)
    for line in found.lines():
        typer.echo(f"would be: {line}" if dry_run else line)

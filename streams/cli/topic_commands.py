"""The commands of `streams` about topics and groups: topics, describe, groups, reset.

Each is a few lines: it reads options, calls one function, prints.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from streams.cli.target import (
    BrokerOption,
    JsonOption,
    SettingsOption,
    TargetArgument,
    app_of,
    connection_of,
)
from streams.errors import ConfigError


def topics(
    broker: BrokerOption = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="The broker's own topics too.")] = False,
    json: JsonOption = False,
) -> None:
    """List the topics of a broker with their partitions and records.

    Records are counted by offsets, so the ends of transactions and records that compaction removed count, too.
    """
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
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="PLACE",
            help="Move the group: earliest, latest, an offset, +N or -N from where it is, or a time (no zone: UTC).",
        ),
    ] = None,
    topic: Annotated[
        list[str], typer.Option("--topic", "-t", help="Move it in this topic only; may be repeated.")
    ] = [],  # noqa: B006
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show where --to would move it.")] = False,
    broker: BrokerOption = None,
    json: JsonOption = False,
) -> None:
    """List the groups of a broker with their lag, show one by partition, or move its offsets with --to.

    An application's group has its name. A group with members is not moved: stop them first.
    """
    from streams.cli.group_offsets import move
    from streams.cli.topic_tools import DEAD, group_rows, groups_of, lag_rows, unread_rows
    from streams.settings import nearest

    if group is None and (to is not None or topic):
        raise ConfigError("--to and --topic are for one group: streams groups NAME --to earliest")
    with connection_of(app_of(None, broker), broker) as connection:
        if group is None:
            rows = group_rows(connection)
        elif to is None:
            rows = [*lag_rows(connection, group), *unread_rows(connection, groups_of(connection).describe(group))]
            rows = [row for row in rows if not topic or row["topic"] in topic]
        else:
            rows = move(connection, group, to, topic, dry_run=dry_run)
        if group is not None and not rows and groups_of(connection).describe(group).state == DEAD:
            near = nearest(group, groups_of(connection).names())
            raise ConfigError(f"there is no group {group!r} on this broker; `streams groups` lists them{near}")
        nothing = "there are no groups yet" if group is None else f"the group {group} has committed nothing"
        show(rows, json=json, nothing=nothing)


def show(rows: list[dict[str, Any]], *, json: bool, nothing: str) -> None:
    """Print rows as a table, or as JSON lines."""
    from streams.cli.topic_tools import table

    lines = [msgspec.json.encode(row).decode() for row in rows] if json else table(rows, nothing)
    for line in lines:
        typer.echo(line)


def health(
    target: TargetArgument,
    *,
    within: Annotated[str, typer.Option(help="How long an application that lags may take to commit something.")] = "",
    broker: BrokerOption = None,
    json: JsonOption = False,
    settings: SettingsOption = [],  # noqa: B006  typer's way to say: none given
) -> None:
    """Say whether a running application is well; the exit code is 1 when it is not.

    An application that lags is well as long as it makes progress. To see that, it is watched for a commit interval, or
    for as long as --within says.
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
    internal: Annotated[
        list[str],
        typer.Option(
            "--internal-topic", help="Also delete this topic, which an earlier program left behind; may be repeated."
        ),
    ] = [],  # noqa: B006  as below
    json: JsonOption = False,
    broker: BrokerOption = None,
    settings: SettingsOption = [],  # noqa: B006  typer's way to say: none given
) -> None:
    """Take an application back to its beginning: forget its offsets, delete its internal topics and its state.

    The topics that it reads and writes stay as they are. It must not be running.
    """
    from streams.cli.resetting import execute, plan

    app = app_of(target, broker, settings)
    topology = app.build()
    with connection_of(app, broker) as connection:
        found = plan(connection, topology, internal)
        if not dry_run:
            execute(connection, found)
    if json:
        typer.echo(msgspec.json.encode(found.row(done=not dry_run)))
        return
    for line in found.lines():
        typer.echo(f"would be: {line}" if dry_run else line)
    if found.left:
        typer.echo(found.hint(), err=True)

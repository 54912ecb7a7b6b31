"""The commands of `streams` about records: consume and produce, with kcat's letters where kcat has one."""

from __future__ import annotations

import contextlib
import sys
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from streams.cli.target import AppOption, BrokerOption, JsonOption, app_of, connection_of
from streams.errors import ConfigError

KeyOption = Annotated[
    str, typer.Option("--key", help="Type of the keys: str, json, int, float, bool, bytes, uuid, int16, int32, float32, "
    "windowed:TYPE[:SIZE], session:TYPE; auto takes the App's, else text.")
]  # fmt: skip
ValueOption = Annotated[
    str, typer.Option("--value", help="Type of the values, likewise; auto takes the App's, else JSON or text.")
]


def consume(
    topic: Annotated[str, typer.Argument(help="The topic to read.")],
    *,
    broker: BrokerOption = None,
    app: AppOption = None,
    key: KeyOption = "auto",
    value: ValueOption = "auto",
    count: Annotated[int | None, typer.Option("--count", "-c", "-n", min=1, help="Stop after N records.")] = None,
    place: Annotated[
        str | None,
        typer.Option(
            "--offset",
            "-o",
            metavar="PLACE",
            help="As kcat: beginning, end, N, -N from the end, s@MS from a time, e@MS to one.",
        ),
    ] = None,
    partitions: Annotated[
        list[int], typer.Option("--partition", "-p", min=0, help="Only this partition; may be repeated.")
    ] = [],  # noqa: B006
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            help=r"As kcat: %t topic, %p partition, %o offset, %k key, %s value, %T ms, %h headers, \n.",
        ),
    ] = None,
    last: Annotated[int | None, typer.Option(min=1, help="Begin N records before the end of each partition.")] = None,
    start: Annotated[str, typer.Option(help="earliest, latest, or a time as in 2026-01-31T12:00 (UTC).")] = "earliest",
    end: Annotated[str, typer.Option(help="latest, or a time (without a zone: UTC).")] = "latest",
    follow: Annotated[bool, typer.Option("--follow", help="Wait for more at the end, until Ctrl-C.")] = False,
    exit_at_end: Annotated[bool, typer.Option("-e", hidden=True)] = False,
    json: Annotated[bool, typer.Option("--json", "-J", help="JSON lines, as without it.")] = False,
) -> None:
    """Print a topic as JSON lines: topic, partition, offset, timestamp, key, value, headers.

    Headers are an object, or a list of pairs if a name repeats. Bytes that are neither text nor of a declared type are
    shown as {"bytes": HEX}; --key and --value say what they are. What is not of its declared type is shown as
    {"unreadable": ...}, with the problem.
    """
    from streams.cli.readable import formatter, line_of

    if json and form is not None:
        raise ConfigError("--format and --json are two ways to print a record: leave one out")
    if exit_at_end and follow:
        raise ConfigError("-e leaves at the end and --follow waits there: leave one out")
    shown = line_of if form is None else formatter(form)
    where: dict[str, Any] = {"start": start, "end": end, "last": last} | _place(place)
    _in_utf8(sys.stdout)
    found = app_of(app, broker)
    with connection_of(found, broker) as connection, contextlib.suppress(KeyboardInterrupt):
        typed = _typed(topic, found, key, value)
        with connection.read(typed, **where, follow=follow, partitions=partitions or None) as records:
            for record in islice(records, count):
                sys.stdout.write(shown(record))
                if follow:
                    sys.stdout.flush()
    sys.stdout.flush()  # a reader that has left is found out here, not at the end of the process


def produce(
    topic: Annotated[str, typer.Argument(help="The topic to write.")],
    file: Annotated[Path | None, typer.Argument(help="The lines; standard input by default.")] = None,
    *,
    broker: BrokerOption = None,
    app: AppOption = None,
    key: KeyOption = "auto",
    value: Annotated[
        str, typer.Option("--value", help="Type of the values, likewise; auto takes the App's, else JSON.")
    ] = "auto",
    fixed_key: Annotated[
        str | None, typer.Option("--fixed-key", "-k", help="The key of every line, as text or JSON.")
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option("--key-delimiter", "-K", help="Lines are KEY, this, and VALUE, instead of JSON records."),
    ] = None,
    partition: Annotated[int | None, typer.Option("--partition", "-p", min=0, help="Write to this partition.")] = None,
    headers: Annotated[
        list[str],
        typer.Option("--header", "-H", metavar="NAME=TEXT", help="A header of every record; may be repeated."),
    ] = [],  # noqa: B006
    empty_is_null: Annotated[
        bool, typer.Option("--null", "-Z", help="With -K: an empty value is null, which deletes its key from tables.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write JSON lines: {"key": ..., "value": ..., "timestamp": ..., "headers": {...}}; any other line is a value.

    A file is checked before its first line is written. Standard input is written in parts of 1,000 lines; a part with a
    wrong line is not written.
    """
    from streams.cli.topic_tools import LineForm, check_lines, told_if_new, write_lines

    found = app_of(app, broker)
    if file is not None and not file.is_file():
        raise ConfigError(f"there is no file {file}")
    if empty_is_null and delimiter is None:
        raise ConfigError('-Z is for lines with -K; in JSON a null value is {"key": ..., "value": null}')
    _in_utf8(sys.stdin)
    form = LineForm(fixed_key, delimiter, _headers(headers), empty_is_null=empty_is_null)
    with (
        connection_of(None, broker) if found is None else found.connect() as connection,  # which makes declared topics
        contextlib.nullcontext(sys.stdin)
        if file is None
        else file.open(encoding="utf-8", errors="surrogateescape") as lines,
    ):
        typed = _typed(topic, found, key, value, writing=True)
        if file is not None:
            with file.open(encoding="utf-8", errors="surrogateescape") as first:
                check_lines(connection, typed, first, form)
        told = told_if_new(connection, topic, found.build() if found else None)
        written = write_lines(connection, typed, lines, form, partition)
        if json:
            typer.echo(f'{{"topic":"{topic}","written":{written}}}')
        else:
            typer.echo(f"{written:,} record{'' if written == 1 else 's'} written{told if written else ''}", err=True)


def _in_utf8(stream: TextIO) -> None:
    """JSON is in UTF-8, whatever the locale of a service or a container is; what is none is told with its line."""
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="surrogateescape")


def _place(place: str | None) -> dict[str, Any]:
    """Kcat's way to say where to read, as options of `Connection.read`. Raises: ConfigError."""
    named = {"beginning": {"start": "earliest"}, "earliest": {"start": "earliest"}, "end": {"start": "latest"}}
    if place is None:
        return {}
    if place in named:
        return dict(named[place])
    if place[:2] in {"s@", "e@"} and place[2:].isdigit():
        return {"start" if place[0] == "s" else "end": int(place[2:])}
    if place.isdigit():
        return {"offset": int(place)}
    if place[0] == "-" and place[1:].isdigit() and int(place) < 0:
        return {"last": -int(place)}
    raise ConfigError(f"--offset: expected beginning, end, N, -N, s@MS or e@MS, got {place!r}")


def _headers(given: list[str]) -> tuple[tuple[str, bytes | None], ...]:
    found: list[tuple[str, bytes | None]] = []
    for pair in given:
        name, equals, text = pair.partition("=")
        if not name:
            raise ConfigError(f"--header {pair}: expected NAME=TEXT, or NAME alone for null")
        found.append((name, text.encode() if equals else None))
    return tuple(found)


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

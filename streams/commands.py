"""The commands of `streams`, over typer. Each is a few lines: it reads options, calls one function, prints.

With an App given (from `app.main()`), MODULE:APP is left out. Everything heavier is imported by the command that
needs it.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from typing import Annotated, Any

import typer

from streams.config import StreamsConfig
from streams.errors import ConfigError
from streams.settings import assignments

Broker = Annotated[str | None, typer.Option(help="kafka://host:port or embedded://DIR, instead of the App's.")]
Settings = Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE", help="A setting; may be repeated.")]
Target = Annotated[str, typer.Argument(metavar="MODULE:APP", help="Where the App is, as in taxi.pipeline:app.")]
LogLevel = Annotated[str, typer.Option(help="debug, info, warning or error.")]

THIS_APP = ":this"
"""Stands for the App whose `main()` was called."""


def command_line(arguments: list[str], app: Any = None) -> int:
    """Run a command. Shape: the exit code."""
    cli = typer.Typer(
        add_completion=app is None,
        no_args_is_help=app is None,
        help="Kafka Streams for Python, broker included.",
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    for command in (run, topology, topics, produce, consume):
        cli.command()(command)
    if app is None:
        cli.command(add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})(
            broker
        )
    else:
        _Bound.app = app
        arguments = _with_target(arguments)
    try:
        cli(arguments, prog_name="streams" if app is None else None)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


class _Bound:
    """The App that the commands mean when none is named."""

    app: Any = None


def _with_target(arguments: list[str]) -> list[str]:
    """Without a command, run; commands that take MODULE:APP get the bound App in its place."""
    if not arguments or (arguments[0].startswith("-") and arguments[0] != "--help"):
        arguments = ["run", *arguments]
    if arguments[0] in {"run", "topology"} and "--help" not in arguments:
        return [arguments[0], THIS_APP, *arguments[1:]]
    return arguments


def _app(target: str, broker: str | None = None, settings: list[str] | None = None) -> Any:
    from streams.loading import load_app

    app = _Bound.app if target == THIS_APP else load_app(target)
    given = assignments(settings or [])
    app.configure({**given, "broker": broker} if broker else given)
    return app


def run(
    target: Target,
    *,
    workers: Annotated[int, typer.Option(min=1, help="Processes to run; the work divides among them.")] = 1,
    broker: Broker = None,
    settings: Settings = [],  # noqa: B006  typer's way to say: none given
    log_level: LogLevel = "info",
) -> None:
    """Run an application until Ctrl-C. A second Ctrl-C leaves at once."""
    from streams import running, terminal

    console = terminal.stderr()
    terminal.set_up_logging(log_level, console)
    app = _app(target, broker, settings)
    if workers > 1:
        raise typer.Exit(_supervise(target, workers, broker, settings, log_level))
    running.run(app.application(), terminal.Screen(console))


def _supervise(target: str, workers: int, broker: str | None, settings: list[str], log_level: str) -> int:
    from streams.supervisor import supervise, this_program

    named = [] if target == THIS_APP else [target]
    options = [*(["--broker", broker] if broker else []), *(part for each in settings for part in ("--set", each))]
    arguments = ["run", *named, *options, "--log-level", log_level]
    command = this_program(arguments) if target == THIS_APP else [sys.executable, "-m", "streams.cli", *arguments]
    return supervise(command, workers)


def broker(context: typer.Context) -> None:
    """Run the broker: --data-dir DIR [--listen HOST:PORT] [--set name=value] [--properties FILE]."""
    from streams.cli import become_broker

    become_broker(context.args)


def topology(
    target: Target,
    *,
    form: Annotated[str, typer.Option("--format", help="text (as Kafka prints it), mermaid or dot.")] = "text",
    settings: Settings = [],  # noqa: B006  typer's way to say: none given
) -> None:
    """Print the topology of an application."""
    from streams.diagrams import FORMATS
    from streams.settings import nearest

    if form not in FORMATS:
        raise ConfigError(f"--format: expected one of {', '.join(FORMATS)}, got {form!r}{nearest(form, FORMATS)}")
    typer.echo(FORMATS[form](_app(target, None, settings).build()).rstrip("\n"))


def topics(broker: Broker = None) -> None:
    """List the topics of a broker with their partitions and records."""
    from streams.topic_tools import connected, list_topics

    with connected(_tool_config(broker)) as clients:
        for line in list_topics(clients):
            typer.echo(line)


def consume(
    topic: Annotated[str, typer.Argument(help="The topic to read.")],
    *,
    broker: Broker = None,
    key: Annotated[
        str, typer.Option(help="Type of the keys: json, str, int, float, bool, bytes, uuid or auto.")
    ] = "auto",
    value: Annotated[str, typer.Option(help="Type of the values, likewise.")] = "auto",
    count: Annotated[int, typer.Option("--count", "-n", min=0, help="Stop after so many records.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more at the end.")] = False,
) -> None:
    """Print a topic from its beginning as JSON lines: topic, partition, offset, timestamp, key, value, headers."""
    from streams.topic_tools import connected, read_lines

    if signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    with connected(_tool_config(broker)) as clients, contextlib.suppress(KeyboardInterrupt):
        for line in read_lines(clients, topic, key=key, value=value, count=count, follow=follow):
            sys.stdout.write(line)
            if follow:
                sys.stdout.flush()


def produce(
    topic: Annotated[str, typer.Argument(help="The topic to write.")],
    *,
    broker: Broker = None,
    key: Annotated[str, typer.Option(help="Type of the keys: json, str, int, float, bool or uuid.")] = "str",
    value: Annotated[str, typer.Option(help="Type of the values, likewise.")] = "json",
) -> None:
    """Write JSON lines from standard input: {"key": ..., "value": ..., "timestamp": ...}, or else the line is the value."""
    from streams.topic_tools import connected, write_lines

    with connected(_tool_config(broker)) as clients:
        typer.echo(f"{write_lines(clients, topic, sys.stdin, key=key, value=value):,} records written", err=True)


def _tool_config(broker: str | None) -> StreamsConfig:
    """Settings for a command that reads or writes topics without an App."""
    if _Bound.app is not None and broker is None:
        return StreamsConfig.of("streams-cli", {"broker": _Bound.app.config.broker})
    return StreamsConfig.of("streams-cli", {"broker": broker} if broker else {})

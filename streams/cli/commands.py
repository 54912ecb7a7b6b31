"""The commands of `streams`, over typer. Each is a few lines: it reads options, calls one function, prints.

With an App given (from `app.main()`), MODULE:APP is left out. Everything heavier is imported by the command that
needs it.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from streams.cli.bench import bench
from streams.cli.dev import dev
from streams.cli.examples import epilog, help_of
from streams.cli.new import new
from streams.cli.record_commands import consume, produce
from streams.cli.target import (
    THIS_APP,
    Bound,
    BrokerOption,
    JsonLinesOption,
    JsonOption,
    SettingsOption,
    TargetArgument,
    app_of,
)
from streams.cli.topic_commands import describe, groups, health, reset, topics
from streams.errors import ConfigError

LogLevel = Annotated[str, typer.Option(help="debug, info, warning or error.")]

TAKE_AN_APP = {"run", "dev", "topology", "health", "reset"}
"""Commands whose first argument is MODULE:APP."""


def command_line(arguments: list[str], app: Any = None) -> int:
    """Run a command. Shape: the exit code."""
    cli = typer.Typer(
        add_completion=app is None,
        no_args_is_help=app is None,
        help="Kafka Streams for Python, broker included.\n\nExit codes: 0 done, 1 failed while running, 2 wrong usage, settings "
        "or input, 3 failed such that all workers are to stop, 130 interrupted.",
        epilog=epilog(),
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    cli.callback()(options)
    for command in (run, dev, topology, health, reset, topics, describe, groups, produce, consume, bench):
        cli.command(help=help_of(command), epilog=epilog(command.__name__))(command)
    if app is None:
        cli.command(help=help_of(new), epilog=epilog("new"))(new)
        passing_on = {"ignore_unknown_options": True, "allow_extra_args": True}
        cli.command(add_help_option=False, context_settings=passing_on)(broker)
    else:
        Bound.app = app
        arguments = _with_target(arguments)
    command_group = typer.main.get_command(cli)
    if app is not None:
        _without_target(command_group)
    try:
        # With --json, wrong usage is an error like any other; typer's class of it changes with its version.
        code = command_group(
            arguments, prog_name="streams" if app is None else None, standalone_mode="--json" not in arguments
        )
    except SystemExit as end:
        code = end.code
    except Exception as problem:
        if not hasattr(problem, "format_message"):
            raise
        raise ConfigError(problem.format_message()) from None
    return code if isinstance(code, int) else 0


def _without_target(group: Any) -> None:
    """Leave MODULE:APP out of the help, where it is known."""
    for command in group.commands.values():
        for parameter in command.params:
            if parameter.name == "target":
                parameter.hidden, parameter.get_usage_pieces = True, lambda _context: []


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"headrace {version('headrace')}")
        raise typer.Exit


def options(
    *,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Every command's --help ends with examples."""


def _with_target(arguments: list[str]) -> list[str]:
    """Without a command, run; commands that take MODULE:APP get the bound App in its place."""
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in {"--help", "--version"}):
        arguments = ["run", *arguments]
    if arguments[0] in TAKE_AN_APP and "--help" not in arguments:
        return [arguments[0], THIS_APP, *arguments[1:]]
    return arguments


def run(
    target: TargetArgument,
    *,
    workers: Annotated[int, typer.Option(min=1, help="Processes to run; the work divides among them.")] = 1,
    broker: BrokerOption = None,
    settings: SettingsOption = [],  # noqa: B006  typer's way to say: none given
    log_level: LogLevel = "info",
    to_end: Annotated[bool, typer.Option("--to-end", help="Stop when all that the topics hold is processed.")] = False,
    inputs: Annotated[
        list[str],
        typer.Option(
            "--input",
            metavar="TOPIC=FILE",
            help="Write a Parquet, CSV or JSON lines file to a topic, then run to its end.",
        ),
    ] = [],  # noqa: B006
    input_keys: Annotated[
        list[str], typer.Option("--input-key", metavar="TOPIC=COLUMN", help="The column of --input that is the key.")
    ] = [],  # noqa: B006
    input_timestamps: Annotated[
        list[str],
        typer.Option("--input-timestamp", metavar="TOPIC=COLUMN", help="The column of --input that is the time."),
    ] = [],  # noqa: B006
    trace: Annotated[
        str | None, typer.Option(metavar="KEY", help="Print the way of records with this key through the topology.")
    ] = None,
    counts: Annotated[bool, typer.Option("--counts", help="Show the records in and out of every node.")] = False,
    json: JsonLinesOption = False,
    report_to: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run an application until Ctrl-C. A second Ctrl-C leaves at once.

    With --input, the same application runs over files to their end and stops: all files are checked first, and nothing
    is written unless every row fits.
    """
    from streams.cli import terminal
    from streams.cli.dev import report

    console = None if json else terminal.stderr()
    terminal.set_up_logging(log_level, console)
    # The end is seen by what is committed, so commits must not be far apart; a setting given on the command line wins.
    to_end = to_end or bool(inputs)
    if trace is not None:
        # Only what runs through at once can be told of one record; a setting given on the command line wins.
        settings = ["statestore_cache_max_bytes=0", *settings]
    settings = ["commit_interval_ms=200", *settings] if to_end else settings
    app = app_of(target, broker, settings)
    _load(app, inputs, input_keys, input_timestamps)
    if report_to is not None:
        report(report_to, app.config)
    if workers > 1:
        flags = ["--to-end"] * to_end + ["--counts"] * counts + ["--json"] * json
        flags += ["--trace", trace] if trace is not None else []
        member = app.config.group_instance_id
        raise typer.Exit(_supervise(target, workers, broker, settings, flags, log_level, member))
    _run(app, trace, console, counts=counts, to_end=to_end)


def _run(app: Any, trace: str | None, console: Any, *, counts: bool, to_end: bool) -> None:
    """Run in this process, shown on a console or, without one, as JSON lines."""
    from streams import running
    from streams.background import ToEnd
    from streams.cli.json_lines import JsonScreen
    from streams.cli.observation import observed
    from streams.cli.terminal import Screen

    application, counted = observed(app.application(), trace, console, counts=counts)
    screen: running.Listener
    if console is None:
        screen = JsonScreen(counted)
        application = screen.of(application)
    else:
        screen = Screen(console, counted)
    running.run(application, ToEnd(screen) if to_end else screen)


def _load(app: Any, inputs: list[str], keys: list[str], timestamps: list[str]) -> None:
    """Write the files of --input to their topics."""
    if not (inputs or keys or timestamps):
        return
    from streams.connect import check, load, parse_inputs
    from streams.topology.read_topics import with_matches

    given = parse_inputs(inputs, keys, timestamps)
    topology = app.build()
    named = with_matches(topology, [each.topic for each in given])
    topics = [*topology.user_topics, *(topic for part in named if part.patterns for topic in part.source_topics)]
    read = {name: app.topic_types(name) for name in topics if name not in topology.repartition_topics}
    check(given, read, app.config, [pattern for part in named for pattern in part.patterns])
    with app.connect() as connection:
        load(connection, given, read)


def _supervise(
    target: str,
    workers: int,
    broker: str | None,
    settings: list[str],
    flags: list[str],
    log_level: str,
    member: str | None,
) -> int:
    """Run workers as processes. A static member's name is that of one of them: each gets a number behind it."""
    from streams.cli.supervisor import supervise, this_program

    named = [] if target == THIS_APP else [target]
    options = [*(["--broker", broker] if broker else []), *(part for each in settings for part in ("--set", each))]
    arguments = ["run", *named, *flags, *options, "--log-level", log_level]
    command = this_program(arguments) if target == THIS_APP else [sys.executable, "-m", "streams.cli", *arguments]
    names = [["--set", f"group_instance_id={member}-{number + 1}"] if member else [] for number in range(workers)]
    return supervise([[*command, *name] for name in names])


def broker(context: typer.Context) -> None:
    """Run the broker: --data-dir DIR [--listen HOST:PORT] [--set name=value] [--properties FILE]."""
    from streams.cli import become_broker

    become_broker(context.args)


def topology(
    target: TargetArgument,
    *,
    form: Annotated[
        str, typer.Option("--format", help="text (as Kafka prints it), svg, mermaid, dot or json.")
    ] = "text",
    json: JsonOption = False,
    settings: SettingsOption = [],  # noqa: B006  typer's way to say: none given
) -> None:
    """Print the topology of an application: its sub-topologies, sources, processors, stores and sinks.

    Nothing is started for it. Pictures go to standard output: streams topology taxi:app --format svg > taxi.svg
    """
    from streams.diagrams import FORMATS
    from streams.settings import nearest

    form = "json" if json else form
    if form not in FORMATS:
        raise ConfigError(f"--format: expected one of {', '.join(FORMATS)}, got {form!r}{nearest(form, FORMATS)}")
    typer.echo(FORMATS[form](app_of(target, None, settings).build()).rstrip("\n"))

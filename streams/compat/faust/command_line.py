"""The command line of a Faust application: `worker`, `send`, `agents`, `tables`, and the application's own commands.

Options of Faust's worker that only concern its web server and its looks are accepted. What else Faust's command line
has is told by name, with what to do instead.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import sys
import traceback
from collections.abc import Callable, Sequence
from os import chdir
from typing import Any, NoReturn

import click
import msgspec

from streams.compat.faust.errors import FaustError
from streams.compat.faust.models import REGISTRY
from streams.compat.faust.topics import Topic
from streams.errors import StreamsError

INSTEAD = {
    "reset": "delete the state directory and the application's own topics (`streams topics` lists them)",
    "models": "read the classes in the source",
    "model": "read the class in the source",
    "clean_versions": "delete the state directory of the old version",
    "completion": "there is none for applications",
    "livecheck": "test with streams.testing.TopologyTestDriver",
    "rebalance": "start and stop workers: the group divides the work by itself",
}


class Commands(click.Group):
    """The commands, and the answer to those that are not there."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by its name. Raises: UsageError for those of Faust that are not here."""
        name = cmd_name.replace("-", "_")
        if name in INSTEAD:
            raise click.UsageError(f"the command {cmd_name} of Faust is not here: {INSTEAD[name]}")
        return super().get_command(ctx, cmd_name)


def main(app: Any, arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and end the process."""
    try:
        app.on_worker_init.send(app)
        app.discover()
        command_line(app).main(arguments, standalone_mode=False)
    except click.ClickException as problem:
        problem.show()
        sys.exit(problem.exit_code)
    except click.exceptions.Exit as ending:
        sys.exit(ending.exit_code)
    except click.Abort:
        sys.exit(130)
    except StreamsError as error:
        sys.exit(_told(error))
    sys.exit(0)


def _told(error: StreamsError) -> int:
    """Say what went wrong, with the traceback of the application's own code. Shape: the exit code."""
    if error.__cause__ is not None:
        sys.stderr.write("".join(traceback.format_exception(error.__cause__)))
    sys.stderr.write(f"error: {error}\n")
    return 1


def command_line(app: Any) -> click.Group:
    """All commands of an application."""
    group = Commands(
        callback=lambda **options: _settings(app, **options),
        params=[
            click.Option(["--datadir", "-D"], help="Where stores are kept."),
            *_logging(),
            click.Option(["--app", "-A", "application"], help="Accepted: the application is this one."),
            click.Option(["--debug/--no-debug"], default=False),
            click.Option(["--quiet/--no-quiet", "-q"], default=False),
            click.Option(["--json", "as_json"], is_flag=True, help="Print what agents, tables and send say as JSON."),
            click.Option(["--workdir", "-W"], help="The directory to change to first."),
            click.Option(["--loop", "-L"], help="Accepted: there is one kind of event loop."),
            *_accepted("--console-port", "--blocking-timeout"),
        ],
        no_args_is_help=True,
        help=f"{app.conf.id}, a Faust application on Headrace.",
    )
    for command in (_worker(app), _agents(app), _tables(app), _send(app)):
        group.add_command(command)
    for function, options in app.commands:
        group.add_command(_own(app, function, options))
    return group


def _logging() -> list[click.Option]:
    return [
        click.Option(["--loglevel", "-l", "loglevel"], help="debug, info, warn, error or crit."),
        click.Option(["--logfile", "-f", "logfile"], help="The file that log lines go to (default: standard error)."),
    ]


def _accepted(*names: str) -> list[click.Option]:
    """Options that concern only Faust's own looks."""
    return [click.Option([name], hidden=True) for name in names]


def _settings(
    app: Any,
    datadir: str | None,
    loglevel: str | None,
    logfile: str | None,
    as_json: bool,
    workdir: str | None,
    **_accepted: Any,
) -> None:
    click.get_current_context().obj = as_json
    if workdir is not None:
        chdir(workdir)
    _set_up_logging(loglevel or "warning", logfile)
    if datadir is not None:
        app.configure(datadir=datadir)


def _set_up_logging(level: str, file: str | None) -> None:
    from streams.cli import terminal

    terminal.set_up_logging({"warn": "warning", "crit": "critical"}.get(level.lower(), level), terminal.stderr())
    if file is not None:
        try:
            handler = logging.FileHandler(file)
        except OSError as problem:
            raise click.UsageError(f"--logfile: {file} cannot be written: {problem.strerror}") from None
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        logging.getLogger().handlers = [handler]


def _worker(app: Any) -> click.Command:
    accepted = [
        click.Option(["--with-web/--without-web"], default=None),
        click.Option(["--web-port", "-p"]),
        click.Option(["--web-host", "-h"]),
        click.Option(["--web-bind", "-b"]),
        click.Option(["--web-transport"]),
        *_accepted("--console-port", "--blocking-timeout"),
    ]

    def worker(loglevel: str | None, logfile: str | None, with_web: bool | None, **_accepted: Any) -> None:
        from streams import running
        from streams.cli import terminal

        before = click.get_current_context().find_root().params  # either place will do
        _set_up_logging(loglevel or before.get("loglevel") or "info", logfile or before.get("logfile"))
        if with_web:
            raise click.UsageError("there is no web server: start the worker without --with-web")
        running.run(app.application(), terminal.Screen(terminal.stderr()))

    return click.Command("worker", callback=worker, params=[*_logging(), *accepted], help="Run until Ctrl-C.")


def _agents(app: Any) -> click.Command:
    def agents(local: bool | None) -> None:
        in_memory = [agent for agent in app.agents.values() if not isinstance(agent.channel, Topic)]
        if _as_json():  # as Faust has it
            shown = [agent for agent in app.agents.values() if local or agent not in in_memory]
            _say_json(
                {
                    "name": f"@{each.name}",
                    "topic": getattr(each.channel, "name", "<LOCAL>"),
                    "help": each.help or "<N/A>",
                }
                for each in sorted(shown, key=lambda agent: str(agent.name))
            )
            return
        for agent in app.agents.values():
            if local is not False or agent not in in_memory:
                topic = getattr(agent.channel, "name", "(in memory)")
                click.echo(f"@{agent.name}  {topic}  {agent.help.partition(chr(10))[0]}".rstrip())

    local = click.Option(["--local/--no-local"], default=None, help="With those over a channel in memory.")
    return click.Command("agents", callback=agents, params=[local], help="List the agents.")


def _as_json() -> bool:
    return bool(click.get_current_context().obj)


def _say_json(value: Any) -> None:
    click.echo(msgspec.json.encode(value if isinstance(value, dict) else list(value)).decode())


def _tables(app: Any) -> click.Command:
    def tables() -> None:
        if _as_json():
            _say_json({"name": name, "help": table.help} for name, table in sorted(app.tables.items()))
            return
        for table in app.tables.values():
            click.echo(f"{table.name}  {table.help}".rstrip())

    return click.Command("tables", callback=tables, help="List the tables.")


def _send(app: Any) -> click.Command:
    def send(
        entity: str,
        value: str | None,
        key: str | None,
        key_type: str | None,
        value_type: str | None,
        repeat: int,
        min_latency: float,
        max_latency: float,
        **options: Any,
    ) -> None:
        target = _target(app, entity)
        options["key"] = key if key_type is None else _record(key_type, key)
        options["value"] = _value(value) if value_type is None else _record(value_type, value)

        async def sending() -> None:
            for number in range(repeat):
                if number and max_latency:
                    await asyncio.sleep(random.uniform(min_latency, max_latency))  # noqa: S311  no secret
                sent = await target.send(**options)
                _say_json(sent.result()._asdict())

        run(app, sending)

    params: list[click.Parameter] = [
        click.Argument(["entity"]),
        click.Argument(["value"], required=False),
        click.Option(["--key", "-k"]),
        click.Option(["--key-type", "-K"], help="The Record of the key, as in module.Record."),
        click.Option(["--value-type", "-V"], help="The Record of the value."),
        click.Option(["--partition"], type=int),
        click.Option(["--repeat", "-r"], type=int, default=1, help="How many times."),
        click.Option(["--min-latency"], type=float, default=0.0, help="The least pause between two, in seconds."),
        click.Option(["--max-latency"], type=float, default=0.0, help="The longest."),
        click.Option(["--key-serializer"]),
        click.Option(["--value-serializer"]),
    ]
    return click.Command("send", callback=send, params=params, help="Send VALUE (JSON, or text) to a topic or @agent.")


def _target(app: Any, entity: str) -> Any:
    if not entity.startswith("@"):
        return app.topic(entity)
    name = entity.removeprefix("@")
    for agent in app.agents.values():
        if name in {agent.name, agent.name.rpartition(".")[2]}:
            return agent
    raise click.UsageError(f"there is no agent {entity}; there are: {', '.join(app.agents) or 'none'}")


def _record(name: str, text: str | None) -> Any:
    """A Record of a name from JSON. Raises: UsageError."""
    found = [each for namespace, each in REGISTRY.items() if f".{namespace}".endswith(f".{name}")]
    if len(found) != 1 or text is None:
        known = ", ".join(namespace for namespace in REGISTRY if not namespace.startswith("@"))
        raise click.UsageError(f"expected JSON of one of the Records {known or '(there are none)'}, got {name} {text}")
    try:
        return found[0].loads(text.encode())
    except (TypeError, ValueError) as problem:
        raise click.UsageError(f"{text!r} is no {name}: {problem}") from problem


def _value(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _own(app: Any, function: Callable[..., Any], options: Sequence[Any]) -> click.Command:
    """A command that the application declared."""

    def callback(**given: Any) -> None:
        takes_self = next(iter(inspect.signature(function).parameters), "") == "self"

        async def calling() -> None:
            result = function(Speaking(app), **given) if takes_self else function(**given)
            if inspect.isawaitable(result):
                await result

        run(app, calling)

    for option in reversed(options):
        callback = option(callback)
    declared = list(reversed(getattr(callback, "__click_params__", [])))
    name = function.__name__.replace("_", "-")
    return click.Command(name, callback=callback, params=declared, help=inspect.getdoc(function))


class Speaking:
    """The `self` of an application's own commands."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def say(self, message: str, **_options: Any) -> None:
        """Print a line."""
        click.echo(message)

    carp = say

    def dumps(self, value: Any) -> str:
        """A value as JSON."""
        return msgspec.json.encode(value).decode()


def run(app: Any, function: Callable[[], Any]) -> None:
    """Run a coroutine without a worker; what it sends is safe when this returns. Raises: FaustError."""
    try:
        asyncio.run(function())
    except StreamsError:
        raise
    except Exception as error:
        raise FaustError(f"the command raised {type(error).__name__}: {error}") from error
    finally:
        app.replies.close()
        app.sender.close()

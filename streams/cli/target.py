"""Which App a command means: the one that MODULE:APP names, or the one whose `main()` was called; and its broker.

Everything heavier is imported when it is needed, so that `streams --help` is quick.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from streams.config import StreamsConfig
from streams.settings import assignments

BrokerOption = Annotated[
    str | None, typer.Option("--broker", "-b", help="kafka://host:port or embedded://DIR, instead of the App's.")
]
SettingsOption = Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE", help="A setting; may be repeated.")]
AppOption = Annotated[
    str | None, typer.Option("--app", metavar="MODULE:APP", help="Take broker and types of topics from this App.")
]
TargetArgument = Annotated[str, typer.Argument(metavar="MODULE:APP", help="Where the App is, as in taxi.pipeline:app.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
JsonLinesOption = Annotated[
    bool,
    typer.Option(
        "--json", help="Write everything to standard error as JSON lines: states, numbers, traces, log, errors."
    ),
]

THIS_APP = ":this"
"""Stands for the App whose `main()` was called."""


class Bound:
    """The App that the commands mean when none is named."""

    app: Any = None


def app_of(target: str | None, broker: str | None = None, settings: list[str] | None = None) -> Any:
    """The App, configured; None when none is named or bound. Raises: ConfigError."""
    from streams.cli.loading import load_app

    app = Bound.app if target in {None, THIS_APP} else load_app(str(target))
    if app is not None:
        given = assignments(settings or [])
        app.configure({**given, "broker": broker} if broker else given)
    return app


@contextmanager
def connection_of(app: Any, broker: str | None) -> Iterator[Any]:
    """A connection to the App's broker, or without one to that of the option or of the environment."""
    from streams.connection import connected

    config = app.config if app is not None else StreamsConfig.of("streams-cli", {"broker": broker} if broker else {})
    with connected(config) as connection:
        yield connection

"""The broker as a process: `python -m broker --data-dir DIR`; `python -m broker check DIR` verifies a directory offline, and
`python -m broker add-user DIR NAME` lets somebody log in.

Prints `ready on HOST:PORT` as a line of its own on stdout once it serves, logs to stderr, stops cleanly on SIGTERM and
SIGINT. Exit codes: 0 stopped as asked, 1 failed while running, 2 could not start with these settings.
"""

import argparse
import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Sequence
from getpass import getpass
from pathlib import Path
from typing import NoReturn

from broker.config import BrokerConfig, parse_listener, protocol_of
from broker.credentials import credentials_of
from broker.dynamic import Dynamic
from broker.errors import ConfigError, DataDirectoryError
from broker.log.check import Checked, check_directory
from broker.log.directory import locked
from broker.log.open_files import raise_limit
from broker.properties import from_kafka, read_properties
from broker.server.broker import Broker
from broker.server.listener import Listener

logger = logging.getLogger("broker")

TURN_S = 0.0005
"""How long threads that sync wait for the event loop to leave them the interpreter: Python's 5 ms are several syncs."""
_MORE = (
    "`streams broker check DIR` verifies a data directory that no broker uses; nothing is changed. `streams broker add-user "
    "DIR NAME` sets the password of a user there, for a broker with logins."
)
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, as every other bad input of this process does."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}; see --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="broker", description="A durable Kafka-protocol broker of one node.", epilog=_MORE)
    parser.add_argument("--data-dir", metavar="DIR", help="where topics are kept; made if it does not exist")
    parser.add_argument("--listen", metavar="HOST:PORT", help="address to serve on; port 0 picks a free one")
    parser.add_argument(
        "--set", dest="settings", metavar="NAME=VALUE", action="append", default=[], help="a setting by Kafka's name"
    )
    parser.add_argument("--properties", metavar="FILE", type=Path, help="settings from a properties file")
    parser.add_argument(
        "--exit-when-idle", metavar="SECONDS", type=float, help="stop when no client was connected for so long"
    )
    parser.add_argument("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    return parser


def configure(arguments: argparse.Namespace) -> BrokerConfig:
    """The configuration of a command line: properties file, then --set, then --listen and --data-dir.

    Raises: ConfigError.
    """
    values: dict[str, str] = {}
    if arguments.properties is not None:
        values.update(from_kafka(read_properties(arguments.properties)))
    for setting in arguments.settings:
        name, separator, value = setting.partition("=")
        if not separator:
            raise ConfigError(f"--set takes NAME=VALUE, not {setting!r}")
        values[name.strip()] = value
    if arguments.listen is not None:
        values["listeners"] = arguments.listen
    if arguments.data_dir is not None:
        values["log.dirs"] = arguments.data_dir
    config = BrokerConfig.from_mapping(values)
    for listener in filter(None, (config.listeners, config.advertised_listeners)):
        parse_listener(listener)
        protocol_of(listener)
    if not config.log_dirs:
        raise ConfigError("a data directory is needed: --data-dir DIR")
    return config


async def serve(config: BrokerConfig, exit_when_idle: float | None) -> None:
    """Run until a signal, or idleness, says stop. Raises: ConfigError, DataDirectoryError."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    broker = Broker(config, Path(config.log_dirs), loop)
    listener = Listener(broker)
    try:
        host, port = await listener.start()
        if exit_when_idle is not None:
            listener.stop_when_idle(exit_when_idle, stop.set)
        gc.freeze()
        gc.enable()  # `__main__` has it off
        sys.setswitchinterval(TURN_S)
        print(f"ready on {host}:{port}", flush=True)  # noqa: T201  the line others wait for
        await stop.wait()
        logger.info("stopping")
    finally:
        await listener.stop()
        await broker.stop()


def check(argv: Sequence[str]) -> int:
    """Verify a data directory that no broker uses: 0 if it is sound, 1 with a line for each damage. Raises: DataDirectoryError."""
    gc.enable()
    parser = _Parser(prog="broker check", description="Verify a data directory offline; nothing is changed.")
    parser.add_argument("data_dir", metavar="DIR", type=Path)
    checked, findings = Checked(), 0
    for finding in check_directory(parser.parse_args(argv).data_dir, checked):
        findings += 1
        print(finding)  # noqa: T201  what was asked for
    print(f"checked {checked}: {f'{findings} damaged' if findings else 'no damage'}")  # noqa: T201
    return 1 if findings else 0


def add_user(argv: Sequence[str]) -> int:
    """Set the password of a user, asked for or read from standard input, while no broker uses the directory.

    Raises: ConfigError, DataDirectoryError.
    """
    gc.enable()
    parser = _Parser(
        prog="broker add-user",
        description="Set the password of a user who may log in, new or known, by PLAIN and SCRAM. It is asked for, or read from "
        "standard input. While the broker runs, Kafka's tools and admin clients do this (AlterUserScramCredentials).",
    )
    parser.add_argument("data_dir", metavar="DIR", type=Path, help="a data directory; made if it does not exist")
    parser.add_argument("name", metavar="NAME")
    arguments = parser.parse_args(argv)
    password = getpass(f"password of {arguments.name}: ") if sys.stdin.isatty() else _line()
    for what, text in (("a user", arguments.name), ("a password", password)):
        if not text or "\0" in text:
            raise ConfigError(f"{what} must be text of at least one character, without NUL")
    with locked(arguments.data_dir):
        dynamic = Dynamic(arguments.data_dir)
        dynamic.open()
        dynamic.credentials[arguments.name] = credentials_of(password)
        dynamic.write()
    print(f"{arguments.name} may log in, by PLAIN and SCRAM")  # noqa: T201  what was asked for
    return 0


def _line() -> str:
    """The first line of standard input, which is not shown even where it is no text. Raises: ConfigError."""
    try:
        return sys.stdin.buffer.readline().decode().rstrip("\n")
    except UnicodeDecodeError:
        raise ConfigError("a password must be text in UTF-8") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the broker; the exit code."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=LOG_FORMAT)
    try:
        given = list(sys.argv[1:] if argv is None else argv)
        if given[:1] == ["check"]:
            return check(given[1:])
        if given[:1] == ["add-user"]:
            return add_user(given[1:])
        arguments = _parser().parse_args(given)
        logging.getLogger().setLevel(arguments.log_level)
        raise_limit()
        asyncio.run(serve(configure(arguments), arguments.exit_when_idle))
    except (ConfigError, DataDirectoryError) as error:
        print(f"broker: {error}", file=sys.stderr)  # noqa: T201  one sentence for the person who started it
        return 2
    except Exception:
        logger.exception("the broker failed")
        return 1
    return 0

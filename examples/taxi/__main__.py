"""`python -m examples.taxi`: the whole pipeline in one process, or one of its programs as a process of its own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from examples.taxi import pipeline, rides, topology
from examples.taxi.arguments import per_second, positive
from examples.taxi.data import Trips, open_trips
from examples.taxi.debs.commands import COMMANDS
from examples.taxi.directory import marked, remove
from examples.taxi.email import Mailer
from examples.taxi.generator import MOST, ensure_trips
from examples.taxi.layouts import TripsError
from examples.taxi.ledger import Ledger
from examples.taxi.topics import onlooker
from examples.taxi.verdict import judge, summary
from streams import App, ConfigError, StreamsError

SAMPLE = Path(__file__).parents[3] / "shared" / "data" / "taxis.csv"
GENERATED = 20_000
BAD_INPUT = 2
PROGRAM = "python -m examples.taxi"


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for.

    Returns: the exit code: 0, 1 when something failed or the totals are not pandas', 2 for input that cannot be used.
    """
    given = sys.argv[1:] if arguments is None else arguments
    console = Console()
    try:
        if given and given[0] in COMMANDS:
            return COMMANDS[given[0]](given[1:], console, PROGRAM)
        options = _parser().parse_args(given)
        return PARTS[options.part](options, console)
    except (TripsError, StreamsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT if isinstance(error, TripsError | ConfigError) else 1
    except OSError as error:
        print(f"error: {error.filename or 'a file'} cannot be used: {error.strerror}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        console.print("Interrupted; run again to continue.")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description=__doc__,
        epilog=f"Others, with options of their own (--help tells): {', '.join(COMMANDS)}.",
    )
    parser.add_argument("part", nargs="?", default="all", choices=PARTS, help="default: all, in this process")
    parser.add_argument("--trips", type=Path, help="CSV or Parquet file of trips (default: a sample, or generated)")
    parser.add_argument("--count", type=positive, help=f"rows to use (default: all; {GENERATED:,} of generated ones)")
    parser.add_argument("--rate", type=per_second, help="rides per second (default: as fast as it goes)")
    parser.add_argument("--seed", type=int, help="generate trips with this seed, sample or not")
    parser.add_argument("--dir", type=Path, default=Path(".streams/taxi"), help="where all is stored (%(default)s)")
    parser.add_argument("--broker", help="kafka://host:port (default: the embedded one, in --dir)")
    return parser


def run_all(options: argparse.Namespace, console: Console) -> int:
    """The whole pipeline, and its totals beside pandas'."""
    trips = trips_of(options, console)
    settings = pipeline.settings_for(options.dir, options.broker)
    with marked(options.dir) as killed, onlooker(**settings).connect() as connection:
        work = rides.prepare(trips, connection)
        ledger = pipeline.run(work, connection, options.rate, console, settings)
    return report(work.trips, ledger, console, killed=killed)


def run_rides(options: argparse.Namespace, console: Console) -> int:
    """Rides alone: ends when all are produced."""
    trips = trips_of(options, console)
    with onlooker(**pipeline.settings_for(options.dir, options.broker)).connect() as connection:
        work = rides.prepare(trips, connection)
        rides.produce_zones(connection)
        produced = sum(rides.produce(work, connection, options.rate))
    console.print(f"{produced:,} rides produced to {rides.TOPIC}")
    return 0


def run_app(make: Callable[..., App], options: argparse.Namespace) -> int:
    """One of the other programs, as `streams run` would run it: until it is interrupted; ends the process."""
    make(**pipeline.settings_for(options.dir, options.broker)).main(["run"])


def run_email(options: argparse.Namespace, console: Console) -> int:
    """Email alone."""
    mailer = Mailer(console)

    def make(**settings: Any) -> App:
        app = topology.email(mailer.send, **settings)
        app.on_stop(lambda: console.print(f"{mailer.sent:,} emails sent"))
        return app

    return run_app(make, options)


def clean(options: argparse.Namespace, console: Console) -> int:
    """Forget everything."""
    found = remove(options.dir)
    console.print(f"{options.dir} removed" if found else f"nothing is stored in {options.dir}")
    return 0


def trips_of(options: argparse.Namespace, console: Console) -> Trips:
    """The trips that were asked for, or the sample, or generated ones."""
    if options.trips is None and options.seed is None and SAMPLE.is_file():
        options.trips = SAMPLE
    if options.trips is None:
        count, seed = options.count or GENERATED, options.seed or 1
        if count > MOST:
            raise TripsError(f"--count {count:,} is more than the generator makes: {MOST:,}. Give a file with --trips.")
        options.trips = options.dir / f"trips-{seed}.csv"
        ensure_trips(options.trips, count, seed)
    trips = open_trips(options.trips, options.count)
    console.print(f"{trips.count:,} trips from {trips.path.name}", highlight=False, soft_wrap=True)
    return trips


def report(trips: Trips, ledger: Ledger, console: Console, *, killed: bool) -> int:
    """Print the totals beside pandas'. Returns: the exit code."""
    try:
        from examples.taxi.check import recompute
    except ImportError:
        console.print("Install pandas to have the totals computed a second time: pip install 'headrace[pandas]'")
        return 0
    totals = recompute(trips.path, trips.count)
    verdict = judge(ledger, totals)
    console.print(summary(ledger, totals), highlight=False, soft_wrap=True)
    beside = f"pandas, from {trips.path.name}:"
    if verdict.equal:
        console.print(f"{beside} [bold green]equal[/]", highlight=False, soft_wrap=True)
        return 0
    again = "; ".join(verdict.repeated)
    if killed and not verdict.lost:
        console.print(f"{beside} nothing lost; after a kill, {again} (at least once)", highlight=False, soft_wrap=True)
        return 0
    console.print(
        f"{beside} [bold red]different[/]: {'; '.join((*verdict.lost, *verdict.repeated))}",
        highlight=False,
        soft_wrap=True,
    )
    return 1


PARTS: dict[str, Callable[[argparse.Namespace, Console], int]] = {
    "all": run_all,
    "rides": run_rides,
    "transaction": lambda options, _: run_app(topology.transaction, options),
    "email": run_email,
    "analytics": lambda options, _: run_app(topology.analytics, options),
    "clean": clean,
}


if __name__ == "__main__":
    sys.exit(main())

"""The commands about topics and groups: their real output, on the real broker (test_cli has them as processes)."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from streams import App, Record, TimeWindows
from streams.cli import main
from streams.pytest_plugin import RunningBroker

APP = """
import msgspec
from streams import App, TimeWindows

class Ride(msgspec.Struct):
    zone: int
    fare: float

app = App({name!r}, broker={broker!r}, commit_interval_ms=50)
rides = app.topic("{name}-rides", key=str, value=Ride, partitions=2)

@app.aggregate(rides, by=lambda ride: ride.zone, window=TimeWindows.of("10 s"), to="{name}-totals")
def total(total: float, ride: Ride) -> float:
    return total + ride.fare

if __name__ == "__main__":
    app.main()
"""
RIDES = '{"key": "a", "value": {"zone": 7, "fare": 2.5}, "timestamp": 12000}\n'


class Done(NamedTuple):
    """What a command came to."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Done]


@pytest.fixture
def command(
    tmp_path: Path,
    streams_broker: RunningBroker,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Command]:
    """Runs a command line to its end in this process, against the broker, in a directory of its own; `lines` is a file."""
    monkeypatch.setenv("STREAMS_BROKER", streams_broker.url)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(*arguments: str, lines: str | None = None) -> Done:
        if lines is not None:
            (tmp_path / "lines.jsonl").write_text(lines)
            arguments = (*arguments, "lines.jsonl")
        with pytest.raises(SystemExit) as end:
            main(list(arguments))
        output = capfd.readouterr()
        return Done(int(end.value.code or 0), output.out, output.err)

    yield run
    sys.modules.pop("taxi", None)


@pytest.fixture
def program(tmp_path: Path, streams_broker: RunningBroker, request: pytest.FixtureRequest) -> str:
    """The name of an application in the directory, which is that of the test."""
    name = request.node.name.removeprefix("test_").replace("[", "-").replace("]", "")
    (tmp_path / "taxi.py").write_text(APP.format(name=name, broker=streams_broker.url))
    return name


def run_through(app: App) -> None:
    """Run until everything is committed."""
    with app.running() as run:
        run.catch_up()


def totals_of(name: str, home: Path, broker: RunningBroker) -> App:
    """The same application as in the file, for this process."""
    app = App(name, broker=broker.url, commit_interval_ms=50, state_dir=str(home / ".streams" / "state"))
    rides = app.topic(f"{name}-rides", key=str, value=dict[str, float], partitions=2)

    @app.aggregate(
        rides, by=lambda ride: int(ride["zone"]), key=int, window=TimeWindows.of("10 s"), to=f"{name}-totals"
    )
    def total(total: float, ride: dict[str, float]) -> float:
        return total + ride["fare"]

    return app


def rows(done: Done) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_version(command: Command) -> None:
    """`streams --version` is the version of the distribution."""
    assert command("--version").stdout == f"headrace {version('headrace')}\n"


@pytest.mark.broker
def test_types_come_from_the_application(
    command: Command, program: str, tmp_path: Path, streams_broker: RunningBroker
) -> None:
    """The program's own commands, and `--app`, know its types; without, options tell them, or bytes are called bytes."""
    produced = subprocess.run(
        [sys.executable, "taxi.py", "produce", f"{program}-rides"], cwd=tmp_path, input=RIDES, text=True, check=True
    )
    assert produced.returncode == 0
    run_through(totals_of(program, tmp_path, streams_broker))
    expected = {"key": {"key": 7, "start_ms": 10_000, "end_ms": 20_000}, "value": 2.5}
    for known in (
        command("consume", f"{program}-totals", "--app", "taxi:app"),
        command("consume", f"{program}-totals", "--key", "windowed:int:10s", "--value", "float"),
    ):
        assert [{name: row[name] for name in expected} for row in rows(known)] == [expected]
    (unknown,) = rows(command("consume", f"{program}-totals"))
    assert unknown["value"] == {"bytes": "4004000000000000"}
    assert set(unknown["key"]) == {"bytes"}


@pytest.mark.broker
def test_consume_a_part(command: Command, streams_broker: RunningBroker) -> None:
    """Times, the last records and a count choose what is printed; headers are shown, text keys stay text."""
    app = App("parts", broker=streams_broker.url)
    words = app.topic("parts", key=str, value=str, partitions=1)
    app.write(words, [Record(str(n), word, n * 1_000, headers=(("h", b"x"),)) for n, word in enumerate("abcd")])

    def read(*options: str) -> str:
        return "".join(row["value"] for row in rows(command("consume", "parts", *options)))

    assert read("--start", "1970-01-01T00:00:02+00:00") == "cd"
    assert read("--end", "1970-01-01T00:00:01+00:00") == "a"
    assert read("--last", "3", "-n", "2") == "bc"
    (last,) = rows(command("consume", "parts", "--last", "1"))
    assert (last["key"], last["headers"]) == ("3", {"h": "x"})


@pytest.mark.broker
def test_a_broken_record_hides_no_other(command: Command, program: str) -> None:
    """A record that is not of its declared type is shown as what it is, between the others."""
    command("produce", f"{program}-rides", lines='{"key": "a", "value": "broken"}\n' + RIDES)
    values = [row["value"] for row in rows(command("consume", f"{program}-rides", "--app", "taxi:app"))]
    assert sorted(values, key=str) == [
        {"unreadable": "broken", "problem": "expected Ride as JSON: Expected `object`, got `str`"},
        {"zone": 7, "fare": 2.5},
    ]


@pytest.mark.broker
def test_what_consume_prints_produce_takes(command: Command) -> None:
    """A topic is copied by a pipe, keys and times with it."""
    command(
        "produce", "original", lines='{"key": "a", "value": [1, null], "timestamp": 5}\n{"key": "b", "value": null}\n'
    )
    printed = command("consume", "original")
    assert command("produce", "copied", lines=printed.stdout).stderr.startswith("2 records written")
    copied = rows(command("consume", "copied"))
    assert [(row["key"], row["value"]) for row in copied] == [("a", [1, None]), ("b", None)]
    assert copied[0]["timestamp"] == 5


@pytest.mark.broker
def test_headers_go_through_the_pipe(command: Command, streams_broker: RunningBroker) -> None:
    """Names that repeat, bytes that are no text and null are copied as they are, -H goes behind them; nothing else is one."""
    app = App("headers", broker=streams_broker.url)
    headers = (("a", b"1"), ("b", b"\xff\x00"), ("a", None), ("", "{ü}".encode()))
    app.topic("headed", key=str, value=dict[str, int])
    app.write("headed", [Record("k", {}, 5, headers=headers), Record("l", {}, 6, headers=headers[:2])])
    printed = command("consume", "headed")
    first, second = rows(printed)
    assert first["headers"] == [["a", "1"], ["b", {"bytes": "ff00"}], ["a", None], ["", "{ü}"]]
    assert second["headers"] == {"a": "1", "b": {"bytes": "ff00"}}
    assert command("produce", "headed-copy", "-H", "z=9", lines=printed.stdout).returncode == 0
    copied = [(each.key, each.value, each.headers) for each in app.read(app.topic("headed-copy", key=str))]
    assert copied == [("k", {}, (*headers, ("z", b"9"))), ("l", {}, (*headers[:2], ("z", b"9")))]
    for wrong in ("5", '{"a": 1}', '[["a"]]', '{"a": {"bytes": "x"}}'):
        done = command("produce", "headed-copy", lines=f'{{"value": 1, "headers": {wrong}}}\n')
        assert (done.returncode, "line 1: " in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr


@pytest.mark.broker
def test_topics_and_describe(command: Command) -> None:
    """Topics and partitions as a table, and as JSON lines."""
    command("produce", "listed", lines='{"key": "a", "value": 1}\n')
    assert {"name": "listed", "partitions": 1, "records": 1} in rows(command("topics", "--json"))
    assert "__consumer_offsets" in command("topics", "--all").stdout
    header, *_ = command("topics").stdout.splitlines()
    assert header.split() == ["name", "partitions", "records"]
    assert rows(command("describe", "listed", "--json")) == [{"partition": 0, "begin": 0, "end": 1}]
    assert command("describe", "listed").stdout == "partition  begin  end\n        0      0    1\n"
    missing = command("describe", "lsited")
    assert (missing.returncode, missing.stderr) == (
        2,
        "error: there is no topic 'lsited' on this broker; `streams topics` lists them; did you mean 'listed'?\n",
    )


@pytest.mark.broker
def test_a_topic_that_lines_make_is_told(command: Command, program: str) -> None:
    """With the one that was meant, perhaps: the broker makes it whatever its name. Nothing is told where none is made,
    and of a topic that the App reads or writes.
    """
    assert command("produce", "chosen", lines="1\n").stderr.startswith("1 record written; chosen is a new topic")
    assert command("produce", "chosen", lines="1\n2\n").stderr == "2 records written\n"
    assert command("produce", "chsoen", lines="").stderr == "0 records written\n"
    mistyped = command("produce", "chsoen", lines="1\n")
    assert mistyped.stderr == "1 record written; chsoen is a new topic; did you mean 'chosen'?\n"
    assert "lists them; did you mean" in command("consume", "choosen").stderr
    app = ("--app", "taxi:app")
    assert command("produce", f"{program}-rdies", *app, lines=RIDES).stderr.endswith(
        f"did you mean '{program}-rides'?\n"
    )
    assert command("produce", f"{program}-rides", *app, lines=RIDES).stderr == "1 record written\n"


@pytest.mark.broker
def test_lines_make_a_topic_as_it_is_declared(command: Command, program: str) -> None:
    """As the application itself does: with its partitions, not with the broker's default number of them."""
    assert command("produce", f"{program}-rides", "--app", "taxi:app", lines=RIDES * 3).returncode == 0
    assert len(rows(command("describe", f"{program}-rides", "--json"))) == 2


@pytest.mark.broker
def test_groups_and_their_lag(command: Command, program: str, tmp_path: Path, streams_broker: RunningBroker) -> None:
    """A group's lag is what came after its last commit, or all that is there before the first one."""
    app = totals_of(program, tmp_path, streams_broker)
    app.write(f"{program}-rides", [("a", {"zone": 7, "fare": 2.5})], timestamp=0)
    run_through(app)
    app.write(f"{program}-rides", [("a", {"zone": 7, "fare": 2.5})] * 3, timestamp=0)
    listed = {row["group"]: row for row in rows(command("groups", "--json"))}
    assert (listed[program]["state"], listed[program]["members"], listed[program]["lag"]) == ("Empty", 0, 3)
    by_topic = [row for row in rows(command("groups", program, "--json")) if row["topic"] == f"{program}-rides"]
    assert [(row["lag"], row["end"] - row["committed"]) for row in by_topic if row["lag"]] == [(3, 3)]
    waiting = App(f"{program}-waiting", broker=streams_broker.url, state_dir=str(tmp_path / "waiting"))
    new = waiting.topic(f"{program}-new", key=str, value=int)
    waiting.write(new, [("a", 1)] * 2)
    begun, answered = threading.Event(), threading.Event()

    @waiting.process(new, threads=1)
    def wait(_value: int) -> None:
        begun.set()
        answered.wait(30)

    with waiting.running():
        assert begun.wait(30)
        (row,) = rows(command("groups", f"{program}-waiting", "--json"))
        assert (row["topic"], row["committed"], row["lag"]) == (f"{program}-new", None, 2)
        assert command("groups", f"{program}-waiting").stdout.split()[-4:] == ["0", "-", "2", "2"]
        answered.set()
    for options in ((), ("--json",), ("--to", "earliest")):
        none = command("groups", f"{program}-wiating", *options)
        assert (none.returncode, none.stdout) == (2, "")
        assert f"on this broker; `streams groups` lists them; did you mean '{program}-waiting'?" in none.stderr


@pytest.mark.broker
def test_reset_takes_an_application_back(
    command: Command, program: str, tmp_path: Path, streams_broker: RunningBroker
) -> None:
    """Offsets, internal topics and state are gone, after a dry run that says so; then everything is counted anew."""
    app = totals_of(program, tmp_path, streams_broker)
    app.write(f"{program}-rides", [("a", {"zone": 7, "fare": 2.5})], timestamp=0)
    run_through(app)
    settings = ("--set", f"state_dir={tmp_path / '.streams' / 'state'}")
    dry = command("reset", "taxi:app", "--dry-run", *settings)
    done = command("reset", "taxi:app", *settings)
    assert dry.stdout.replace("would be: ", "") == done.stdout, dry.stderr + done.stderr
    assert f"topic {program}-total-changelog deleted" in done.stdout
    assert f"offset of {program}-rides[" in done.stdout
    assert not (tmp_path / ".streams" / "state" / program).exists()
    assert command("reset", "taxi:app", *settings).stdout == f"{program} is at its beginning: nothing to reset\n"
    run_through(totals_of(program, tmp_path, streams_broker))
    assert [record.value for record in app.read(app.topic_types(f"{program}-totals"))] == [2.5, 2.5]


@pytest.mark.broker
def test_a_reset_tells_of_what_earlier_programs_left(
    command: Command, program: str, tmp_path: Path, streams_broker: RunningBroker
) -> None:
    """A store that was renamed leaves its changelog: it is named, goes when it is named back, and no other topic does."""
    app = totals_of(program, tmp_path, streams_broker)
    app.write(f"{program}-rides", [("a", {"zone": 7, "fare": 2.5})], timestamp=0)
    run_through(app)
    old, other = f"{program}-before-changelog", f"{program}-notes"
    for topic in (old, other):
        app.write(app.topic(topic, key=str, value=str), [("a", "b")])
    done = command("reset", "taxi:app")
    assert f"topic {old} deleted" not in done.stdout
    assert f"{old}: no part of this program" in done.stderr
    assert f"--internal-topic {old}" in done.stderr
    assert other not in done.stderr
    assert command("reset", "taxi:app", "--internal-topic", old).stdout == f"topic {old} deleted\n"
    refused = command("reset", "taxi:app", "--internal-topic", other)
    assert (refused.returncode, "there is no internal topic" in refused.stderr) == (2, True)


@pytest.mark.broker
def test_a_running_application_is_not_reset(
    command: Command, program: str, tmp_path: Path, streams_broker: RunningBroker
) -> None:
    """While a worker runs, a reset touches nothing and says who it is."""
    app = totals_of(program, tmp_path, streams_broker)
    app.write(f"{program}-rides", [("a", {"zone": 7, "fare": 2.5})], timestamp=0)
    with app.running() as run:
        run.catch_up()
        done = command("reset", "taxi:app")
    assert done.returncode == 1
    assert f"error: {program} is running ({program}" in done.stderr
    assert "stop it, then reset it" in done.stderr


@pytest.mark.broker
def test_a_reset_for_programs(command: Command, program: str) -> None:
    """`--json` tells group, offsets, topics and state, of a dry run too."""
    (row,) = rows(command("reset", "taxi:app", "--dry-run", "--json"))
    assert row == {"group": program, "done": False, "offsets": [], "topics": [], "state": None, "left": []}


@pytest.mark.broker
def test_kcats_letters_of_produce(command: Command) -> None:
    """-K, -k, -p, -H and -Z, and what is wrong with them."""
    command("produce", "letters", "-K", ":", "-Z", "-H", "a=1", "-H", "b", lines="1:x\n2:\n3:y:z\n")
    read = rows(command("consume", "letters"))
    assert [(row["key"], row["value"]) for row in read] == [("1", "x"), ("2", None), ("3", "y:z")]
    assert read[0]["headers"] == {"a": "1", "b": None}
    (told,) = rows(command("produce", "letters", "-k", "7", "-p", "0", "--json", lines='"v"\n"w"\n'))
    assert told == {"topic": "letters", "written": 2}
    assert [row["key"] for row in rows(command("consume", "letters", "-o", "-2"))] == ["7", "7"]
    for options, lines, message in (
        (("-K", ":"), "a:1\nb\n", "line 2: expected a key, ':' and a value, got 'b'"),
        (("-p", "5"), "1\n", "the topic 'letters' has no partition 5: it has 0 to 0"),
        (("-Z",), "1\n", "-Z is for lines with -K"),
        ((), '{"value": 1, "timestamp": -2}\n', "line 1: expected a timestamp in ms since 1970, got -2"),
        (("-H", "=x"), "1\n", "--header =x: expected NAME=TEXT"),
    ):
        done = command("produce", "letters", *options, lines=lines)
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    assert len(rows(command("consume", "letters"))) == 5


@pytest.mark.broker
def test_blanks_of_lines_with_a_delimiter(command: Command) -> None:
    """Only the end of the line is none of its value: blanks may be key, delimiter and value, or parts of them."""
    tabs = command("produce", "blanks", "-K", "\t", "-Z", "--value", "str", lines="\ufeffann\t\n\tx\nann\t x \n\n")
    assert tabs.stderr.startswith("3 records written")
    assert [(row["key"], row["value"]) for row in rows(command("consume", "blanks", "--value", "str"))] == [
        ("ann", None),
        ("", "x"),
        ("ann", " x "),
    ]


@pytest.mark.broker
@pytest.mark.parametrize(
    ("options", "lines", "expected"),
    [
        ((), '{"key": "a", "value": {"bytes": "00ff"}}\n', b"\x00\xff"),
        ((), '{"key": "a", "value": "12"}\n', b"12"),
        (("-K", ":"), 'a:{"bytes": "00ff"}\n', b"\x00\xff"),
        (("-K", ":"), "a:12\n", b"12"),
        (("-K", ":"), 'a:{"x"}\n', b'{"x"}'),
    ],
)
def test_bytes_and_uuids_in_lines(
    command: Command,
    streams_broker: RunningBroker,
    request: pytest.FixtureRequest,
    options: tuple[str, ...],
    lines: str,
    expected: bytes,
) -> None:
    """Bytes are text or the hex that consume prints, of files with a byte order mark too; keys may be UUIDs."""
    topic = f"bytes-{request.node.callspec.indices['lines']}"
    key = "12345678-1234-5678-1234-567812345678"
    lines = "\ufeff" + lines.replace('"a"', f'"{key}"').replace("a:", f"{key}:")
    done = command("produce", topic, "--key", "uuid", "--value", "bytes", *options, lines=lines)
    assert done.returncode == 0, done.stderr
    app = App("bytes", broker=streams_broker.url)
    (record,) = app.read(app.topic(topic, key=UUID, value=bytes))
    assert (record.key, record.value) == (UUID(key), expected)
    wrong = command("produce", topic, "--key", "uuid", lines='{"key": "a", "value": 1}\n')
    assert (wrong.returncode, "line 1: " in wrong.stderr, "Traceback" in wrong.stderr) == (2, True, False)
    wrong = command("produce", topic, "--value", "bytes", lines='{"bytes": "0"}\n5\n')
    assert (wrong.returncode, "line 1: " in wrong.stderr, "Traceback" in wrong.stderr) == (2, True, False)


@pytest.mark.broker
def test_a_file_with_a_wrong_line_writes_nothing(command: Command) -> None:
    """A file is checked to its end before its first line is written."""
    done = command("produce", "checked", "--value", "int", lines="1\n" * 1500 + "x\n")
    assert (done.returncode, "line 1501: expected an int of 64 bits, got 'x'" in done.stderr) == (2, True)
    assert "checked" not in {row["name"]: row for row in rows(command("topics", "--json")) if row["records"]}


@pytest.mark.broker
def test_kcats_letters_of_consume(command: Command, streams_broker: RunningBroker) -> None:
    """-o in all its forms, -p, -c and -f; places and tokens that are none are said."""
    app = App("letters", broker=streams_broker.url)
    words = app.topic("places", key=str, value=str, partitions=2)
    with app.connect() as connection:
        for partition, letters in enumerate(("abc", "xyz")):
            records = [Record(letter, letter, 1000 * n, headers=(("h", b"1"),)) for n, letter in enumerate(letters)]
            connection.write(words, records, partition=partition)
        connection.flush()

    def read(*options: str) -> str:
        return "".join(sorted(command("consume", "places", "-f", "%s", *options).stdout))

    assert [read(*options) for options in (("-o", "beginning"), ("-o", "end"), ("-o", "2"), ("-o", "-1"))] == [
        "abcxyz",
        "",
        "cz",
        "cz",
    ]
    assert [read("-o", "s@1000"), read("-o", "e@1000"), read("-p", "1"), read("-p", "0", "-c", "2", "-e")] == [
        "bcyz",
        "ax",
        "xyz",
        "ab",
    ]
    line = command("consume", "places", "-p", "1", "-o", "2", "-f", r"%t %p %o %k %s %T %h 100%%\t\n").stdout
    assert line == "places 1 2 z z 2000 h=1 100%\t\n"
    for options, message in (
        (("-o", "middle"), "--offset: expected beginning, end, N, -N, s@MS or e@MS, got 'middle'"),
        (("-p", "2"), "the topic 'places' has no partition 2: it has 0 to 1"),
        (("-f", "%x"), "--format: expected one of %t %p %o %k %s %T %h %%, got '%x'"),
        (("-f", "%s", "-J"), "--format and --json are two ways"),
        (("-e", "--follow"), "-e leaves at the end and --follow waits there"),
    ):
        done = command("consume", "places", *options)
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr


@pytest.mark.broker
def test_a_group_is_moved(command: Command, program: str, tmp_path: Path, streams_broker: RunningBroker) -> None:
    """--to moves a group by name, number, distance or time, within what is there; a dry run only tells."""
    app = totals_of(program, tmp_path, streams_broker)
    topic = f"{program}-rides"
    app.write(topic, [Record("a", {"zone": 7, "fare": 1.0}, at) for at in (1_000, 2_000, 3_000)])
    run_through(app)

    def moved(*options: str) -> list[tuple[int, int]]:
        found = rows(command("groups", program, "--json", "--topic", topic, *options))
        return [(row["from"], row["to"]) for row in found if row["from"] or row["to"]]

    def lag() -> int:
        return sum(row["lag"] for row in rows(command("groups", program, "--json", "-t", topic)))

    assert (moved("--to", "earliest", "--dry-run"), lag()) == ([(3, 0)], 0)
    assert (moved("--to", "earliest"), lag()) == ([(3, 0)], 3)
    assert (moved("--to", "+2"), lag()) == ([(0, 2)], 1)
    assert (moved("--to", "1"), moved("--to", "1970-01-01T00:00:03+00:00"), moved("--to", "+9")) == (
        [(2, 1)],
        [(1, 2)],
        [(2, 3)],
    )
    for arguments, message in (
        ((program, "--to", "soon"), "--to: expected earliest, latest, an offset, +N, -N or a time such as"),
        ((program, "--to", "latest", "--topic", "none"), "there is no topic 'none' on this broker"),
        (("--to", "latest"), "--to and --topic are for one group"),
    ):
        done = command("groups", *arguments)
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    with app.running() as run:
        run.catch_up()
        done = command("groups", program, "--to", "earliest")
    assert (done.returncode, "has members" in done.stderr, "stop them, then move it" in done.stderr) == (1, True, True)


@pytest.mark.broker
def test_bench_measures_and_leaves_nothing(command: Command) -> None:
    """Rows for writing and reading, and no topic afterwards."""
    found = rows(command("bench", "--records", "2500", "--size", "10", "--json"))
    assert [(row["what"], row["records"]) for row in found] == [("write", 2500), ("read", 2500)]
    assert all(row["records/s"] > 0 for row in found)
    assert not [row for row in rows(command("topics", "--json")) if row["name"].startswith("streams-bench")]

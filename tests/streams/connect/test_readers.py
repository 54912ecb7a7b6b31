"""Files as sources: what fits becomes records, what does not is a sentence with its place, and nothing is written."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from streams import App, ConfigError, Connection, read_csv, read_jsonl, read_parquet
from streams.clients.memory import MemoryBroker, MemoryClients
from streams.connect import open_source, parse_inputs

AT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
AT_MS = 1_767_323_045_678


class Ride(msgspec.Struct):
    id: int
    fare: float
    at: int = 0
    zone: str | None = None


@dataclass
class Named:
    value: int
    key: str


@pytest.fixture
def connection() -> Connection:
    app = App("taxi")
    app.topic("rides", key=str, value=Ride, partitions=2)
    app.topic("named", key=str, value=Named, partitions=1)
    app.topic("numbers", key=int, value=float, partitions=1)
    app.topic("timed", key=str, value=Ride, timestamp=lambda ride: ride.at, partitions=1)
    app.topic("any", partitions=1)
    found = Connection(MemoryClients(MemoryBroker()), app.config, app._topics)
    found.create(app._new_topics.values())
    return found


def table(path: Path, **columns: Any) -> Path:
    parquet.write_table(pa.table(columns), path)
    return path


def saved(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def written(connection: Connection, topic: str) -> list[tuple[Any, Any, int]]:
    return sorted(((each.key, each.value, each.timestamp) for each in connection.read(topic)), key=repr)


def test_parquet_rows_are_values(connection: Connection, tmp_path: Path) -> None:
    """Columns fit fields by name, times fit whole numbers as ms, other columns are left where they are."""
    path = table(tmp_path / "r.parquet", id=[1, 2], fare=[2.5, 3.0], at=[AT, AT], zone=["a", None], noise=[0, 0])
    assert connection.write("rides", read_parquet(path), key="id", timestamp="at") == 2
    assert written(connection, "rides") == [
        ("1", Ride(1, 2.5, AT_MS, "a"), AT_MS),
        ("2", Ride(2, 3.0, AT_MS), AT_MS),
    ]


class Timed(msgspec.Struct):
    at: datetime
    ms: int
    took: timedelta
    clock: time
    stops: list[datetime | None]
    inner: dict[str, datetime]


@pytest.mark.filterwarnings("error")
def test_nanoseconds_of_parquet_are_times(tmp_path: Path) -> None:
    """What pandas writes by itself: times in nanoseconds, of which Python has the microseconds, wherever they are."""
    zoned, naive = pa.timestamp("ns", "UTC"), pa.timestamp("ns")
    at = (AT_MS * 1_000 + 5) * 1_000 + 999
    path = table(
        tmp_path / "t.parquet",
        at=pa.array([at], zoned),
        ms=pa.array([at], naive),
        took=pa.array([1_000_000_999], pa.duration("ns")),
        clock=pa.array([5_999], pa.time64("ns")),
        stops=pa.array([[at, None]], pa.list_(zoned)),
        inner=pa.array([{"a": at}], pa.struct([("a", zoned)])),
    )
    topic = App("taxi").topic("t", key=str, value=Timed)
    exact = AT + timedelta(microseconds=5)
    (record,) = read_parquet(path).records(topic, timestamp="at")
    assert record.value == Timed(exact, AT_MS, timedelta(seconds=1), time(0, 0, 0, 5), [exact, None], {"a": exact})
    assert type(record.value.at) is datetime
    assert record.timestamp == AT_MS


def test_binary_keys_of_parquet_are_text(connection: Connection, tmp_path: Path) -> None:
    """A column that does not say that it is text is UTF-8 where keys are text, or is refused."""
    path = table(
        tmp_path / "r.parquet", key=pa.array([b"ann", "zoë".encode()], pa.binary()), id=[1, 2], fare=[1.0, 2.0]
    )
    connection.write("rides", read_parquet(path))
    assert [key for key, _, _ in written(connection, "rides")] == ["ann", "zoë"]
    table(path, key=pa.array([b"ann", b"\xff"], pa.binary()), id=[1, 2], fare=[1.0, 2.0])
    with pytest.raises(ConfigError, match="row 2: 'utf-8' codec can't decode byte 0xff"):
        connection.write("rides", read_parquet(path))


def test_csv_cells_become_what_the_type_says(connection: Connection, tmp_path: Path) -> None:
    """Numbers are read out of text, times for whole numbers too, an empty cell is the default or null, and columns key and timestamp are the record's."""
    text = 'key,id,fare,at,zone,timestamp\r\na,1,2.5,,,7\r\nb,2,3,2026-01-02T03:04:05.678Z,"x, y",2026-01-02T03:04:05.678Z\r\n'
    connection.write("rides", read_csv(saved(tmp_path / "r.csv", text)))
    assert written(connection, "rides") == [("a", Ride(1, 2.5, 0, ""), 7), ("b", Ride(2, 3.0, AT_MS, "x, y"), AT_MS)]


def test_json_lines_are_values_or_records(connection: Connection, tmp_path: Path) -> None:
    """What `streams consume` prints can be read again; a line that is no such record is the value."""
    text = '{"topic":"rides","partition":0,"offset":3,"timestamp":9,"key":"k","value":{"id":1,"fare":2}}\n{"id":2,"fare":3}\n\n'
    connection.write("rides", read_jsonl(saved(tmp_path / "r.jsonl", text)), timestamp=None)
    assert [(key, value) for key, value, _ in written(connection, "rides")] == [
        ("k", Ride(1, 2.0)),
        (None, Ride(2, 3.0)),
    ]


def test_json_lines_printed_without_a_time(connection: Connection, tmp_path: Path) -> None:
    """A record that a foreign producer wrote without a time is printed with Kafka's -1, and is written at the present."""
    connection.write("any", read_jsonl(saved(tmp_path / "r.jsonl", '{"value":{"id":1},"timestamp":-1}\n')))
    assert [record.timestamp > AT_MS - 10**12 for record in connection.read("any")] == [True]


def test_json_lines_keep_headers(connection: Connection, tmp_path: Path) -> None:
    """Both of the forms that `streams consume` prints; what is neither is said with its line."""
    record = '{"value":{"id":1,"fare":2},"headers":%s}\n'
    text = record % '{"a":"1","b":{"bytes":"ff"},"c":null}' + record % '[["a","1"],["a","2"]]' + record % "null"
    connection.write("any", read_jsonl(saved(tmp_path / "r.jsonl", text)))
    assert [each.headers for each in connection.read("any")] == [
        (("a", b"1"), ("b", b"\xff"), ("c", None)),
        (("a", b"1"), ("a", b"2")),
        (),
    ]
    with pytest.raises(ConfigError, match=r"r\.jsonl, line 1: expected headers as .* got \{'a': 1\}; nothing was"):
        connection.write("any", read_jsonl(saved(tmp_path / "r.jsonl", record % '{"a":1}')))


def test_fields_of_the_type_come_before_meanings(connection: Connection, tmp_path: Path) -> None:
    """Where the type has fields called key and value, the columns are those."""
    connection.write("named", read_csv(saved(tmp_path / "n.csv", "value,key\n1,x\n")), key="key")
    connection.write("named", read_jsonl(saved(tmp_path / "n.jsonl", '{"value": 2, "key": "y"}\n')))
    found = {key: value for key, value, _ in written(connection, "named")}
    assert found == {"x": Named(1, "x"), None: Named(2, "y")}


def test_plain_values_and_times_of_the_topic(connection: Connection, tmp_path: Path) -> None:
    """The column `value`, or the only one, is a value that is no record; a topic's own timestamp= finds times of rows."""
    connection.write("numbers", read_csv(saved(tmp_path / "n.tsv", "key\tvalue\ttimestamp\n7\t2.5\t1\n")))
    connection.write("numbers", read_csv(saved(tmp_path / "n.csv", "timestamp,fare\n2,1.5\n")))
    assert written(connection, "numbers") == [(7, 2.5, 1), (None, 1.5, 2)]
    with pytest.raises(ConfigError, match="n.csv has the columns fare, tip, and the topic carries float: call the one"):
        connection.write("numbers", read_csv(saved(tmp_path / "n.csv", "fare,tip\n1.5,2\n")))
    connection.write("timed", read_jsonl(saved(tmp_path / "t.jsonl", '{"id":1,"fare":2,"at":99}\n')))
    assert [time for _, _, time in written(connection, "timed")] == [99]


def test_packed_and_untyped(connection: Connection, tmp_path: Path) -> None:
    """Text may be gzipped; a topic without types takes rows as dicts."""
    path = tmp_path / "r.csv.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbfa,b\n1,x\n"))
    connection.write("any", open_source(path), timestamp=None)
    assert [value for _, value, _ in written(connection, "any")] == [{"a": "1", "b": "x"}]


class Priced(msgspec.Struct):
    price: Decimal


def test_json_lines_keep_all_digits(tmp_path: Path) -> None:
    """A Decimal is what the line says, of a value alone and of a record."""
    topic = App("digits").topic("prices", value=Priced)
    price = '{"price":1234567890123456.123}'
    source = read_jsonl(saved(tmp_path / "p.jsonl", f'{price}\n{{"key":null,"value":{price}}}\n'))
    assert [each.value.price for each in source.records(topic)] == [Decimal("1234567890123456.123")] * 2


def test_a_long_cell_is_a_cell(connection: Connection, tmp_path: Path) -> None:
    """Text may be longer than Python's csv takes by itself; a field of a packed file too, however its name is written."""
    zone = "x" * 200_000
    (tmp_path / "R.CSV.GZ").write_bytes(gzip.compress(f"id,fare,zone\n1,2.5,{zone}\n".encode()))
    connection.write("rides", open_source(tmp_path / "R.CSV.GZ"))
    assert [value.zone for _, value, _ in written(connection, "rides")] == [zone]


CSV = "id,fare\n1,2.5\n"
WRONG = {
    "a missing column": (
        "r.csv",
        "id,fair\n1,2\n",
        "no column 'fare', which Ride needs; it has id, fair; did you mean",
    ),
    "cut in a row": (
        "r.csv",
        CSV + "2",
        "r.csv, line 3: it has 1 cell where the header names 2 columns: the file may be",
    ),
    "cut in a quote": ("r.csv", CSV + '2,"3', "r.csv, line 3: unexpected end of data: the file may be cut there"),
    "a wrong number": ("r.csv", CSV + "2,x\n", "r.csv, line 3: Expected `float`, got `str` - at `$.fare`; nothing was"),
    "an empty file": ("r.csv", "", "r.csv is empty: expected a first line with the names of the columns"),
    "no rows": ("r.csv", "id,fare\n", "r.csv holds no rows: nothing was written"),
    "two columns of a name": ("r.csv", "id,fare,id\n1,2,3\n", "has several columns called 'id'"),
    "an empty number": ("r.csv", CSV + ",3\n", "r.csv, line 3: Expected `int`, got `null` - at `$.id`"),
    "no text": ("r.csv", b"id,fare\n\xff,1\n", "r.csv, after line"),
    "a cut line of JSON": ("r.jsonl", '{"id":1,"fare":2}\n{"id":2,"fa', "r.jsonl, line 2: it is not JSON"),
    "a wrong type in JSON": ("r.jsonl", '{"id":1,"fare":"x"}\n', "r.jsonl, line 1: Expected `float`, got `str`"),
    "an empty file of lines": ("r.jsonl", "\n", "r.jsonl holds no rows"),
    "a time before 1970": (
        "r.csv",
        "id,fare,timestamp\n1,2.5,0\n2,3,1969-07-20T20:17:00\n",
        "r.csv, line 3: column timestamp: expected a time since 1970, got '1969-07-20T20:17:00'; nothing was written",
    ),
    "a time of -1": (
        "r.csv",
        "id,fare,timestamp\n1,2.5,-1\n",
        "column timestamp: expected a time since 1970, got '-1'",
    ),
    "a time before 1970 in JSON": (
        "r.jsonl",
        '{"value":{"id":1,"fare":2},"timestamp":-2}\n',
        "r.jsonl, line 1: column timestamp: expected a time since 1970, got -2",
    ),
    "no Parquet": ("r.parquet", "PAR1", "r.parquet is no Parquet file, or is cut"),
    "packed and damaged": ("r.csv.gz", gzip.compress(CSV.encode())[:10] + b"\xff" * 40, "r.csv.gz, after line"),
    "lines packed and damaged": (
        "r.jsonl.gz",
        gzip.compress(CSV.encode())[:10] + b"\xff" * 40,
        "r.jsonl.gz, after line",
    ),
    "packed and cut": ("r.csv.gz", gzip.compress((CSV + "1,2\n" * 99_999).encode())[:-20], "r.csv.gz, after line"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit(connection: Connection, tmp_path: Path, name: str) -> None:
    """Each is a sentence with file, place and cure, and the topic stays empty, also where rows before were right."""
    file, content, message = WRONG[name]
    path = tmp_path / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        connection.write("rides", open_source(path))
    assert message in str(caught.value)
    assert written(connection, "rides") == []


def test_a_cut_parquet_file(connection: Connection, tmp_path: Path) -> None:
    """A file that lost its end, and one with other columns or nulls where none may be, name file and row."""
    path = table(tmp_path / "r.parquet", id=list(range(1000)), fare=[1.0] * 1000)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ConfigError, match="is no Parquet file, or is cut"):
        connection.write("rides", read_parquet(path))
    table(path, id=[1, None], fare=[1.0, 2.0])
    with pytest.raises(ConfigError, match="row 2: Expected `int`, got `null`"):
        connection.write("rides", read_parquet(path))
    table(path, number=[1], fare=[1.0])
    with pytest.raises(ConfigError, match="no column 'id', which Ride needs; it has number, fare"):
        connection.write("rides", read_parquet(path))
    assert written(connection, "rides") == []


def test_named_columns_must_be_there(connection: Connection, tmp_path: Path) -> None:
    """A key or time that no column has, or that is no time, is said."""
    path = saved(tmp_path / "r.csv", CSV)
    with pytest.raises(ConfigError, match="no column 'ident' to be the key; it has id, fare"):
        connection.write("rides", read_csv(path), key="ident")
    saved(path, "id,fare,zone\n1,2,soon\n")
    with pytest.raises(ConfigError, match="line 2: column zone: expected a time such as .* got 'soon'"):
        connection.write("rides", read_csv(path), timestamp="zone")
    saved(path.with_suffix(".jsonl"), '{"id":1,"fare":2,"at":-1}\n')
    with pytest.raises(ConfigError, match="line 1: column at: expected a time since 1970, got -1"):
        connection.write("rides", read_jsonl(path.with_suffix(".jsonl")), timestamp="at")
    with pytest.raises(ConfigError, match="line 1: the topic's timestamp=: expected a time since 1970, got -1"):
        connection.write("timed", read_jsonl(path.with_suffix(".jsonl")))
    with pytest.raises(ConfigError, match=r"key= names a column of .*r.csv, got <function"):
        connection.write("rides", read_csv(path), key=lambda ride: ride.id)
    with pytest.raises(ConfigError, match="there is no file"):
        read_csv(tmp_path / "none.csv")


def test_a_last_line_without_its_end(connection: Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It may be whole, so it is written; it may be cut, so it is warned of."""
    assert connection.write("rides", read_csv(saved(tmp_path / "r.csv", CSV + "2,3"))) == 2
    assert "does not end with a line break: its last row may be cut" in caplog.text


@pytest.mark.parametrize(
    ("inputs", "keys", "message"),
    [
        (["rides"], [], "--input rides: expected TOPIC=FILE"),
        (["rides=r.xlsx"], [], "r.xlsx: expected a file that ends in .parquet"),
        (["rides=r.csv"], [], "there is no file r.csv"),
        ([], ["rides=id"], "--input-key rides=...: there is no --input for rides"),
        (["a=r.csv", "a=s.csv"], [], "a was given r.csv already"),
    ],
)
def test_inputs_of_a_command_line(inputs: list[str], keys: list[str], message: str) -> None:
    """What cannot be an input is said before anything is read."""
    with pytest.raises(ConfigError) as caught:
        parse_inputs(inputs, keys, [])
    assert message in str(caught.value)


class Booking(msgspec.Struct):
    day: date
    seats: int | None = None


def test_files_that_pandas_wrote(connection: Connection, tmp_path: Path) -> None:
    """A column of days is of times at midnight there, and whole numbers beside nulls are floats, "2.0" in CSV."""
    topic = App("taxi").topic("bookings", key=date, value=Booking)
    frame = pd.DataFrame({"day": pd.to_datetime(["2026-01-02", "2026-01-03"]), "seats": [2.0, None]})
    frame.to_parquet(tmp_path / "b.parquet")
    frame.to_csv(tmp_path / "b.csv", index=False)
    expected = [(each.day, each) for each in (Booking(date(2026, 1, 2), 2), Booking(date(2026, 1, 3), None))]
    for source in (read_parquet(tmp_path / "b.parquet"), read_csv(tmp_path / "b.csv")):
        assert [(each.key, each.value) for each in source.records(topic, key="day", timestamp=None)] == expected
    for path in (saved(tmp_path / "half.csv", "day,seats\n2026-01-02,0.5\n"), tmp_path / "half.parquet"):
        frame.assign(seats=0.5).to_parquet(tmp_path / "half.parquet")
        source = read_csv(path) if path.suffix == ".csv" else read_parquet(path)
        with pytest.raises(ConfigError, match="Expected `int"):
            list(source.records(topic, key="day", timestamp=None))
    saved(tmp_path / "n.csv", "zone,fare\n7,2.5\n")
    assert connection.write("numbers", read_csv(tmp_path / "n.csv"), key="zone") == 1
    assert [(each.key, each.value) for each in connection.read("numbers")] == [(7, 2.5)]

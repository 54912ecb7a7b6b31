"""Codecs of one's own, schemas, and the names that Faust's programs import from its modules."""

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streams.compat import faust
from streams.compat.faust.serializers import codecs
from streams.compat.faust.types import TP, AgentT, AppT, EventT, ProcessingGuarantee, StreamT, TableT, TopicT
from streams.testing import TopologyTestDriver


class Shouted(codecs.Codec):
    """Text in capital letters, with a mark behind it."""

    def __init__(self, mark: str = "!", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mark = mark

    def _dumps(self, s: Any) -> bytes:
        return f"{s.upper()}{self.mark}".encode()

    def _loads(self, s: bytes) -> str:
        return s.decode().removesuffix(self.mark).lower()


class Sighed(Shouted):
    """One that does not say so to its base, as some do."""

    def __init__(self) -> None:
        self.mark = "..."


codecs.register("shouted", Shouted("!!"))


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("shouted", b"HI!!"),
        (Shouted(), b"HI!"),
        (Sighed(), b"HI..."),
        (Shouted() | codecs.get_codec("binary"), b"SEkh"),
        ("shouted|binary", b"SEkhIQ=="),
    ],
    ids=str,
)
def test_a_codec_of_ones_own(form: Any, written: bytes) -> None:
    """By name or itself, alone or before another one: what it wrote it reads."""
    app = faust.App("app", broker="kafka://unused:9092", topic_partitions=1)
    words, seen = app.topic("words", value_serializer=form), []

    @app.agent(app.topic("starts"))
    async def begin(stream: Any) -> None:
        async for word in stream:
            await words.send(value=word)

    @app.agent(words)
    async def read(stream: Any) -> None:
        async for word in stream:
            seen.append(word)  # noqa: PERF401  the stream never ends

    with TopologyTestDriver(app) as driver:
        driver.input("starts").send(None, "hi")
        assert driver.output("words", value=bytes).read_values() == [written]
    assert seen == ["hi"]


@pytest.mark.parametrize("form", ["json|binary", "raw|binary", "raw|binary|binary"])
def test_chains_are_fausts_to_the_byte(form: str) -> None:
    """Several names in one, each applied to what the one before wrote."""
    theirs = pytest.importorskip("faust.serializers.codecs")
    value = b"raw" if form.startswith("raw") else {"a": [1, "é"]}
    data = codecs.dumps(form, value)
    assert data == theirs.dumps(form, value)
    assert codecs.loads(form, data) == theirs.loads(form, data) == value


def test_a_codec_of_faust_itself_serves() -> None:
    """Packages that bring codecs have made them with Faust's own class."""
    theirs = pytest.importorskip("faust.serializers.codecs")
    topic = faust.App("app", broker="kafka://unused:9092").topic("a", value_serializer=theirs.get_codec("binary"))
    assert topic.value_serde.serialize("hi") == b"aGk="


PROGRAM = """
from streams.compat import faust

app = faust.App("app")
assert app.topic("a", value_serializer="sung").value_serde.serialize("hi") == b"la hi"
assert app.topic("a", key_serializer="sung").key_serde.deserialize(b"la hi") == "hi"
"""

EXTENSION = """
from streams.compat.faust.serializers import codecs


class Sung(codecs.Codec):
    def _dumps(self, s):
        return b"la " + s.encode()

    def _loads(self, s):
        return s[3:].decode()


def sung():
    return Sung()
"""


def test_codecs_of_installed_packages_are_found(tmp_path: Path) -> None:
    """They are named by an entry point, as for Faust."""
    (tmp_path / "songs.py").write_text(EXTENSION)
    (tmp_path / "songs-1.dist-info").mkdir()
    (tmp_path / "songs-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: songs\nVersion: 1\n")
    (tmp_path / "songs-1.dist-info" / "entry_points.txt").write_text("[faust.codecs]\nsung = songs:sung\n")
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("wrong", [3, "sung", "json|sung", b"json"], ids=repr)
def test_what_is_no_codec_is_told(wrong: Any) -> None:
    """At the topic, with the names that there are."""
    with pytest.raises(faust.ImproperlyConfigured, match="expected one of the serializers raw, json, pickle"):
        faust.App("app").topic("a", value_serializer=wrong)


def test_a_codec_that_is_none_is_not_registered() -> None:
    """One function is half a codec."""
    with pytest.raises(faust.ImproperlyConfigured, match="expected a Codec or two functions"):
        codecs.register("half", str.encode)


class Ride(faust.Record):
    vendor: str


def test_a_schema_says_what_topics_and_tables_hold() -> None:
    """Topics, agents' own topics, channels and tables take it; what they say for themselves stands over it."""
    schema = faust.Schema(key_type=str, value_type=Ride, key_serializer="json", value_serializer="json")
    app = faust.App("app", broker="kafka://unused:9092", topic_partitions=1)
    rides = app.topic("rides", schema=schema)
    assert (rides.key_type, rides.value_type, rides.key_serializer) == (str, Ride, "json")
    texts = app.topic("texts", schema=schema, value_type=str, value_serializer="raw")
    assert (texts.key_type, texts.value_type, texts.value_serializer) == (str, str, "raw")
    assert app.channel(schema=schema).value_type is Ride
    latest, seen = app.Table("latest", schema=schema), []

    @app.agent(schema=schema, name="keep")
    async def keep(stream: Any) -> None:
        async for key, ride in stream.items():
            seen.append((key, latest.get(key), ride))
            latest[key] = ride

    with TopologyTestDriver(app) as driver:
        for vendor in "ab":
            driver.input("app-keep").send(b'"k"', {"vendor": vendor})
    assert seen == [("k", None, Ride("a")), ("k", Ride("a"), Ride("b"))]


def test_a_schema_with_ways_of_its_own_is_told() -> None:
    """One that decodes by itself would not be asked."""

    class Own(faust.Schema):
        def loads_value(self, *_: Any) -> Any:
            return None

    with pytest.raises(faust.NotHere, match="Own.*loads_value"):
        Own()


def test_names_for_annotations() -> None:
    """They are where Faust has them, and take parameters."""

    def agent(stream: StreamT[Ride], event: EventT[Ride], agent: AgentT[Ride], topic: TopicT, app: AppT) -> TableT:
        raise NotImplementedError

    assert agent.__annotations__["stream"] == StreamT[Ride]
    app = faust.App("app", processing_guarantee=ProcessingGuarantee.EXACTLY_ONCE)
    assert app.config.processing_guarantee == "exactly_once_v2"
    sasl = faust.SASLCredentials(username="a", password="b", mechanism=faust.types.auth.SASLMechanism.SCRAM_SHA_256)
    assert sasl.mechanism == "SCRAM-SHA-256"
    with pytest.raises(faust.NotHere, match=r"faust\.types\.SensorT"):
        faust.types.SensorT  # noqa: B018


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("livecheck", "faust.livecheck of Faust is not in .*TopologyTestDriver"),
        ("web.views", "faust.web of Faust is not in .*serve tables from a thread"),
        ("utils", "faust.utils of Faust is not in .*run this application on Faust itself"),
    ],
)
def test_modules_that_are_not_here_say_so(module: str, message: str) -> None:
    """They are no modules, for programs that can do without; and say what to do instead, for those that cannot."""
    with pytest.raises(ModuleNotFoundError, match=message):
        importlib.import_module(f"streams.compat.faust.{module}")
    with pytest.raises(ImportError, match=message.partition(" of Faust")[0].removesuffix(".views")):
        exec(f"from streams.compat.faust import {module.partition('.')[0]}")
    assert importlib.import_module("streams.compat.faust.exceptions").ValidationError is faust.ValidationError
    assert importlib.util.find_spec("streams.compat.nothing") is None


def test_a_record_says_where_it_lay() -> None:
    """`event.message.tp` is topic and partition."""
    app = faust.App("app", broker="kafka://unused:9092", topic_partitions=1)
    seen: list[Any] = []

    @app.agent(app.topic("rides"))
    async def read(stream: Any) -> None:
        async for event in stream.events():
            seen.append(event.message.tp)  # noqa: PERF401  the stream never ends

    with TopologyTestDriver(app) as driver:
        driver.input("rides").send(None, 1)
    assert seen == [TP("rides", 0)]

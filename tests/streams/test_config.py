"""Settings: their sources, their order, and what is said when one is wrong."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from streams.config import SETTINGS, StreamsConfig
from streams.errors import ConfigError
from streams.kafka_names import INSTEAD, instead_of
from streams.on_error import CONTINUE, FAIL
from streams.settings import assignments
from streams.settings_page import markdown


def config(environment: dict[str, str] | None = None, command_line: dict[str, str] | None = None, **settings: object):
    return StreamsConfig.of("taxi", settings, environment=environment or {}, command_line=command_line)


def test_defaults_are_kafka_streams() -> None:
    """Without settings, Kafka Streams' defaults hold."""
    made = config()
    assert (made.commit_interval_ms, made.processing_guarantee, made.max_task_idle_ms) == (30_000, "at_least_once", 0)
    assert (made.session_timeout_ms, made.auto_offset_reset, made.statestore_cache_max_bytes) == (
        45_000,
        "earliest",
        10 * 1024**2,
    )


def test_exactly_once_commits_often() -> None:
    """The default commit interval follows the guarantee, a given one does not."""
    assert config(processing_guarantee="exactly_once_v2").commit_interval_ms == 100
    assert config(processing_guarantee="exactly_once_v2", commit_interval_ms=7).commit_interval_ms == 7


def test_exactly_once_reads_what_is_committed() -> None:
    """Kafka Streams ignores another isolation level then, with a warning; at least once, it is the user's to say."""
    assert not config().read_committed
    assert config(isolation_level="read_committed").read_committed
    assert config(processing_guarantee="exactly_once_v2").isolation_level == "read_committed"
    assert config(processing_guarantee="exactly_once_v2", isolation_level="read_committed").read_committed
    assert not config(processing_guarantee="exactly_once_v2", isolation_level="read_committed").notices
    made = config(processing_guarantee="exactly_once_v2", isolation_level="read_uncommitted")
    assert made.read_committed
    assert made.notices[0].startswith("isolation_level=read_uncommitted is ignored")


def test_sources_in_order() -> None:
    """The command line wins over the environment, which wins over keyword arguments."""
    environment = {"STREAMS_LINGER_MS": "2", "STREAMS_POLL_MS": "2", "OTHER_POLL_MS": "9"}
    made = config(environment, {"linger_ms": "3"}, linger_ms=1, poll_ms=1, max_poll_records=1)
    assert (made.linger_ms, made.poll_ms, made.max_poll_records) == (3, 2, 1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("10 s", 10_000), ("250", 250), (timedelta(minutes=1), 60_000), (5, 5), ("1.5 minutes", 90_000)],
)
def test_durations(value: object, expected: int) -> None:
    """A duration may be a text with a unit, a timedelta, or milliseconds as number or text."""
    assert config(commit_interval_ms=value).commit_interval_ms == expected


@pytest.mark.parametrize(("value", "expected"), [("64 MiB", 64 * 1024**2), ("1kb", 1024), ("17", 17), (0, 0)])
def test_sizes(value: object, expected: int) -> None:
    """A size may carry a unit."""
    assert config(statestore_cache_max_bytes=value).statestore_cache_max_bytes == expected


def test_state_lives_beside_the_embedded_broker() -> None:
    """The state directory follows embedded://DIR unless it is given."""
    assert config(broker="embedded://data").state_dir == "data/state"
    assert config(broker="kafka://host").state_dir == ".streams/state"
    assert config(broker="embedded://data", state_dir="elsewhere").state_dir == "elsewhere"


def test_broker_addresses() -> None:
    """The port of a kafka:// address defaults to 9092, and several are kept."""
    assert config(broker="kafka://one,two:9093").bootstrap_servers == "one:9092,two:9093"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("topic_settings", "retention.ms", "topic_settings: expected name=value, .*, got 'retention.ms'"),
        ("client_tags", "zone", "client_tags: expected name=value, .*, got 'zone'"),
        ("client_tags", "zone=a,=b", "client_tags: expected name=value, .*, got '=b'"),
        ("processor_wrapper", 3, "processor_wrapper: expected a function, given in Python, got 3"),
        ("rocksdb_config_setter", "foo", "rocksdb_config_setter: expected a function, given in Python, got 'foo'"),
        ("default_timestamp_extractor", "foo", "default_timestamp_extractor: expected a function, .* got 'foo'"),
    ],
)
def test_what_no_setting_takes_is_refused_at_once(name: str, value: object, says: str) -> None:
    """Pairs without "=", and what cannot be called, do not wait for the first record."""
    with pytest.raises(ConfigError, match=says):
        config(**{name: value})


@pytest.mark.parametrize("name", [5, None, ""])
def test_an_application_has_a_name(name: object) -> None:
    """Text that may be part of a topic's name."""
    with pytest.raises(ConfigError, match="the name of an application"):
        StreamsConfig.of(name, environment={})  # type: ignore[arg-type]


def test_numbers_of_numpy_are_numbers() -> None:
    """Of every kind of setting that has one."""
    made = config(
        max_poll_records=np.int64(7), commit_interval_ms=np.timedelta64(2, "s"), statestore_cache_max_bytes=np.int32(9)
    )
    assert (made.max_poll_records, made.commit_interval_ms, made.statestore_cache_max_bytes) == (7, 2_000, 9)


@pytest.mark.parametrize(("given", "named"), [(str, "str"), (UUID, "uuid"), (object, "json"), ("int", "int")])
def test_a_default_type_by_name_or_itself(given: object, named: str) -> None:
    """As `key=` takes it; one that is none of those with names is refused."""
    assert config(default_key_serde=given, default_value_serde=given).default_key_serde == named
    with pytest.raises(ConfigError, match="default_key_serde: expected one of json, str, bytes, .*, got 'path'"):
        config(default_key_serde=Path)


def test_one_handler_for_all_kinds() -> None:
    """on_error holds for every kind of failure unless one of them is set."""
    made = config(on_error="continue", production_on_error="fail")
    assert (made.deserialization_on_error, made.processing_on_error) == (CONTINUE, CONTINUE)
    assert made.production_on_error == FAIL


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"comit_interval_ms": 5}, "there is no setting comit_interval_ms; did you mean 'commit_interval_ms'?"),
        ({"commit_interval_ms": "often"}, "commit_interval_ms: duration: expected a number and a unit"),
        ({"commit_interval_ms": 0}, "commit_interval_ms: expected at least 1, got 0"),
        ({"processing_guarantee": "exactly_once"}, "did you mean 'exactly_once_v2'?"),
        ({"max_poll_records": True}, "max_poll_records: expected a whole number, got True"),
        ({"broker": "localhost:9092"}, "broker: expected kafka://host:port or embedded://DIR"),
        ({"broker": "kafka://host:port"}, "broker: expected kafka://host:port, got 'host:port'"),
        (
            {"processing_guarantee": "exactly_once_v2", "commit_interval_ms": "1 minute"},
            r"transaction_timeout_ms \(10,000\) must not be below commit_interval_ms \(60,000\)",
        ),
    ],
)
def test_wrong_settings_say_so(settings: dict[str, object], message: str) -> None:
    """Unknown names, wrong types and values out of range are one clear sentence each."""
    with pytest.raises(ConfigError, match=message):
        config(**settings)


def test_command_line_is_named_in_errors() -> None:
    """An error tells from which source the value came."""
    with pytest.raises(ConfigError, match="--set poll_ms: duration: expected"):
        config(command_line={"poll_ms": "x"})
    with pytest.raises(ConfigError, match="STREAMS_POLL_MS: duration: expected"):
        config({"STREAMS_POLL_MS": "x"})


def test_unknown_environment_variable_only_warns(caplog: pytest.LogCaptureFixture) -> None:
    """Other programs may use the prefix: an unknown variable is logged, with what it may have meant.

    Once, when the settings are used, however often they were made: a log of the program's own is set up by then.
    """
    made = [config({"STREAMS_LINGERMS": "5"}, command_line=given) for given in (None, {"poll_ms": "5"})]
    assert not caplog.records
    for each in (*made, made[0].changed({"poll_ms": 6})):
        each.tell()
    assert [each.getMessage() for each in caplog.records] == [
        "the environment variable STREAMS_LINGERMS is no setting; did you mean 'linger_ms'?"
    ]


@pytest.mark.parametrize("name", ["", "a b", "käse", "x" * 201])
def test_application_id_is_checked(name: str) -> None:
    """The name becomes part of topic names, so Kafka's rules for those hold."""
    with pytest.raises(ConfigError, match="the name of an application"):
        StreamsConfig.of(name, environment={})


def test_assignments_take_kafka_dots() -> None:
    """`--set commit.interval.ms=5` is the same as with underscores; a missing value is an error."""
    assert assignments(["commit.interval.ms=5", "a=b=c"]) == {"commit_interval_ms": "5", "a": "b=c"}
    with pytest.raises(ConfigError, match="expected name=value"):
        assignments(["commit_interval_ms"])


def test_every_setting_is_documented() -> None:
    """Each row of the table says in a sentence what it is."""
    assert all(setting.doc.endswith(".") for setting in SETTINGS.values())


def test_the_documentation_is_up_to_date() -> None:
    """docs/configuration.md is what `python -m streams.settings_page` prints."""
    page = Path(__file__).parents[2] / "docs" / "configuration.md"
    assert page.read_text() == markdown(), "run: python -m streams.settings_page > docs/configuration.md"


OF_KAFKA_STREAMS = """
acceptable.recovery.lag allow.os.group.write.access application.id application.server bootstrap.servers
buffered.records.per.partition built.in.metrics.version cache.max.bytes.buffering client.id commit.interval.ms
connections.max.idle.ms default.client.supplier default.deserialization.exception.handler deserialization.exception.handler
default.production.exception.handler production.exception.handler default.dsl.store dsl.store.suppliers.class
dsl.store.format default.key.serde default.value.serde default.timestamp.extractor enable.metrics.push
ensure.explicit.internal.resource.naming group.protocol errors.dead.letter.queue.topic.name log.summary.interval.ms
max.task.idle.ms max.warmup.replicas metadata.max.age.ms metrics.num.samples metrics.recording.level metric.reporters
metrics.sample.window.ms num.standby.replicas num.stream.threads poll.ms probing.rebalance.interval.ms
processing.exception.handler processing.guarantee processor.wrapper.class repartition.purge.interval.ms
receive.buffer.bytes rack.aware.assignment.non_overlap_cost rack.aware.assignment.strategy rack.aware.assignment.tags
rack.aware.assignment.traffic_cost reconnect.backoff.ms reconnect.backoff.max.ms replication.factor request.timeout.ms
retry.backoff.ms rocksdb.config.setter security.protocol send.buffer.bytes state.cleanup.delay.ms
state.cleanup.dir.max.age.ms state.dir statestore.cache.max.bytes task.assignor.class task.timeout.ms upgrade.from
topology.optimization windowed.inner.class.serde window.size.ms windowstore.changelog.additional.retention.ms
processing.exception.handler.global.enabled
"""
"""All names of StreamsConfig in Apache Kafka 4.3.1."""


@pytest.mark.parametrize("name", OF_KAFKA_STREAMS.split())
def test_every_name_of_kafka_streams_is_a_setting_or_told(name: str) -> None:
    """One or the other: what is here has its name, and what has none stands in the table of what to do instead."""
    here = name.replace(".", "_")
    assert (here in SETTINGS) != (name in INSTEAD)
    if here not in SETTINGS:
        assert instead_of(name, SETTINGS) == instead_of(here, SETTINGS) == INSTEAD[name]


def test_what_to_do_instead_names_settings_there_are() -> None:
    """Names in backticks that look like settings are some; no setting is told of as if it were none."""
    told = {part for each in INSTEAD.values() for part in each.split("`")[1::2] if "_" in part and part.isidentifier()}
    assert told - {"exactly_once_v2"} <= SETTINGS.keys()
    assert not {name.replace(".", "_") for name in INSTEAD} & SETTINGS.keys()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("commit.interval.ms", "there is no setting commit.interval.ms: it is `commit_interval_ms` here"),
        ("num_stream_threads", "there is no setting num_stream_threads: workers are processes: `--workers N`"),
        ("num.stream.threads", "there is no setting num.stream.threads: workers are processes: `--workers N`"),
        ("producer.acks", "every write waits for all replicas in sync, and comes once [(]all clients"),
        (
            "main.consumer.max.poll.records",
            "it is `max_poll_records` here [(]all clients of an application have the same",
        ),
        ("consumer_fetch_min_bytes", "a fetch is answered as soon as there is a record"),
        ("topic.cleanup.policy", "it is part of `topic_settings` here: topic_settings=cleanup.policy=..."),
        ("client.tag.zone", "it is part of `client_tags` here: client_tags=zone=..."),
        ("ssl.truststore.location", "`ssl_ca_location`, a file in PEM"),
        ("rack.aware.assignment.traffic_cost", "without regard to the racks of brokers"),
        ("topic_setings", "there is no setting topic_setings; did you mean 'topic_settings'"),
        ("producer.nonsense", "there is no setting producer.nonsense$"),
    ],
)
def test_kafkas_names_say_what_to_do_instead(name: str, says: str) -> None:
    """With dots or underscores, with the prefix of a client or without; a name that is near to one is that."""
    with pytest.raises(ConfigError, match=says):
        config(**{name: "1"})


def test_kafkas_names_in_the_environment_say_it_too() -> None:
    """As is told of every variable that is no setting."""
    (notice,) = config({"STREAMS_BOOTSTRAP_SERVERS": "host:9092"}).notices
    assert notice.startswith("the environment variable STREAMS_BOOTSTRAP_SERVERS is no setting: `broker=kafka://host:")

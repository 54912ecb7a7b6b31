"""Client quotas: whose count, what is counted, and what becomes of a client that used more than its own.

What an answer says is compared with Kafka's formula: of a client that used nothing before, bytes over the limit less ten
seconds. Where time matters it only has to pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Producer
from kio.index import load_response_schema

from broker.server.meters import Windows
from broker.server.quotas import CHANGES, PRODUCE, Quotas
from tests.broker.process import BrokerProcess
from tests.broker.secured import knowing_ann
from tests.broker.server.test_login import logged_in
from tests.broker.server.test_produce_fetch import batch, fetching, make_topic, produce
from tests.broker.wire import Wire

PRODUCE_API, FETCH_API, METADATA, API_VERSIONS, CREATE, DELETE, GROW, ALTER = 0, 1, 3, 18, 19, 20, 37, 49
LONG = 100_000
"""Bytes of a batch that is over any of the limits here for a minute and more."""

Entity = dict[str, str | None]


def set_quota(wire: Wire, entity: Entity, **limits: float | None) -> None:
    """Sets limits, removes those that are None."""
    named = [{"entity_type": kind.replace("_", "-"), "entity_name": name} for kind, name in entity.items()]
    ops = [{"key": key, "value": value or 0.0, "remove": value is None} for key, value in limits.items()]
    assert wire.call(ALTER, 1, entries=[{"entity": named, "ops": ops}]).entries[0].error_code == 0


def throttle_ms(answer: Any) -> int:
    return round(answer.throttle_time.total_seconds() * 1000)


def expected_ms(size: int, limit: float) -> int:
    """By Kafka's formula, of a client that used nothing before."""
    return max(int(size * 1000 / limit - 10_000 + 0.5), 0)


@pytest.fixture
def client(connect: Callable[[], Wire]) -> Callable[[str | None], Wire]:
    """Connections by client id."""

    def make(client_id: str | None) -> Wire:
        wire = connect()
        wire.client_id = client_id
        return wire

    return make


def sent(wire: Wire, topic: str, size: int, *, version: int = 9, acks: int = -1) -> tuple[int, Any]:
    """Produces so many bytes of a value; the request's size, and the schema of its answer."""
    data = [{"name": topic, "partition_data": [{"index": 0, "records": batch(bytes(size))}]}]
    request = wire.request(PRODUCE_API, version, acks=acks, timeout=1_000, topic_data=data)
    wire.socket.sendall(request)
    return len(request) - 4, load_response_schema(PRODUCE_API, version)


# ---- whose quota counts


def count(quotas: Quotas, user: str, client_id: str | None) -> int:
    """For how long a request of a thousand bytes is throttled; -1 for one that is not counted."""
    usage = quotas.usage(user, client_id, 1_000)
    if usage is None:
        return -1
    usage.produced()
    return usage.throttle_ms


def test_the_most_specific_quota_counts() -> None:
    """From the one of a user with a client id down to the default of client ids, in Kafka's order."""
    entities: list[dict[str, str | None]] = [
        {"client-id": None},
        {"client-id": "c"},
        {"user": None},
        {"user": None, "client-id": None},
        {"user": None, "client-id": "c"},
        {"user": "u"},
        {"user": "u", "client-id": None},
        {"user": "u", "client-id": "c"},
    ]
    kept: dict[Any, dict[str, float]] = {}
    windows = Windows(11, 1_000)
    assert not Quotas(kept, lambda: 0, windows, windows).limited
    for number, entity in enumerate(entities, start=1):
        kept[frozenset(entity.items())] = {PRODUCE: float(number)}
        assert count(Quotas(kept, lambda: 0, windows, windows), "u", "c") == expected_ms(1_000, number) > 0


def test_who_shares_a_quota() -> None:
    """All clients of a user where the quota is the user's; nobody shares a default with another; no id meets no quota."""
    windows = Windows(11, 1_000)
    of_user = Quotas({frozenset({("user", None)}): {PRODUCE: 100.0}}, lambda: 0, windows, windows)
    assert [count(of_user, *who) for who in (("a", "x"), ("a", "y"), ("b", "x"))] == [0, 10_000, 0]
    of_client = Quotas({frozenset({("client-id", None)}): {PRODUCE: 100.0}}, lambda: 0, windows, windows)
    assert [count(of_client, *who) for who in (("a", "x"), ("b", "x"), ("a", "y"))] == [0, 10_000, 0]
    assert count(of_client, "a", "") == count(of_client, "a", None) == -1


def test_what_a_client_used_is_forgotten_in_time() -> None:
    """After an hour without use, and not before."""
    now_ms = [0]
    quotas = Quotas(
        {frozenset({("user", "a")}): {CHANGES: 1.0}}, lambda: now_ms[0], Windows(11, 1_000), Windows(11, 10**9)
    )
    usage = quotas.usage("a", "", 0)
    assert usage is not None
    usage.change(20 * 10**9, strict=True)
    for at_ms, throttled in ((3_600_000, True), (8_000_000, False)):
        now_ms[0] = at_ms
        quotas.expire()
        usage = quotas.usage("a", "", 0)
        assert usage is not None
        usage.change(0, strict=False)
        assert (usage.throttle_ms > 0) is throttled


# ---- what is counted


@pytest.mark.broker
@pytest.mark.parametrize("version", [3, 8, 9, 12])
def test_bytes_produced(client: Callable[[str | None], Wire], version: int) -> None:
    """Counts the request as it came, stores it all the same, and says for how long the client is throttled."""
    admin, wire = client("admin"), client(f"p{version}")
    topic = make_topic(admin, f"produced-{version}")
    set_quota(admin, {"client_id": wire.client_id}, producer_byte_rate=1_000)
    size, schema = sent(wire, topic, 12_000, version=version)
    answer = wire.receive(schema)
    assert answer.responses[0].partition_responses[0].error_code == 0
    assert throttle_ms(answer) == expected_ms(size, 1_000) > 2_000


@pytest.mark.broker
def test_bytes_produced_within(client: Callable[[str | None], Wire]) -> None:
    """Nobody is throttled for less than ten seconds' worth, nor others by what one used."""
    admin, wire, other = client("admin"), client("within"), client("other")
    topic = make_topic(admin, "within")
    set_quota(admin, {"client_id": "within"}, producer_byte_rate=1_000)
    for sender, size in ((wire, 9_000), (other, 50_000)):
        _, schema = sent(sender, topic, size)
        assert throttle_ms(sender.receive(schema)) == 0


@pytest.mark.broker
@pytest.mark.parametrize("version", [4, 11, 12])
def test_bytes_fetched(client: Callable[[str | None], Wire], version: int) -> None:
    """An answer over the quota is empty, and counts nothing; the whole answer is there once the quota is gone."""
    admin = client("admin")
    topic = make_topic(admin, f"fetched-{version}")
    produce(admin, topic, batch(bytes(20_000)))
    admin.send(FETCH_API, version, **fetching(topic, 0))
    size = len(admin.frame()) - (version >= 12)  # without the tags of its header
    name = f"f{version}"
    set_quota(admin, {"client_id": name}, consumer_byte_rate=1_000)
    for _ in range(2):
        answer = client(name).call(FETCH_API, version, **fetching(topic, 0))
        assert answer.responses == ()
        assert 0 < expected_ms(size, 1_000) - 1_000 < throttle_ms(answer) <= expected_ms(size, 1_000)
    set_quota(admin, {"client_id": name}, consumer_byte_rate=None)
    answer = client(name).call(FETCH_API, version, **fetching(topic, 0))
    assert (throttle_ms(answer), len(answer.responses)) == (0, 1)


@pytest.mark.broker
def test_a_fetch_is_cut_to_the_quota(client: Callable[[str | None], Wire]) -> None:
    """No more is read than ten windows allow: an answer that is always over the quota would never be given."""
    admin, wire = client("admin"), client("cut")
    topic = make_topic(admin, "cut")
    for _ in range(12):
        produce(admin, topic, batch(bytes(10_000)))
    set_quota(admin, {"client_id": "cut"}, consumer_byte_rate=5_000)
    answer = wire.call(FETCH_API, 11, **fetching(topic, 0, min_bytes=1 << 20, max_wait=60_000))
    assert throttle_ms(answer) == 0
    assert 40_000 < len(answer.responses[0].partitions[0].records) < 50_000


@pytest.mark.broker
def test_a_throttled_fetch_begins_no_session(client: Callable[[str | None], Wire]) -> None:
    """As in Kafka; one that is there stays, and tells the same later."""
    admin, wire = client("admin"), client("session")
    topic = make_topic(admin, "session")
    values = {"session_epoch": 0, **fetching(topic, 0)}
    session = wire.call(FETCH_API, 11, **values).session_id
    assert session
    produce(admin, topic, batch(bytes(20_000)))
    set_quota(admin, {"client_id": "session"}, consumer_byte_rate=1_900)
    assert client("session").call(FETCH_API, 11, **values).session_id == 0
    later = {**values, "session_id": session, "topics": []}
    throttled = wire.call(FETCH_API, 11, **{**later, "session_epoch": 1})
    assert (throttled.session_id, throttled.responses) == (session, ())
    assert throttle_ms(throttled) > 0
    set_quota(admin, {"client_id": "session"}, consumer_byte_rate=None)
    assert len(wire.call(FETCH_API, 11, **{**later, "session_epoch": 2}).responses) == 1


@pytest.mark.broker
@pytest.mark.parametrize(
    ("api", "version", "values"),
    [
        (METADATA, 9, {"topics": None}),
        (API_VERSIONS, 3, {"client_software_name": "x", "client_software_version": "1"}),
        (API_VERSIONS, 2, {}),
        (FETCH_API, 11, {"topics": []}),
        (12, 4, {"group_id": "nobody", "member_id": "x"}),
        (48, 1, {"components": [], "strict": False}),
    ],
)
def test_time_that_requests_take(
    client: Callable[[str | None], Wire], api: int, version: int, values: dict[str, Any]
) -> None:
    """Who may take next to none of the broker's time is throttled by every request, for a window and no longer."""
    admin, name = client("admin"), f"time-{api}-{version}"
    set_quota(admin, {"client_id": name}, request_percentage=1e-9)
    assert throttle_ms(client(name).call(api, version, **values)) == 1_000
    set_quota(admin, {"client_id": name}, request_percentage=10_000)
    assert throttle_ms(client(name).call(api, version, **values)) == 0


def created(wire: Wire, version: int, *topics: tuple[str, int]) -> tuple[list[int], int]:
    """Error codes, and for how long the client is throttled."""
    wanted = [{"name": name, "num_partitions": count, "replication_factor": 1} for name, count in topics]
    answer = wire.call(CREATE, version, topics=wanted, timeout=1_000)
    return [topic.error_code for topic in answer.topics], throttle_ms(answer)


@pytest.mark.broker
def test_changes_are_refused(client: Callable[[str | None], Wire]) -> None:
    """One that begins within the quota is made whole; what comes after it is refused, by every API, and may be tried again."""
    admin = client("admin")
    set_quota(admin, {"client_id": "changes"}, controller_mutation_rate=0.01)
    codes, throttled = created(client("changes"), 7, ("changes-1", 3), ("changes-2", 1))
    assert codes == [0, 89]
    assert 288_000 <= throttled <= 289_000  # 3 of 0.11 are taken, at 0.01 a second
    wire = client("changes")
    gone = wire.call(DELETE, 6, topics=[{"name": "changes-1", "topic_id": None}], timeout=1_000)
    assert (gone.responses[0].error_code, throttle_ms(gone) > 200_000) == (89, True)
    wire = client("changes")
    more = wire.call(GROW, 3, topics=[{"name": "changes-1", "count": 5, "assignments": None}], timeout=1_000)
    assert (more.results[0].error_code, more.results[0].error_message) == (89, None)
    assert throttle_ms(more) > 200_000
    wire = client("changes")
    assert throttle_ms(wire.call(METADATA, 9, topics=[{"name": "changes-auto"}], allow_auto_topic_creation=True)) == 0
    asked = wire.call(METADATA, 9, topics=[{"name": "changes-auto"}], allow_auto_topic_creation=True)
    assert asked.topics[0].error_code == 3  # not created by being asked for, and nobody is throttled for that
    set_quota(admin, {"client_id": "changes"}, controller_mutation_rate=None)
    assert created(client("changes"), 7, ("changes-2", 1)) == ([0], 0)


@pytest.mark.broker
def test_changes_of_old_clients_are_made(client: Callable[[str | None], Wire]) -> None:
    """They do not know the refusal: everything is made, and they are throttled."""
    set_quota(client("admin"), {"client_id": "old"}, controller_mutation_rate=0.01)
    codes, throttled = created(client("old"), 5, ("old-1", 3), ("old-2", 1))
    assert (codes, 380_000 < throttled <= 389_000) == ([0, 0], True)


# ---- what throttling is


@pytest.mark.broker
def test_a_throttled_client_is_not_served(client: Callable[[str | None], Wire]) -> None:
    """The answer comes at once; what is asked next waits on this connection, while others are served."""
    admin, wire = client("admin"), client("muted")
    topic = make_topic(admin, "muted")
    set_quota(admin, {"client_id": "muted"}, producer_byte_rate=1_000)
    _, schema = sent(wire, topic, LONG)
    assert throttle_ms(wire.receive(schema)) > 60_000
    wire.send(METADATA, 9, topics=None)
    for _ in range(3):
        assert client("muted").call(METADATA, 9, topics=None).brokers
    assert not wire.waiting()


@pytest.mark.broker
def test_requests_behind_a_throttled_one_wait(client: Callable[[str | None], Wire]) -> None:
    """Though they came together with it: as in Kafka, one is begun when the one before is answered, and not while throttled."""
    admin, wire = client("admin"), client("together")
    topic = make_topic(admin, "together")
    set_quota(admin, {"client_id": "together"}, producer_byte_rate=1_000)
    data = [{"name": topic, "partition_data": [{"index": 0, "records": batch(bytes(LONG))}]}]
    requests = [wire.request(PRODUCE_API, 9, acks=-1, timeout=1_000, topic_data=data) for _ in range(3)]
    wire.socket.sendall(b"".join(requests))
    wire.frame()
    ends = admin.call(2, 5, topics=[{"name": topic, "partitions": [{"partition_index": 0, "timestamp": -1}]}])
    assert ends.topics[0].partitions[0].offset == 1
    assert not wire.waiting()


@pytest.mark.broker
def test_throttling_ends(client: Callable[[str | None], Wire]) -> None:
    """What waits is served then, in order, also behind requests without an answer."""
    admin, wire = client("admin"), client("ends")
    topic = make_topic(admin, "ends")
    set_quota(admin, {"client_id": "ends"}, producer_byte_rate=100_000)
    for _ in range(3):
        sent(wire, topic, 350_000, acks=0)
    _, schema = sent(wire, topic, 10)
    answer = wire.receive(schema)
    assert answer.responses[0].partition_responses[0].base_offset == 3


@pytest.mark.broker
def test_a_quota_that_is_removed_counts_no_more(client: Callable[[str | None], Wire]) -> None:
    """Quotas change at once, for what was used before as well."""
    admin = client("admin")
    topic = make_topic(admin, "removed")
    for limit, throttled in ((1_000, True), (1_000_000, False), (500, True), (None, False)):
        set_quota(admin, {"client_id": "removed"}, producer_byte_rate=limit)
        wire = client("removed")
        _, schema = sent(wire, topic, 20_000)
        assert (throttle_ms(wire.receive(schema)) > 0) is throttled


@pytest.mark.broker
def test_quotas_survive_a_restart(broker: BrokerProcess, make_wire: Callable[[Any], Wire]) -> None:
    """They count from the start on; everybody who did not log in is one user."""
    topic = make_topic(wire := make_wire(broker), "restart")
    set_quota(wire, {"user": "ANONYMOUS"}, producer_byte_rate=1_000)
    broker.kill()
    broker.start()
    size, schema = sent(wire := make_wire(broker), topic, 20_000)
    assert throttle_ms(wire.receive(schema)) == expected_ms(size, 1_000)


@pytest.mark.broker
def test_a_user_who_logged_in(tmp_path: Path, make_wire: Callable[[Any], Wire]) -> None:
    """Has the quotas of that user, over all connections; the login itself is nobody's."""
    with knowing_ann(tmp_path, "SASL_PLAINTEXT") as broker:
        admin = logged_in(make_wire(broker))
        topic = make_topic(admin, "logged-in")
        set_quota(admin, {"user": "ANONYMOUS"}, request_percentage=1e-9)
        set_quota(admin, {"user": "ann"}, producer_byte_rate=1_000)
        stranger = make_wire(broker)
        versions = stranger.call(API_VERSIONS, 3, client_software_name="x", client_software_version="1")
        assert throttle_ms(versions) == 0
        wire = logged_in(stranger)
        size, schema = sent(wire, topic, 20_000)
        assert throttle_ms(wire.receive(schema)) == expected_ms(size, 1_000)


@pytest.mark.broker
def test_librdkafka_hears_of_it(shared_broker: BrokerProcess, client: Callable[[str | None], Wire]) -> None:
    """An unmodified client takes the time from the answer, and delivers everything."""
    admin = client("admin")
    topic = make_topic(admin, "librdkafka")
    set_quota(admin, {"client_id": "librdkafka"}, producer_byte_rate=20_000)
    heard: list[float] = []
    settings = {"bootstrap.servers": shared_broker.address, "client.id": "librdkafka", "linger.ms": 0}
    producer = Producer({**settings, "throttle_cb": lambda event: heard.append(event.throttle_time)})
    delivered: list[Any] = []
    for _ in range(3):
        producer.produce(topic, bytes(70_000), on_delivery=lambda error, _: delivered.append(error))
        producer.flush(30)
    producer.poll(0)
    assert delivered == [None] * 3
    assert max(heard, default=0) > 0


@pytest.mark.broker
def test_aiokafka_reads_everything(make_broker: Callable[..., BrokerProcess], make_wire: Callable[[Any], Wire]) -> None:
    """Slower, through answers that are empty: an unmodified client that is throttled misses nothing."""
    broker = make_broker("--set=quota.window.num=2")
    topic = make_topic(admin := make_wire(broker), "aiokafka")
    for _ in range(30):
        produce(admin, topic, batch(bytes(10_000)))
    set_quota(admin, {"client_id": "aiokafka"}, consumer_byte_rate=100_000)

    async def read() -> list[int]:
        settings = {"bootstrap_servers": broker.address, "client_id": "aiokafka", "auto_offset_reset": "earliest"}
        consumer = AIOKafkaConsumer(topic, **settings)
        await consumer.start()
        offsets = [(await consumer.getone()).offset for _ in range(30)]
        await consumer.stop()
        return offsets

    assert asyncio.run(read()) == list(range(30))


# ---- connections


@pytest.fixture
def slow_to_accept(
    make_broker: Callable[..., BrokerProcess], make_wire: Callable[[Any], Wire]
) -> Iterator[BrokerProcess]:
    """A broker that likes one connection a second from each host."""
    broker = make_broker()
    set_quota(make_wire(broker), {"ip": None}, connection_creation_rate=1)
    yield broker


@pytest.mark.broker
def test_connections_of_a_host(slow_to_accept: BrokerProcess, make_wire: Callable[[Any], Wire]) -> None:
    """Ten may come at once; who comes too fast then is not served, and let go after a moment."""
    served, refused = 0, 0
    for _ in range(60):
        wire = make_wire(slow_to_accept)
        try:
            served += bool(wire.call(METADATA, 9, topics=None).brokers)
        except ConnectionError:
            refused += 1
            break
    assert served >= 9
    assert refused


@pytest.mark.broker
def test_connections_of_another_host(slow_to_accept: BrokerProcess, make_wire: Callable[[Any], Wire]) -> None:
    """A quota of its own goes before the default."""
    set_quota(make_wire(slow_to_accept), {"ip": "127.0.0.1"}, connection_creation_rate=1_000)
    for _ in range(40):
        assert make_wire(slow_to_accept).call(METADATA, 9, topics=None).brokers

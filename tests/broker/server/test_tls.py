"""TLS: clients that are not ours and those that are, with certificates and logins, and settings that cannot be obeyed."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from broker.config import BrokerConfig
from broker.errors import ConfigError
from broker.server.tls import server_context
from streams import App
from tests.broker.secured import Certificates, SecuredBroker, knowing_ann

pytestmark = pytest.mark.broker

MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
RECORDS = 300
VALUE = b"x" * 20_000
"""Together more than a client takes at once, so that answers are cut out of files."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """TLS and logins."""
    with knowing_ann(tmp_path_factory.mktemp("tls"), "SASL_SSL") as made:
        yield made


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_librdkafka(broker: SecuredBroker, mechanism: str) -> None:
    """Topics are made, and records written and read."""
    settings = {
        "bootstrap.servers": broker.address,
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": broker.files.ca,
        "sasl.mechanism": mechanism,
        "sasl.username": "ann",
        "sasl.password": "secret",
    }
    topic = f"librdkafka-{mechanism}"
    administrator = AdminClient(settings)
    administrator.create_topics([NewTopic(topic, 2, 1)])[topic].result(20)
    producer = Producer(settings)
    for number in range(RECORDS):
        producer.produce(topic, key=str(number), value=VALUE)
    assert producer.flush(30) == 0
    consumer = Consumer({**settings, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    read = []
    while len(read) < RECORDS:
        messages = consumer.consume(RECORDS, timeout=20)
        assert messages
        read += [(message.key(), message.value()) for message in messages]
    consumer.close()
    assert sorted(read) == sorted((str(number).encode(), VALUE) for number in range(RECORDS))


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_an_application(broker: SecuredBroker, tmp_path: Path, mechanism: str) -> None:
    """The same settings as for a cluster, under exactly-once."""
    app = App(
        f"counting-{mechanism.lower()}",
        broker=broker.url,
        security_protocol="SASL_SSL",
        sasl_mechanism=mechanism,
        sasl_username="ann",
        sasl_password="secret",
        ssl_ca_location=broker.files.ca,
        state_dir=str(tmp_path),
        processing_guarantee="exactly_once_v2",
    )
    rides = app.topic(f"rides-{mechanism}", key=str, value=bytes, partitions=2)
    counts = app.topic(f"counts-{mechanism}", key=str, value=int)
    app.stream(rides).group_by_key().count(name="counts").to_stream().to(counts)
    with app.connect() as connection:
        connection.write(rides, [(f"k{number % 7}", VALUE) for number in range(RECORDS)])
        connection.flush()
        with app.running() as run:
            run.catch_up()
        found = {record.key: record.value for record in connection.read(counts)}
    assert found == {f"k{number}": len(range(number, RECORDS, 7)) for number in range(7)}


def test_a_client_that_speaks_in_the_clear(broker: SecuredBroker) -> None:
    """It learns nothing, and the broker serves others on."""
    stranger = AdminClient({"bootstrap.servers": broker.address, "log_level": 0})
    with pytest.raises(Exception, match="transport failure|timed out"):
        stranger.list_topics(timeout=1)


@pytest.fixture(scope="module")
def wary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """TLS for clients with a certificate."""
    made = SecuredBroker(tmp_path_factory.mktemp("wary"), "SSL", asks=True)
    made.start()
    yield made
    made.stop()


def spoken_to(broker: SecuredBroker, certificate: Certificates | None, ca: str | None = None) -> bytes:
    """The begin of an answer to a client with such a certificate. Raises: OSError."""
    context = ssl.create_default_context(cafile=ca or broker.files.ca)
    if certificate is not None:
        context.load_cert_chain(certificate.certificate, certificate.key)
    with (
        socket.create_connection(("127.0.0.1", broker.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        secured.sendall(struct.pack(">ihhih", 10, 18, 0, 7, 0))  # ApiVersions 0
        return secured.recv(8)


def test_certificates_of_clients(wary: SecuredBroker, tmp_path: Path) -> None:
    """Who has none, or one that somebody else signed, is told so by TLS, and the broker's log says who was refused."""
    assert len(spoken_to(wary, wary.files)) == 8
    for wrong, said in (
        (None, "PEER_DID_NOT_RETURN_A_CERTIFICATE"),
        (Certificates(tmp_path), "unable to get local issuer certificate"),
    ):
        with pytest.raises(ssl.SSLError, match="(?i)alert"):
            spoken_to(wary, wrong)
        assert f"no TLS with 127.0.0.1: {said}" in wary.log


def test_certificates_that_are_renewed(tmp_path: Path) -> None:
    """They count for whoever connects next, without a restart; what is half written, or gone, changes nothing."""
    (tmp_path / "new").mkdir()
    new = Certificates(tmp_path / "new")
    broker = SecuredBroker(tmp_path, "SSL", asks=True)
    broker.start()
    try:
        store, trusted = Path(broker.files.store), Path(broker.files.ca)
        old_ca = tmp_path / "old.pem"
        old_ca.write_bytes(trusted.read_bytes())
        assert len(spoken_to(broker, broker.files)) == 8
        store.write_bytes(Path(new.store).read_bytes()[:500])
        assert len(spoken_to(broker, broker.files)) == 8
        store.unlink()
        assert len(spoken_to(broker, broker.files)) == 8
        assert broker.log.count("certificates stay as they were") == 2
        Path(new.store).rename(store)
        assert len(spoken_to(broker, broker.files, new.ca)) == 8
        with pytest.raises(ssl.SSLCertVerificationError):
            spoken_to(broker, broker.files, str(old_ca))
        trusted.write_bytes(Path(new.ca).read_bytes())
        assert len(spoken_to(broker, new, new.ca)) == 8
        with pytest.raises(ssl.SSLError, match="(?i)alert"):
            spoken_to(broker, broker.files, new.ca)
    finally:
        broker.stop()


def test_handshakes_that_do_not_end(tmp_path: Path) -> None:
    """Who connects and says nothing counts among those that max.connections allows, and makes room when gone."""
    broker = SecuredBroker(tmp_path, "SSL", "--set=max.connections=3")
    broker.start()
    try:
        silent = [socket.create_connection(("127.0.0.1", broker.port)) for _ in range(3)]
        with pytest.raises(OSError, match="(?i)eof|reset|pipe"):
            spoken_to(broker, None)
        assert "refusing connections: 3 are open" in broker.log
        for each in silent:
            each.close()
        answer = b""
        while not answer:  # until the broker has seen that they are gone
            with suppress(OSError):
                answer = spoken_to(broker, None)
    finally:
        broker.stop()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "SSL needs ssl.keystore.location: a file in PEM"),
        ({"ssl.keystore.location": "none.pem"}, "ssl.keystore.location: there is no file none.pem"),
        ({"ssl.keystore.location": "{ca}"}, "expected a private key and its certificates in PEM"),
        ({"ssl.keystore.location": "{store}", "ssl.client.auth": "required"}, "needs ssl.truststore.location"),
        ({"ssl.keystore.location": "{store}", "ssl.truststore.location": "{key}"}, "has no certificates in PEM"),
    ],
)
def test_settings_that_cannot_be_obeyed(tmp_path: Path, settings: dict[str, str], sentence: str) -> None:
    """What is missing or no PEM file is told with the setting."""
    files = vars(Certificates(tmp_path))
    given = {name: value.format(**files) for name, value in settings.items()}
    with pytest.raises(ConfigError, match=sentence):
        server_context(BrokerConfig.from_mapping({"listeners": "SSL://localhost:0", **given}))

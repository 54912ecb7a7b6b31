"""First contact with a broker: over TLS, and what is said when it cannot be made."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from streams import App
from streams.clients.kafka import KafkaClients
from streams.config import StreamsConfig
from streams.errors import BrokerUnreachable, ClientError, ConfigError
from tests.broker.secured import SecuredBroker

pytestmark = pytest.mark.broker

MakeBroker = Callable[..., SecuredBroker]


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[MakeBroker]:
    """Starts a broker that speaks TLS."""
    with ExitStack() as stack:

        def make(**settings: Any) -> SecuredBroker:
            made = SecuredBroker(tmp_path, "SSL", **settings)
            made.start()
            stack.callback(made.stop)
            return made

        yield make


def refused(url: str, **settings: Any) -> ClientError:
    """What is said to a client with these settings; it must not get through."""
    with ExitStack() as stack:
        clients = KafkaClients(StreamsConfig.of("taxi", {"broker": url, **settings}, environment={}))
        stack.callback(clients.close)
        with pytest.raises(ClientError) as told:
            clients.admin()
    return told.value


def test_an_application_runs_over_tls(secured: MakeBroker, tmp_path: Path) -> None:
    """Values larger than a TLS record, joined and split as TLS does, are written, counted in transactions and read."""
    made = secured(asks=True)
    app = App(
        "taxi",
        broker=made.url,
        security_protocol="SSL",
        ssl_ca_location=made.files.ca,
        ssl_certificate_location=made.files.certificate,
        ssl_key_location=made.files.key,
        state_dir=str(tmp_path / "state"),
        processing_guarantee="exactly_once_v2",
    )
    rides = app.topic("rides", key=str, value=str, partitions=2)
    app.stream(rides).group_by_key().count(name="counts").to_stream().to(app.topic("counts", key=str, value=int))
    sent = [(f"k{number % 7}", str(number) * 9_000) for number in range(200)]
    with app.connect() as connection:
        connection.write(rides, sent)
        connection.flush()
        with app.running() as run:
            run.catch_up()
        counts = {record.key: record.value for record in connection.read("counts")}
        assert sorted(record.value for record in connection.read(rides)) == sorted(value for _, value in sent)
    assert counts == {f"k{number}": len(range(number, 200, 7)) for number in range(7)}


def test_a_context_of_ones_own(secured: MakeBroker) -> None:
    """Instead of files, an ssl.SSLContext from Python."""
    made = secured()
    context = ssl.create_default_context(cafile=made.files.ca)
    app = App("taxi", broker=made.url, security_protocol="SSL", ssl_context=context)
    with app.connect() as connection:
        assert connection.topics()


def test_a_certificate_that_is_not_trusted(secured: MakeBroker) -> None:
    """It ends the attempt at once, though a start would wait for a minute."""
    made = secured()
    told = refused(made.url, security_protocol="SSL", connect_timeout_ms=60_000)
    assert not isinstance(told, BrokerUnreachable)
    assert isinstance(told.__cause__, ssl.SSLCertVerificationError)
    assert str(told).startswith(f"{made.url.removeprefix('kafka://')} has a certificate that is not trusted (")
    assert str(told).endswith("): name a file with its authority's certificate in ssl_ca_location")


def test_a_certificate_of_another_host(secured: MakeBroker) -> None:
    """Its name is compared with where the client connected to, unless that is turned off."""
    made = secured(name="kafka.example.org")
    settings = {"security_protocol": "SSL", "ssl_ca_location": made.files.ca}
    assert "connect by a name that is in it" in str(refused(made.url, **settings))
    app = App("taxi", broker=made.url, ssl_endpoint_identification_algorithm="none", **settings)
    with app.connect() as connection:
        assert connection.topics()


def test_the_wrong_protocol(secured: MakeBroker, broker_url: str) -> None:
    """TLS to a port without, a login where none is expected, and neither where TLS is expected: each is told as such."""
    told = str(refused(broker_url, security_protocol="SSL", connect_timeout_ms=300))
    assert (
        "closes them. security_protocol is SSL: does the broker want another one at this port, or a certificate" in told
    )
    login = {"sasl_mechanism": "PLAIN", "sasl_username": "ann", "sasl_password": "secret"}
    told = str(refused(broker_url, security_protocol="SASL_PLAINTEXT", **login))
    assert "expects no login, but security_protocol is SASL_PLAINTEXT: set PLAINTEXT" in told
    made = secured(asks=True)
    told = str(refused(made.url, connect_timeout_ms=300))
    assert "closes them. security_protocol is PLAINTEXT: does the broker want another one at this port?" in told


def test_a_certificate_that_is_missing(secured: MakeBroker) -> None:
    """The broker says so by TLS, so the attempt ends at once, as with Apache Kafka."""
    made = secured(asks=True)
    told = refused(made.url, security_protocol="SSL", ssl_ca_location=made.files.ca, connect_timeout_ms=60_000)
    assert not isinstance(told, BrokerUnreachable)
    assert "if it asks for a certificate, set ssl_certificate_location" in str(told)


def test_something_else_there() -> None:
    """What answers in the clear to TLS is told as such, at once."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        told = refused(f"kafka://127.0.0.1:{listening.getsockname()[1]}", security_protocol="SSL")
        answering.join()
    assert "does not speak TLS (WRONG_VERSION_NUMBER), but security_protocol is SSL: correct it, or the port" in str(
        told
    )


def test_nobody_there() -> None:
    """Where nothing listens, that is what is said."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert "is it running? Start one with `streams broker`" in str(
        refused(f"kafka://127.0.0.1:{port}", connect_timeout_ms=200)
    )


def test_silence() -> None:
    """What takes connections and does not answer may be behind a wall: that is said, and not that nothing runs."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"kafka://127.0.0.1:{silent.getsockname()[1]}"
        told = refused(url, connect_timeout_ms=200, request_timeout_ms=300)
    assert "does not refuse connections, and says nothing. Is the address right" in str(told)


def test_files_are_looked_at_first(tmp_path: Path) -> None:
    """A missing file is told before anything is connected, and leaves no thread behind."""
    before = threading.active_count()
    with pytest.raises(ConfigError, match="ssl_ca_location: there is no file"):
        KafkaClients(
            StreamsConfig.of(
                "taxi",
                {"broker": "kafka://nowhere", "security_protocol": "SSL", "ssl_ca_location": str(tmp_path / "ca")},
                environment={},
            )
        )
    assert threading.active_count() == before

"""Logins that last for a time (KIP-368): what a client is told, how it logs in again, and what becomes of one that does not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.broker.secured import SecuredBroker, add_user, knowing_ann
from tests.broker.server.test_login import ANN, AUTHENTICATE, HANDSHAKE, METADATA, hung_up, logged_in
from tests.broker.wire import Wire

pytestmark = pytest.mark.broker

LONG_MS, SHORT_MS = 600_000, 200
BOB = b"\0bob\0hidden"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """One whose logins last longer than a test, for `ann` and `bob`."""
    folder = tmp_path_factory.mktemp("long")
    assert add_user(folder / "data", "bob", "hidden").returncode == 0
    with knowing_ann(folder, "SASL_PLAINTEXT", f"--set=connections.max.reauth.ms={LONG_MS}") as made:
        yield made


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """One whose logins last for a moment."""
    setting = f"--set=connections.max.reauth.ms={SHORT_MS}"
    with knowing_ann(tmp_path_factory.mktemp("short"), "SASL_PLAINTEXT", setting) as made:
        yield made


@pytest.fixture
def wire(broker: SecuredBroker, make_wire: Callable[[Any], Wire]) -> Wire:
    """A connection of `ann`, whose login lasts."""
    return logged_in(make_wire(broker))


def again(wire: Wire, token: bytes = ANN, mechanism: str = "PLAIN") -> Any:
    """The answer to a token, after a handshake that nothing is wrong with."""
    assert wire.call(HANDSHAKE, 1, mechanism=mechanism).error_code == 0
    return wire.call(AUTHENTICATE, 2, auth_bytes=token)


def milliseconds(answer: Any) -> float:
    """For how long somebody is admitted."""
    return float(answer.session_lifetime.total_seconds() * 1000)


def test_a_client_is_told_for_how_long(broker: SecuredBroker, make_wire: Callable[[Any], Wire]) -> None:
    """With the last answer of its login."""
    assert milliseconds(again(make_wire(broker))) == LONG_MS


def test_over_the_same_connection(wire: Wire) -> None:
    """Requests are served that come before it in one piece with it, and after it."""
    assert wire.call(METADATA, 12, topics=None).brokers
    metadata = wire.request(METADATA, 12, topics=None)
    wire.socket.sendall(metadata + wire.request(HANDSHAKE, 1, mechanism="PLAIN"))
    assert len(wire.frame()) > len(wire.frame())
    answer = wire.call(AUTHENTICATE, 2, auth_bytes=ANN)
    assert (answer.error_code, milliseconds(answer)) == (0, LONG_MS)
    assert wire.call(METADATA, 12, topics=None).brokers


def test_nothing_is_served_within(wire: Wire) -> None:
    """Who has begun to log in again is a stranger until that is done."""
    assert wire.call(HANDSHAKE, 1, mechanism="PLAIN").error_code == 0
    wire.send(METADATA, 12, topics=None)
    assert hung_up(wire)


@pytest.mark.parametrize("token", [b"\0ann\0wrong", BOB])
def test_who_may_not(wire: Wire, token: bytes) -> None:
    """A wrong password, and somebody else's that is right."""
    assert again(wire, token).error_code == 58
    assert hung_up(wire)


def test_another_mechanism(wire: Wire, broker: SecuredBroker) -> None:
    """The handshake is answered, and the token is not, as in Kafka."""
    assert wire.call(HANDSHAKE, 1, mechanism="SCRAM-SHA-256").error_code == 0
    wire.send(AUTHENTICATE, 2, auth_bytes=b"n,,n=ann,r=abc")
    assert hung_up(wire)
    assert "it logged in by PLAIN before, and now wants SCRAM-SHA-256" in broker.log


def test_not_twice_within_a_second(broker: SecuredBroker, make_wire: Callable[[Any], Wire]) -> None:
    """The second is answered as where nobody has to, and the connection goes on."""
    while True:
        wire = logged_in(make_wire(broker))
        begun = time.monotonic()
        assert again(wire).error_code == 0
        code = wire.call(HANDSHAKE, 1, mechanism="PLAIN").error_code
        if time.monotonic() - begun < 1:
            break
    assert code == 34
    assert wire.call(METADATA, 12, topics=None).brokers


def test_who_does_not_is_let_go(hasty: SecuredBroker, make_wire: Callable[[Any], Wire]) -> None:
    """With the first request that comes too late; who then logs in again is served on."""
    late, punctual = logged_in(make_wire(hasty)), logged_in(make_wire(hasty))
    time.sleep(1.5 * SHORT_MS / 1000)
    late.send(METADATA, 12, topics=None)
    assert hung_up(late)
    assert "its login has expired" in hasty.log
    assert milliseconds(again(punctual)) == SHORT_MS

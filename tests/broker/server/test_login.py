"""A listener that asks for a login: what may be said before it, in which order, and by whom."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.credentials import salted
from tests.broker.secured import SecuredBroker, knowing_ann
from tests.broker.wire import Wire

pytestmark = pytest.mark.broker

API_VERSIONS, HANDSHAKE, AUTHENTICATE, METADATA, ALTER_SCRAM = 18, 17, 36, 3, 51
ANN = b"\0ann\0secret"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """One without TLS, so that bare messages can be sent, with one user."""
    with knowing_ann(tmp_path_factory.mktemp("login"), "SASL_PLAINTEXT") as made:
        yield made


@pytest.fixture
def wire(broker: SecuredBroker, make_wire: Callable[[Any], Wire]) -> Wire:
    """A stranger's connection."""
    return make_wire(broker)


def hung_up(wire: Wire) -> bool:
    """Whether the broker ends the connection without another word."""
    try:
        return wire.socket.recv(1) == b""
    except ConnectionResetError:
        return True


def logged_in(wire: Wire, token: bytes = ANN) -> Wire:
    """After a login by PLAIN."""
    assert wire.call(HANDSHAKE, 1, mechanism="PLAIN").error_code == 0
    assert wire.call(AUTHENTICATE, 2, auth_bytes=token).error_code == 0
    return wire


def test_plain(wire: Wire) -> None:
    """Versions may be asked for first; after the login everything may."""
    assert wire.call(API_VERSIONS, 3, client_software_name="x", client_software_version="1").error_code == 0
    assert logged_in(wire).call(METADATA, 12, topics=None).brokers


@pytest.mark.parametrize(("mechanism", "digest"), [("SCRAM-SHA-256", "sha256"), ("SCRAM-SHA-512", "sha512")])
def test_scram(wire: Wire, mechanism: str, digest: str) -> None:
    """Both sides prove that they know the password, by messages made here by hand."""
    handshake = wire.call(HANDSHAKE, 1, mechanism=mechanism)
    assert (handshake.error_code, handshake.mechanisms) == (0, ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"))
    bare = "n=ann,r=abc"
    first = wire.call(AUTHENTICATE, 1, auth_bytes=f"n,,{bare}".encode()).auth_bytes.decode()
    nonce, salt, iterations = (part.partition("=")[2] for part in first.split(","))
    assert nonce.startswith("abc")
    assert len(nonce) > 20
    key = salted("secret", base64.b64decode(salt), int(iterations), digest)
    client_key = hmac.digest(key, b"Client Key", digest)
    said = f"{bare},{first},c=biws,r={nonce}".encode()
    signature = hmac.digest(hashlib.new(digest, client_key).digest(), said, digest)
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature, strict=True))).decode()
    last = wire.call(AUTHENTICATE, 1, auth_bytes=f"c=biws,r={nonce},p={proof}".encode())
    verifier = hmac.digest(hmac.digest(key, b"Server Key", digest), said, digest)
    assert (last.error_code, last.auth_bytes) == (0, b"v=" + base64.b64encode(verifier))
    assert wire.call(METADATA, 12, topics=None).brokers


def test_bare_tokens(wire: Wire) -> None:
    """After a handshake of version 0 tokens come without a request around them, and so do the answers."""
    assert wire.call(HANDSHAKE, 0, mechanism="PLAIN").error_code == 0
    wire.socket.sendall(struct.pack(">i", len(ANN)) + ANN)
    assert wire.frame() == b""
    assert wire.call(METADATA, 12, topics=None).brokers


def test_bare_tokens_that_are_wrong(wire: Wire) -> None:
    """There is no answer to them, and a token may be shorter than any request."""
    assert wire.call(HANDSHAKE, 0, mechanism="PLAIN").error_code == 0
    wire.socket.sendall(struct.pack(">i", 4) + b"\0a\0b")
    assert hung_up(wire)


@pytest.mark.parametrize("token", [b"\0ann\0wrong", b"\0bob\0secret", b"nothing"])
def test_who_is_refused(wire: Wire, token: bytes) -> None:
    """A wrong password, nobody of that name and what is no token have one code; then the connection ends."""
    assert wire.call(HANDSHAKE, 1, mechanism="PLAIN").error_code == 0
    refused = wire.call(AUTHENTICATE, 2, auth_bytes=token)
    assert (refused.error_code, refused.error_message.partition(": ")[0]) == (58, "Authentication by PLAIN failed")
    assert hung_up(wire)


def test_a_mechanism_that_is_not_there(wire: Wire) -> None:
    """The answer says which there are."""
    answer = wire.call(HANDSHAKE, 1, mechanism="GSSAPI")
    assert (answer.error_code, answer.mechanisms) == (33, ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"))
    assert hung_up(wire)


@pytest.mark.parametrize("said_before", [(), ((HANDSHAKE, 1, {"mechanism": "PLAIN"}),)])
def test_nothing_is_served_before_a_login(wire: Wire, said_before: tuple[tuple[int, int, dict[str, Any]], ...]) -> None:
    """A request in the place of the handshake, or of the token, ends the connection."""
    for api_key, version, values in said_before:
        assert wire.call(api_key, version, **values).error_code == 0
    wire.send(METADATA, 12, topics=None)
    assert hung_up(wire)


@pytest.mark.parametrize(
    ("api_key", "version", "values"),
    [
        (METADATA, 13, {"topics": None}),
        (API_VERSIONS, 3, {"client_software_name": "x", "client_software_version": "1"}),
        (API_VERSIONS, 0, {}),
        (HANDSHAKE, 1, {"mechanism": "PLAIN"}),
        (1, 11, {"topics": []}),
        (12, 4, {"group_id": "g"}),
        (60, 1, {}),
    ],
)
def test_a_request_in_the_place_of_a_token(wire: Wire, api_key: int, version: int, values: dict[str, Any]) -> None:
    """Is told so (34), as by Apache Kafka 4.3.1, by the connection that then ends."""
    assert wire.call(HANDSHAKE, 1, mechanism="PLAIN").error_code == 0
    assert wire.call(api_key, version, **values).error_code == 34
    assert hung_up(wire)


def test_a_token_without_a_handshake(wire: Wire) -> None:
    """It is not known by which mechanism it is meant."""
    wire.send(AUTHENTICATE, 2, auth_bytes=ANN)
    assert hung_up(wire)


def test_a_request_behind_a_token(wire: Wire, broker: SecuredBroker) -> None:
    """What is sent before the answer to a token is not served, though the token may be right."""
    assert wire.call(HANDSHAKE, 1, mechanism="PLAIN").error_code == 0
    token = wire.request(AUTHENTICATE, 2, auth_bytes=ANN)
    wire.socket.sendall(token + wire.request(METADATA, 12, topics=None))
    assert hung_up(wire)
    assert "a request came before the login was answered" in broker.log


def test_a_stranger_sends_much(wire: Wire, broker: SecuredBroker) -> None:
    """Nobody may have memory taken for a large request before a login."""
    wire.socket.sendall(struct.pack(">i", 1_000_000))
    assert hung_up(wire)
    assert "more than the limit of 524,288" in broker.log


def test_a_second_login(wire: Wire) -> None:
    """It is refused, as by a Kafka that asks nobody to log in again, and the connection goes on."""
    assert logged_in(wire).call(HANDSHAKE, 1, mechanism="PLAIN").error_code == 34
    assert wire.call(METADATA, 12, topics=None).brokers


def test_users_while_the_broker_runs(broker: SecuredBroker, make_wire: Callable[[Any], Wire]) -> None:
    """Whom an administrator adds may log in at once, by PLAIN as well, and not after the credential is gone."""
    administrator = logged_in(make_wire(broker))
    password = salted("hidden", b"salt", 8192, "sha512")
    setting = {"name": "cleo", "mechanism": 2, "iterations": 8192, "salt": b"salt", "salted_password": password}
    assert administrator.call(ALTER_SCRAM, 0, upsertions=[setting]).results[0].error_code == 0
    logged_in(make_wire(broker), b"\0cleo\0hidden")
    assert administrator.call(ALTER_SCRAM, 0, deletions=[{"name": "cleo", "mechanism": 2}]).results[0].error_code == 0
    wire = make_wire(broker)
    assert wire.call(HANDSHAKE, 1, mechanism="PLAIN").error_code == 0
    assert wire.call(AUTHENTICATE, 2, auth_bytes=b"\0cleo\0hidden").error_code == 58


def test_a_broker_that_knows_nobody(tmp_path: Path) -> None:
    """It starts, since users may not be wanted yet, and says how to add one."""
    broker = SecuredBroker(tmp_path, "SASL_PLAINTEXT")
    broker.start()
    broker.stop()
    assert "add users with `streams broker add-user" in broker.log

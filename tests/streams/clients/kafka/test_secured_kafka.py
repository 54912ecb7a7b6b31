"""A secured Apache Kafka: logins by PLAIN, SCRAM and OAUTHBEARER over TLS, a client's certificate, and what is refused."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from streams import App
from streams.clients.base import NewTopic
from streams.clients.kafka import KafkaClients
from streams.clients.kafka.cluster_client import cluster_client
from streams.clients.kafka.contact import security_of
from streams.clients.kafka.network_loop import NetworkLoop
from streams.config import StreamsConfig
from streams.errors import BrokerUnreachable, ClientError, StreamsError
from tests.apache_kafka.libraries import KafkaMissingError
from tests.apache_kafka.node import ApacheKafka, Place, free_port
from tests.streams.clients.kafka.test_login_connection import LIFETIME_MS, outlive

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]

LOGIN = "org.apache.kafka.common.security"
ANN = {"sasl_username": "ann", "sasl_password": "secret"}
SCRAM = (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)


class Secured(NamedTuple):
    """A node that listens in the clear, with TLS for clients with a certificate, and with TLS for those who log in.

    The last port is for logins as well, which end soon there.
    """

    kafka: ApacheKafka
    tls_port: int
    login_port: int
    again_port: int
    ca: str
    certificate: str
    key: str

    def settings(self, **login: Any) -> dict[str, Any]:
        """An application's, with a login, or with a certificate."""
        own = {"broker": f"kafka://127.0.0.1:{self.login_port if login else self.tls_port}", "ssl_ca_location": self.ca}
        if login:
            return own | {"security_protocol": "SASL_SSL"} | login
        pair = {"ssl_certificate_location": self.certificate, "ssl_key_location": self.key}
        return own | {"security_protocol": "SSL"} | pair


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """One for all tests: everybody may everything but `bob`."""
    folder = tmp_path_factory.mktemp("secured")
    authority = trustme.CA()
    ca, store, certificate, key = (folder / name for name in ("ca.pem", "broker.pem", "client.pem", "client.key"))
    authority.cert_pem.write_to_path(ca)
    store.write_bytes(java_pem(authority.issue_cert("127.0.0.1")))
    client = authority.issue_cert("ann@example.org")
    certificate.write_bytes(client.cert_chain_pems[0].bytes())
    client.private_key_pem.write_to_path(key)
    place = Place.of(1)
    ports = {"PLAINTEXT": place.port, "TLS": free_port(), "LOGIN": free_port(), "AGAIN": free_port()}
    addresses = ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())
    settings = {
        "listeners": f"{addresses},CONTROLLER://127.0.0.1:{place.controller_port}",
        "advertised.listeners": addresses,
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,TLS:SSL,LOGIN:SASL_SSL,AGAIN:SASL_SSL",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(store),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(ca),
        "listener.name.tls.ssl.client.auth": "required",
        **logins("login"),
        **logins("again"),
        "listener.name.again.connections.max.reauth.ms": str(LIFETIME_MS),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "allow.everyone.if.no.acl.found": "true",
    }
    kafka = ApacheKafka(folder / "kafka", settings, place=place)
    try:
        kafka.start()
    except KafkaMissingError as missing:
        pytest.skip(str(missing))
    admin = AdminClient({"bootstrap.servers": kafka.address})
    for mechanism in SCRAM:
        made = UserScramCredentialUpsertion("ann", ScramCredentialInfo(mechanism, 4096), b"secret")
        for future in admin.alter_user_scram_credentials([made]).values():
            future.result(30)
    yield Secured(kafka, ports["TLS"], ports["LOGIN"], ports["AGAIN"], str(ca), str(certificate), str(key))
    kafka.stop()


def logins(listener: str) -> dict[str, str]:
    """Settings of a listener where `ann` and `bob` may log in, each by what it says of them."""
    modules = {
        "plain": 'plain.PlainLoginModule required user_ann="secret" user_bob="hidden"',
        "scram-sha-256": "scram.ScramLoginModule required",
        "scram-sha-512": "scram.ScramLoginModule required",
        "oauthbearer": 'oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="kafka"',
    }
    prefix = f"listener.name.{listener}"
    jaas = {f"{prefix}.{name}.sasl.jaas.config": f"{LOGIN}.{module};" for name, module in modules.items()}
    return {f"{prefix}.sasl.enabled.mechanisms": ",".join(modules).upper(), **jaas}


def java_pem(issued: trustme.LeafCert) -> bytes:
    """Key and certificate as Java reads them: keys are PKCS #8 there."""
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    pkcs8 = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pkcs8 + b"".join(each.bytes() for each in issued.cert_chain_pems)


def token(claims: dict[str, Any] | None = None) -> str:
    """What an unsecured validator takes for a token."""
    now = int(time.time())
    parts = ({"alg": "none"}, claims or {"sub": "ann", "iat": now, "exp": now + 600})
    return ".".join(base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in parts) + "."


async def token_later() -> str:
    """The same, from a coroutine function."""
    return token()


@pytest.mark.parametrize(
    "login",
    [
        {},
        *({"sasl_mechanism": name, **ANN} for name in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")),
        {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": token},
        {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": token_later},
    ],
    ids=["certificate", "plain", "scram-256", "scram-512", "token", "token-later"],
)
def test_an_application_runs(secured: Secured, login: dict[str, Any], tmp_path: Path, request: Any) -> None:
    """Written, counted in transactions and read, over connections to a secured port only."""
    name = f"counting-{request.node.callspec.id}"
    settings = secured.settings(**login) | {"processing_guarantee": "exactly_once_v2", "state_dir": str(tmp_path)}
    app = App(name, **settings)
    words = app.topic(f"{name}-words", key=str, value=str, partitions=2)
    counts = app.topic(f"{name}-counts", key=str, value=int, partitions=2)
    app.stream(words).group_by_key().count(name="counts").to_stream().to(counts)
    with app.connect() as connection:
        connection.write(words, [(f"k{number % 7}", str(number) * 2_000) for number in range(500)])
        connection.flush()
        with app.running() as run:
            run.catch_up(timeout_s=60)
        found = {record.key: record.value for record in connection.read(counts)}
    assert found == {f"k{number}": len(range(number, 500, 7)) for number in range(7)}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"])
def test_logins_are_renewed(secured: Secured, mechanism: str) -> None:
    """Where they end after a time, over the same connection, and before the broker hangs up."""
    login = {"sasl_oauth_token_provider": token} if mechanism == "OAUTHBEARER" else ANN
    settings = secured.settings(sasl_mechanism=mechanism, **login)

    async def run() -> None:
        security = security_of(StreamsConfig.of("renewing", settings, environment={}))
        address = [f"127.0.0.1:{secured.again_port}"]
        client: Any = cluster_client(creates_topics=False, bootstrap_servers=address, **security)
        await client.bootstrap()
        try:
            connections = await outlive(client, 3)
            assert connections == connections[:1] * 3
        finally:
            await client.close()

    with closing(NetworkLoop("renewing", attended_every_s=0.0)) as network:  # asyncio.run would leave sockets behind
        network.call(run())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"sasl_password": "wrong"},
            r"refuses the login of 'ann' by PLAIN \(.*\): correct sasl_username and sasl_password",
        ),
        ({"sasl_mechanism": "SCRAM-SHA-512", "sasl_username": "eve"}, "refuses the login of 'eve' by SCRAM-SHA-512"),
        (
            {"security_protocol": "SASL_PLAINTEXT", "ssl_ca_location": None},
            "closes them. security_protocol is SASL_PLAINTEXT",
        ),
        ({"broker": "clear"}, "expects no login, but security_protocol is SASL_SSL"),
        (
            {"broker": "tls"},
            "does not accept this client's TLS .*: if it asks for a certificate, set ssl_certificate_location",
        ),
    ],
    ids=["password", "user", "no-tls", "no-login", "no-certificate"],
)
def test_who_is_refused(secured: Secured, change: dict[str, Any], expected: str) -> None:
    """What no waiting changes is told at once; what might be a broker that starts, after a while."""
    login = {"sasl_mechanism": "PLAIN", **ANN}
    settings = secured.settings(**login) | change | {"connect_timeout_ms": 2_000}
    if change.get("broker") == "clear":
        settings |= {"broker": f"kafka://{secured.kafka.address}", "security_protocol": "SASL_PLAINTEXT"}
        settings["ssl_ca_location"] = None
        expected = expected.replace("SASL_SSL", "SASL_PLAINTEXT")
    if change.get("broker") == "tls":
        settings = secured.settings() | {"ssl_certificate_location": None, "ssl_key_location": None}
    told = refusal(settings)
    with pytest.raises(ClientError, match=expected):
        raise told
    assert isinstance(told, BrokerUnreachable) == ("closes them" in expected)


def refusal(settings: dict[str, Any]) -> ClientError:
    """What a client with these settings is told at first contact."""
    with closing(KafkaClients(StreamsConfig.of("refused", settings, environment={}))) as clients:
        with pytest.raises(ClientError) as told:
            clients.admin()
        return told.value


def test_a_provider_of_tokens_that_fails(secured: Secured) -> None:
    """What the function raised is told, after it was tried for a while; so is what is no token."""

    def away() -> str:
        raise OSError("the identity provider is away")

    def number() -> int:
        return 7

    login = {"sasl_mechanism": "OAUTHBEARER", "connect_timeout_ms": 300}
    told = refusal(secured.settings(sasl_oauth_token_provider=away, **login))
    assert "sasl_oauth_token_provider raised OSError: the identity provider is away" in str(told)
    told = refusal(secured.settings(sasl_oauth_token_provider=number, **login))
    assert "expected it to return a token as text, got int" in str(told)


@contextmanager
def rights(
    secured: Secured, user: str, needed: Iterable[tuple[ResourceType, str, Sequence[AclOperation]]]
) -> Iterator[None]:
    """What begins with these names is closed to all but a user, who may do these things."""
    rules = []
    for kind, name, operations in needed:
        place = (
            kind,
            name,
            ResourcePatternType.LITERAL if kind is ResourceType.BROKER else ResourcePatternType.PREFIXED,
        )
        for who, what in (("nobody", AclOperation.DESCRIBE), *((user, operation) for operation in operations)):
            rules.append(AclBinding(*place, f"User:{who}", "*", what, AclPermissionType.ALLOW))
    with in_force(secured, rules):
        yield


@contextmanager
def denied(secured: Secured, kind: ResourceType, name: str, operation: AclOperation) -> Iterator[None]:
    """Bob may not do something, all others may do everything."""
    rules = [
        AclBinding(kind, name, ResourcePatternType.PREFIXED, f"User:{user}", "*", what, effect)
        for user, what, effect in (
            ("*", AclOperation.ALL, AclPermissionType.ALLOW),
            ("bob", operation, AclPermissionType.DENY),
        )
    ]
    with in_force(secured, rules):
        yield


@contextmanager
def in_force(secured: Secured, rules: list[AclBinding]) -> Iterator[None]:
    """These rules, and none after it."""
    admin = AdminClient({"bootstrap.servers": secured.kafka.address})
    for future in admin.create_acls(rules).values():
        future.result(30)
    try:
        yield
    finally:
        kinds = (ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY)
        for future in admin.delete_acls([AclBindingFilter(*kinds)]).values():
            future.result(30)


CANNOT_WRITE = "closed-out-0 cannot be written: have this user allowed to"


@pytest.mark.parametrize(
    ("kind", "name", "operation", "guarantee", "expected"),
    [
        (
            ResourceType.TOPIC,
            "closed-words",
            AclOperation.DESCRIBE,
            "at_least_once",
            "closed-words.*this user may not describe it",
        ),
        (
            ResourceType.TOPIC,
            "closed-words",
            AclOperation.READ,
            "at_least_once",
            "closed-words.*TopicAuthorizationFailed",
        ),
        (ResourceType.TOPIC, "closed-out", AclOperation.WRITE, "at_least_once", CANNOT_WRITE),
        (ResourceType.TOPIC, "closed-out", AclOperation.WRITE, "exactly_once_v2", CANNOT_WRITE),
        (
            ResourceType.GROUP,
            "closed",
            AclOperation.READ,
            "at_least_once",
            "group 'closed' cannot be joined: this user may not read the group",
        ),
        (
            ResourceType.TRANSACTIONAL_ID,
            "closed",
            AclOperation.WRITE,
            "exactly_once_v2",
            "transactional id .* TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
        ),
    ],
)
def test_what_a_user_may_not(
    secured: Secured,
    kind: ResourceType,
    name: str,
    operation: AclOperation,
    guarantee: str,
    expected: str,
    tmp_path: Path,
) -> None:
    """An application that may not do all it does ends with an error that names what."""
    login = {"sasl_mechanism": "PLAIN", "sasl_username": "bob", "sasl_password": "hidden"}
    words, out = "closed-words", "closed-out"
    with App("opened", broker=f"kafka://{secured.kafka.address}").connect() as connection:
        connection.create([NewTopic(words, 1), NewTopic(out, 1)])
        connection.write(words, [("k", "v")])
        connection.flush()
    settings = {"state_dir": str(tmp_path), "processing_guarantee": guarantee} | secured.settings(**login)
    app = App("closed", **settings)
    app.stream(app.topic(words, key=str, value=str)).to(app.topic(out, key=str, value=str))
    with (
        denied(secured, kind, name, operation),
        pytest.raises(StreamsError, match=expected),
        app.running() as run,
    ):
        run.catch_up(timeout_s=60)


def test_settings_of_topics_may_be_kept_from_a_user(secured: Secured, tmp_path: Path) -> None:
    """Who may read a topic, but not its settings, can run an application on it, as with Kafka Streams."""
    login = {"sasl_mechanism": "PLAIN", "sasl_username": "bob", "sasl_password": "hidden"}
    app = App("reading", state_dir=str(tmp_path), **secured.settings(**login))
    words, out = app.topic("shown-words", key=str, value=str), app.topic("shown-out", key=str, value=str)
    app.stream(words).to(out)
    with App("opened", broker=f"kafka://{secured.kafka.address}").connect() as connection:
        connection.create([NewTopic("shown-words", 1), NewTopic("shown-out", 1)])
        connection.write(words, [("k", "v")])
        connection.flush()
        with denied(secured, ResourceType.TOPIC, "shown", AclOperation.DESCRIBE_CONFIGS), app.running() as run:
            run.catch_up(timeout_s=60)
        assert [record.value for record in connection.read(out)] == ["v"]


NEEDED = (
    (ResourceType.TOPIC, "given-in", (AclOperation.READ,)),
    (ResourceType.TOPIC, "given-out", (AclOperation.WRITE,)),
    (ResourceType.TOPIC, "least-", (AclOperation.CREATE, AclOperation.READ, AclOperation.WRITE, AclOperation.DELETE)),
    (ResourceType.GROUP, "least", (AclOperation.READ,)),
    (ResourceType.TRANSACTIONAL_ID, "least-", (AclOperation.WRITE,)),
    (ResourceType.BROKER, "kafka-cluster", ()),
)
"""The table of docs/operation.md."""


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_the_rights_that_an_application_needs(secured: Secured, guarantee: str, tmp_path: Path) -> None:
    """With these alone it makes its internal topics, counts through a repartition topic, and purges that."""
    login = {"sasl_mechanism": "PLAIN", "sasl_username": "bob", "sasl_password": "hidden"}
    settings = {"state_dir": str(tmp_path), "processing_guarantee": guarantee, "repartition_purge_interval_ms": 100}
    app = App(f"least-{guarantee}", commit_interval_ms=50, **settings, **secured.settings(**login))
    given, made = f"given-in-{guarantee}", f"given-out-{guarantee}"
    words, out = app.topic(given, key=str, value=str), app.topic(made, key=str, value=int)
    counts = app.stream(words).group_by(lambda _key, value: value, key=str, name="words").count(name="counts")
    counts.to_stream().to(out)
    with App("opened", broker=f"kafka://{secured.kafka.address}").connect() as connection:
        connection.create([NewTopic(given, 1), NewTopic(made, 1)])
        with rights(secured, "bob", NEEDED), app.running() as run:
            for number in range(5):
                connection.write(words, [(f"k{number}", "a"), (f"k{number}", "b")])
                connection.flush()
                run.catch_up(timeout_s=60)
        found = {record.key: record.value for record in connection.read(out)}
        assert found == {"a": 5, "b": 5}

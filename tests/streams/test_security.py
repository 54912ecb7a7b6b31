"""Settings for TLS and logins: what goes together, and what is said where it does not."""

import ssl
from pathlib import Path

import pytest
import trustme

from streams import App
from streams.config import StreamsConfig
from streams.errors import ConfigError
from streams.security import tls_context

SASL = {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_username": "ann", "sasl_password": "secret"}


def config(**settings: object) -> StreamsConfig:
    return StreamsConfig.of("taxi", {"broker": "kafka://host", **settings}, environment={})


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"security_protocol": "TLS"}, "expected one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL, got 'TLS'"),
        ({"security_protocol": "SASL_SSL"}, "needs sasl_mechanism: one of PLAIN, SCRAM-SHA-256"),
        (SASL | {"sasl_mechanism": "GSSAPI"}, "sasl_mechanism: expected one of PLAIN"),
        (SASL | {"sasl_password": None}, "sasl_mechanism=PLAIN needs sasl_password"),
        (SASL | {"sasl_oauth_token_provider": str}, "has no use for sasl_oauth_token_provider"),
        (SASL | {"sasl_mechanism": "OAUTHBEARER"}, "needs sasl_oauth_token_provider"),
        (
            SASL | {"security_protocol": "SSL"},
            "only used with security_protocol=SASL_SSL or SASL_PLAINTEXT, which is SSL",
        ),
        ({"ssl_ca_location": "ca.pem"}, "only used with security_protocol=SSL or SASL_SSL, which is PLAINTEXT"),
        ({"security_protocol": "SSL", "ssl_key_location": "key"}, "needs ssl_certificate_location"),
        ({"security_protocol": "SSL", "ssl_context": True}, "expected an ssl.SSLContext"),
        (
            {"security_protocol": "SSL", "ssl_ca_location": "a", "ssl_context": ssl.create_default_context()},
            "ssl_context and ssl_ca_location say the same",
        ),
        ({"security_protocol": "SSL", "ssl_endpoint_identification_algorithm": "no"}, "expected one of https, none"),
    ],
)
def test_what_does_not_go_together_is_refused(settings: dict[str, object], expected: str) -> None:
    """Each mistake is told with the configuration, by the name of its setting."""
    with pytest.raises(ConfigError, match=expected):
        config(**settings)


def test_passwords_are_not_shown() -> None:
    """Neither the configuration nor an error about a password shows it."""
    made = config(**SASL, ssl_certificate_location="c", ssl_key_password="hidden")
    assert made.sasl_password == "secret"
    assert "secret" not in repr(made)
    assert "hidden" not in repr(made)
    with pytest.raises(ConfigError) as refused:
        config(**SASL | {"sasl_password": 12345})
    assert "12345" not in str(refused.value)


def test_the_bundled_broker_is_talked_to_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With TLS and a login configured, a program still runs on the embedded broker: one line changes."""
    monkeypatch.setenv("STREAMS_SSL_KEY_PASSWORD", "of another program")
    app = App("taxi", broker=f"embedded://{tmp_path}", **SASL)
    with app.connect() as connection:
        assert connection.write("rides", [("k", 1)]) == 1
        connection.flush()
        assert [record.value for record in connection.read("rides")] == [1]


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    """A file that is not there, holds something else, or belongs to another key is named with its setting."""
    authority = trustme.CA()
    ca, text, certificate, key, other = (tmp_path / name for name in ("ca", "text", "certificate", "key", "other"))
    authority.cert_pem.write_to_path(ca)
    text.write_text("no certificate")
    own = authority.issue_cert("ann")
    own.private_key_pem.write_to_path(key)
    certificate.write_bytes(own.cert_chain_pems[0].bytes())
    authority.issue_cert("bob").private_key_pem.write_to_path(other)
    good = {"ca": str(ca), "certificate": str(certificate), "key": str(key), "password": None, "names_host": True}
    assert tls_context(**good).check_hostname
    for change, expected in (
        ({"ca": str(tmp_path / "none")}, "ssl_ca_location: there is no file .*none"),
        ({"ca": str(text)}, "ssl_ca_location: .*text has no certificates in PEM"),
        ({"key": str(tmp_path / "none")}, "ssl_key_location: there is no file"),
        ({"key": str(other)}, "ssl_certificate_location: .*certificate and its key .*other cannot be used"),
    ):
        with pytest.raises(ConfigError, match=expected):
            tls_context(**good | change)

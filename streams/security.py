"""How a secured broker is talked to: which settings go together, and the TLS context that they make.

Names are Kafka's where Kafka Streams has them, and librdkafka's where it keeps things in JAAS entries and Java's key
stores, which Python has none of. Rules: what does not go together is refused with the configuration; files are read when
a connection is to be made, since a program may be looked at where they are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streams.addresses import KAFKA
from streams.errors import ConfigError

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
OAUTH = "OAUTHBEARER"
_LOGIN = ("sasl_username", "sasl_password")
_TOKEN = ("sasl_oauth_token_provider",)
_EXTENSIONS = "sasl_oauthbearer_extensions"
_FILES = ("ssl_ca_location", "ssl_certificate_location", "ssl_key_location", "ssl_key_password")
_TLS = (*_FILES, "ssl_context")


def check_security(values: Mapping[str, Any]) -> None:
    """What is said of TLS and logins, by name, makes sense together for a broker at kafka://. Raises: ConfigError."""
    if not values["broker"].startswith(KAFKA):
        return  # the embedded one needs none of it, and a password may well be in the environment
    protocol = values.get("security_protocol", PROTOCOLS[0])
    mechanism = values.get("sasl_mechanism")
    if protocol.startswith("SASL_"):
        _check_login(protocol, mechanism, values)
    else:
        _refuse(values, ("sasl_mechanism", *_LOGIN, *_TOKEN), "SASL_SSL or SASL_PLAINTEXT", protocol)
    if protocol.endswith("SSL"):
        _check_tls(values)
    else:
        _refuse(values, _TLS, "SSL or SASL_SSL", protocol)


def _check_login(protocol: str, mechanism: str | None, values: Mapping[str, Any]) -> None:
    if mechanism is None:
        raise ConfigError(f"security_protocol={protocol} needs sasl_mechanism: one of {', '.join(MECHANISMS)}")
    needed, other = (_TOKEN, _LOGIN) if mechanism == OAUTH else (_LOGIN, _TOKEN)
    missing = [name for name in needed if values.get(name) is None]
    if missing:
        raise ConfigError(f"sasl_mechanism={mechanism} needs {' and '.join(missing)}")
    extra = [name for name in other if values.get(name) is not None]
    if mechanism != OAUTH and values.get(_EXTENSIONS):
        extra.append(_EXTENSIONS)
    if extra:
        raise ConfigError(f"sasl_mechanism={mechanism} has no use for {' and '.join(extra)}: leave it out")


def _check_tls(values: Mapping[str, Any]) -> None:
    context = values.get("ssl_context")
    if context is not None:
        import ssl  # takes longer to import than all that an App in the clear needs of this module

        if not isinstance(context, ssl.SSLContext):
            raise ConfigError(f"ssl_context: expected an ssl.SSLContext, given in Python, got {type(context).__name__}")
        beside = [name for name in _FILES if values.get(name) is not None]
        if beside:
            raise ConfigError(f"ssl_context and {' and '.join(beside)} say the same: give one or the other")
    elif values.get("ssl_key_location") and not values.get("ssl_certificate_location"):
        raise ConfigError("ssl_key_location needs ssl_certificate_location, the certificate of that key")


def _refuse(values: Mapping[str, Any], names: tuple[str, ...], wanted: str, protocol: str) -> None:
    said = [name for name in names if values.get(name) is not None]
    if said:
        raise ConfigError(
            f"{' and '.join(said)}: only used with security_protocol={wanted}, which is {protocol}: set it, or leave these out"
        )


def tls_context(
    *,
    ca: str | None,
    certificate: str | None,
    key: str | None,
    password: str | None,
    names_host: bool,
) -> Any:
    """A client's `ssl.SSLContext` from files in PEM. Raises: ConfigError that names the setting and the file."""
    import ssl

    for name, path in (
        ("ssl_ca_location", ca),
        ("ssl_certificate_location", certificate),
        ("ssl_key_location", key),
    ):
        if path is not None and not Path(path).is_file():
            raise ConfigError(f"{name}: there is no file {path}")
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca)
    except (OSError, ValueError) as error:
        raise ConfigError(f"ssl_ca_location: {ca} has no certificates in PEM: {error}") from error
    context.check_hostname = names_host
    if certificate is not None:
        try:
            context.load_cert_chain(certificate, key, password or "")
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"ssl_certificate_location: {certificate} and its key {key or '(in the same file)'} cannot be used: {error}; "
                "expected PEM, a key that belongs to the certificate, and ssl_key_password where it is encrypted"
            ) from error
    return context

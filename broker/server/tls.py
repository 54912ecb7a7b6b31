"""The TLS context of a listener, from PEM files by Kafka's names, and what has to be there for a protocol."""

import ssl
from pathlib import Path

from broker.config import BrokerConfig, protocol_of
from broker.errors import ConfigError

_ASKS = {"none": ssl.CERT_NONE, "requested": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


def server_context(config: BrokerConfig) -> ssl.SSLContext:
    """The context of a listener with TLS. Raises: ConfigError that names the setting and the file."""
    store = config.ssl_keystore_location
    if not store:
        raise ConfigError(
            f"{protocol_of(config.listeners)} needs ssl.keystore.location: a file in PEM with a private key and its certificates"
        )
    _check_file("ssl.keystore.location", store)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(store, password=config.ssl_key_password)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"ssl.keystore.location: {store} cannot be used: {error}; expected a private key and its certificates in PEM, and "
            "ssl.key.password where the key is encrypted"
        ) from error
    _trust(context, config)
    return context


def _trust(context: ssl.SSLContext, config: BrokerConfig) -> None:
    """Ask clients for certificates, if that is set."""
    trusted, asks = config.ssl_truststore_location, config.ssl_client_auth
    if asks != "none" and not trusted:
        raise ConfigError(
            f"ssl.client.auth={asks} needs ssl.truststore.location: a file in PEM with the certificates that clients' are signed by"
        )
    if trusted:
        _check_file("ssl.truststore.location", trusted)
        try:
            context.load_verify_locations(trusted)
        except (OSError, ValueError) as error:
            raise ConfigError(f"ssl.truststore.location: {trusted} has no certificates in PEM: {error}") from error
    context.verify_mode = _ASKS[asks]


def _check_file(name: str, path: str) -> None:
    if not Path(path).is_file():
        raise ConfigError(f"{name}: there is no file {path}")

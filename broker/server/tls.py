"""TLS of a listener: its context, from PEM files by Kafka's names, and the handshake before a connection begins."""

import asyncio
import logging
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from pathlib import Path
from typing import Any

from broker.config import BrokerConfig, protocol_of
from broker.errors import ConfigError

logger = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 10.0
SHUTDOWN_SECONDS = 1.0
_ASKS = {"none": ssl.CERT_NONE, "requested": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


class Renewing:
    """The context of the handshakes that begin now: made anew when one of its files is another than before.

    What cannot be used, such as a file that is half written, leaves it as it was. Raises: ConfigError, at first.
    """

    def __init__(self, config: BrokerConfig) -> None:
        self._config = config
        self._paths = list(filter(None, (config.ssl_keystore_location, config.ssl_truststore_location)))
        self._seen = self._files()
        self._context = server_context(config)

    def context(self) -> ssl.SSLContext:
        """With the certificates of this moment."""
        files = self._files()
        if files != self._seen:
            self._seen = files
            try:
                self._context = server_context(self._config)
                logger.info("certificates were read anew from %s", " and ".join(self._paths))
            except ConfigError as error:
                logger.warning("certificates stay as they were: %s", error)
        return self._context

    def _files(self) -> list[tuple[int, ...]]:
        return [_identity(path) for path in self._paths]


def _identity(path: str) -> tuple[int, ...]:
    """What tells a file from the one that was there before; nothing for one that is not there."""
    try:
        found = Path(path).stat()
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size


class Handshake(SSLProtocol):
    """TLS between a socket and `connection`, which hears of its client once the handshake is done.

    `begins` is asked whether one more is welcome, and `ends` told when the handshake is over, either way. asyncio's own
    drops the alert that says why a handshake failed: a client whose certificate is refused would see no more than an end,
    and try again for ever.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: ssl.SSLContext,
        connection: asyncio.BufferedProtocol,
        begins: Callable[["Handshake"], bool],
        ends: Callable[["Handshake"], None],
    ) -> None:
        times = {"ssl_handshake_timeout": HANDSHAKE_SECONDS, "ssl_shutdown_timeout": SHUTDOWN_SECONDS}
        initialize: Any = super().__init__
        initialize(loop, connection, context, None, server_side=True, **times)
        self._begins = begins
        self._ends = ends
        self._socket: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        assert isinstance(transport, asyncio.Transport)
        self._socket = transport
        if self._begins(self):
            super().connection_made(transport)
        else:
            transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The client is gone, or was let go."""
        self._ends(self)
        super().connection_lost(exc)

    def abort(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.abort()

    def _on_handshake_complete(self, handshake_exc: BaseException | None) -> None:
        self._ends(self)
        if isinstance(handshake_exc, ssl.SSLError) and self._socket is not None:
            peer = self._socket.get_extra_info("peername")
            reason = getattr(handshake_exc, "verify_message", None) or handshake_exc.reason
            logger.info("no TLS with %s: %s", peer[0] if peer else "a client", reason)
            outgoing: Any = self
            self._socket.write(outgoing._outgoing.read())
        super()._on_handshake_complete(handshake_exc)


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

"""The broker on the network: accepts connections, watches over silent ones, and notices when nobody is left.

Stops in the order a client would wish: no new connections, answers that are ready leave, then the broker closes its logs.
"""

import asyncio
import errno
import logging
import math
import socket
from collections.abc import Callable, Sequence
from typing import Any

from broker.config import BrokerConfig, parse_listener, protocol_of
from broker.errors import ConfigError
from broker.log.open_files import limit
from broker.server.broker import Broker
from broker.server.connection import Connection
from broker.server.dispatch import dispatch
from broker.server.exchange import Exchange
from broker.server.login import Login
from broker.server.quotas import ANONYMOUS

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 30.0
BACKLOG = 512
"""Connections that may wait to be accepted."""
ACCEPTED_AT_ONCE = 8
"""Less than the spare descriptors: only when they are accepted, they are counted, and refused if they are too many."""
WARN_SECONDS = 10.0
"""Between two warnings of the same kind: connections that are too many come in bursts."""
PORT_ATTEMPTS = 20
OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
SPARE_DESCRIPTORS = 64
"""Kept for what is opened for a moment: checkpoints, snapshots, indexes, compaction, and the connection that is refused."""


class Listener:
    """One listening socket and its connections. `on_idle` is called after `idle_seconds` without any.

    Raises: ConfigError, for TLS without what it needs.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._secured = self._tls(broker.config)
        self._asks_for_login = protocol_of(broker.config.listeners).startswith("SASL")
        self._loop = broker.loop
        self._connections: set[Connection] = set()
        self._handshakes: set[Any] = set()
        """Of TLS, that are under way: who is slow there takes a descriptor as well."""
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_seconds = 0.0
        self._on_idle: Callable[[], None] | None = None
        self._files = limit()
        self._warned_at: dict[str, float] = {}

    async def start(self) -> tuple[str, int]:
        """Listen; (host, port) that clients should connect to. Raises: ConfigError, if that cannot be."""
        host, port = parse_listener(self._broker.config.listeners)
        try:
            sockets = bind(host, port)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConfigError(
                f"cannot listen on {host}:{port} ({reason}); stop what uses the port, or choose another with --listen"
            ) from error
        for bound in sockets:
            self._servers.append(await self._loop.create_server(self._accept, sock=bound, backlog=ACCEPTED_AT_ONCE))
            # asyncio has one number for how many wait, and how many of them it accepts in one turn
            bound.listen(BACKLOG)
        self._loop.set_exception_handler(self._failed)
        port = sockets[0].getsockname()[1]
        self._broker.advertise(host, port)
        if self._asks_for_login and not self._broker.dynamic.credentials:
            logger.warning(
                "nobody can log in: add users with `streams broker add-user DIR NAME` while this broker is stopped"
            )
        self._sweep()
        return host, port

    def stop_when_idle(self, seconds: float, on_idle: Callable[[], None]) -> None:
        """Call back once no client has been connected for `seconds`."""
        self._idle_seconds = seconds
        self._on_idle = on_idle
        self._look_idle()

    async def stop(self) -> None:
        """Close the port and every connection."""
        for timer in (self._sweeper, self._idle_timer):
            if timer is not None:
                timer.cancel()
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.finish()
        for handshake in list(self._handshakes):
            handshake.abort()
        await asyncio.sleep(0)

    def _accept(self) -> asyncio.BufferedProtocol:
        config = self._broker.config
        most = config.socket_request_max_bytes
        encrypted = self._secured is not None
        connection = Connection(self, self._loop, most, config.queued_max_requests, encrypted=encrypted)
        if self._asks_for_login:
            Login(self._broker, self.dispatch, connection).begin()
        return connection if self._secured is None else self._secured(connection)

    def _tls(self, config: BrokerConfig) -> Callable[[Connection], asyncio.BufferedProtocol] | None:
        """What puts TLS before a connection; None without it. Raises: ConfigError."""
        if not protocol_of(config.listeners).endswith("SSL"):
            return None
        from broker.server.tls import Handshake, Renewing  # a listener without TLS starts without Python's ssl

        renewing = Renewing(config)
        return lambda connection: Handshake(
            self._loop, renewing.context(), connection, self._handshake_begins, self._handshakes.discard
        )

    def _handshake_begins(self, handshake: Any) -> bool:
        """Whether one more is welcome."""
        if self._has_room(1):
            self._handshakes.add(handshake)
            return True
        return False

    # ---- what connections ask for

    def dispatch(
        self, frame: memoryview, host: str, release: Callable[[], None], user: str | None = ANONYMOUS
    ) -> Exchange:
        """Begin to serve a request. Raises: MalformedRequest."""
        return dispatch(self._broker, frame, host, release, user)

    def connected(self, connection: Connection) -> bool:
        """Whether one more connection is welcome."""
        self._connections.add(connection)
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if not self._has_room():
            return False
        quotas = self._broker.quotas
        if quotas.connection_limits and (throttle_ms := quotas.connection_throttled_ms(connection.host)):
            connection.keep_waiting(throttle_ms)
        return True

    def _has_room(self, more: int = 0) -> bool:
        """Whether so many connections may be open: as many as are allowed, and as leave the logs their descriptors."""
        allowed = self._broker.config.max_connections
        reserve = min(SPARE_DESCRIPTORS, self._files // 8)
        bearable = max(1, self._files - self._broker.directory.files.capacity - reserve)
        if len(self._connections) + len(self._handshakes) + more <= min(allowed, bearable):
            return True
        self._warn(
            "refusing connections: %d are open, all that %s",
            min(allowed, bearable),
            "max.connections allows"
            if allowed <= bearable
            else f"a limit of {self._files:,} open files (ulimit -n) leaves beside those of the logs",
        )
        return False

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Nobody else may hear of it; a connection that could not be accepted waits, and asyncio tries again in a second."""
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in OUT_OF_RESOURCES and "socket" in context:
            self._warn(
                "connections wait, for the system gives no more (%s): allow this process more than %d open files (ulimit -n), or "
                "set max.connections lower",
                error.strerror,
                self._files,
            )
        else:
            loop.default_exception_handler(context)

    def _warn(self, message: str, *values: Any) -> None:
        """Log it, but not again and again."""
        now = self._loop.time()
        if now - self._warned_at.get(message, -math.inf) >= WARN_SECONDS:
            self._warned_at[message] = now
            logger.warning(message, *values)

    def disconnected(self, connection: Connection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)
        self._look_idle()

    # ---- time

    def _sweep(self) -> None:
        """Close connections that were silent, or did not read their answers, for too long."""
        limit = self._broker.config.connections_max_idle_ms / 1000
        if limit > 0:
            oldest = self._loop.time() - limit
            for connection in [c for c in self._connections if c.active_at < oldest and not c.waiting]:
                connection.close(f"silent for {limit:g} s")
        self._sweeper = self._loop.call_later(min(SWEEP_SECONDS, limit) if limit > 0 else SWEEP_SECONDS, self._sweep)

    def _look_idle(self) -> None:
        if self._on_idle is not None and not self._connections and self._idle_timer is None:
            self._idle_timer = self._loop.call_later(self._idle_seconds, self._on_idle)


def bind(host: str, port: int) -> list[socket.socket]:
    """A socket for each address of `host`, all on one port; a free one for port 0. Raises: OSError.

    `localhost` is two addresses, and a client that is told the name may try either.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    for attempt in range(PORT_ATTEMPTS):
        try:
            return _bind_all(addresses, port)
        except OSError as error:
            if port or error.errno != errno.EADDRINUSE or attempt == PORT_ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def _bind_all(addresses: Sequence[tuple[int, Any]], port: int) -> list[socket.socket]:
    bound: list[socket.socket] = []
    try:
        for family, address in addresses:
            listening = _bind_one(family, (address[0], port, *address[2:]))
            if listening is not None:
                bound.append(listening)
                port = listening.getsockname()[1]
    except OSError:
        for listening in bound:
            listening.close()
        raise
    if not bound:
        raise OSError(errno.EADDRNOTAVAIL, "none of its addresses exists on this machine")
    return bound


def _bind_one(family: int, address: Any) -> socket.socket | None:
    """A listening socket; None for an address this machine does not have, such as ::1 without IPv6."""
    try:
        listening = socket.socket(family, socket.SOCK_STREAM)
    except OSError:
        return None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRNOTAVAIL:
            return None
        raise
    return listening

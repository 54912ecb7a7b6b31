"""A login by SASL: what stands before the requests of a connection until somebody has proved who they are.

A client may ask for the API versions, then names a mechanism (SaslHandshake), and then sends tokens until it is admitted:
in SaslAuthenticate requests or, after a handshake of version 0, as they are, with nothing but their length before them.
Anything else closes the connection, and so does a login that fails, a moment after it was told. A request that comes in the
place of a token is told so first.

With `connections.max.reauth.ms` the client is told how long it is admitted (KIP-368). It logs in again before that, over the
same connection, by the same mechanism and as the same user; the first request after it that is no new login closes the
connection. Nobody may log in again twice within a second: that is answered as where nobody is asked to.
Source: Kafka's SaslServerAuthenticator, KafkaChannel and SocketServer.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from broker.credentials import PLAIN, SCRAMS, Credential, LoginRefused, ScramServer, is_password, plain_login
from broker.errors import ErrorCode, MalformedRequest
from broker.protocol.apis import ApiKey, served
from broker.protocol.framing import MIN_HEADER_BYTES, RequestHeader, parse_request_header
from broker.protocol.messages import decode_request, has_error_code, has_error_message
from broker.server.broker import Broker
from broker.server.connection import Dispatch
from broker.server.exchange import Exchange

logger = logging.getLogger(__name__)

MAX_TOKEN_BYTES = 524_288
"""Of a stranger's requests, as Kafka's sasl.server.max.receive.size."""
FAILED_SECONDS = 0.1
"""How long a refused client waits for the end, as with Kafka's connection.failed.authentication.delay.ms."""
AGAIN_SECONDS = 1.0
"""Least time between two logins of one connection."""
_HANDSHAKE = ApiKey.SASL_HANDSHAKE.to_bytes(2, "big")
"""How a request begins that asks for a login."""
_BARE = RequestHeader(ApiKey.SASL_AUTHENTICATE, 0, 0, "", 0)


class Serve(Protocol):
    """Begins to serve a request for a user, or for nobody in particular."""

    def __call__(self, frame: memoryview, host: str, release: Callable[[], None], user: str | None) -> Exchange:
        """Raises: MalformedRequest."""
        ...


class Client(Protocol):
    """A connection, as a login needs it."""

    def serve_by(self, dispatch: Dispatch, least: int, most: int) -> None:
        """Have the next requests served by `dispatch`; they take from `least` to `most` bytes."""
        ...

    def finish(self) -> None:
        """Hang up after the answers that are ready have left."""
        ...


class Login:
    """One connection's, which it serves from `begin` on; who is admitted is served by `dispatch`."""

    def __init__(self, broker: Broker, dispatch: Serve, client: Client) -> None:
        self._broker = broker
        self._serve = dispatch
        self._client = client
        self._admitted_as: tuple[str | None, str] | None = None
        """Mechanism and user of the login before."""
        self._begun_at = self._ends_at = -math.inf
        """When the last login after the first one began, and until when the client is admitted, in the loop's time."""
        self._restart()

    def _restart(self) -> None:
        """Nothing was said of this login yet."""
        self._mechanism: str | None = None
        self._bare = False
        """Whether tokens come without a request around them."""
        self._scram: ScramServer | None = None
        self._busy = False
        """Whether a token is looked at, or one was refused: nothing may come then."""

    def begin(self) -> None:
        """Serve the client's requests from now on, until it is admitted."""
        self._client.serve_by(self._dispatch, 1, MAX_TOKEN_BYTES)

    def _dispatch_for_a_time(self, frame: memoryview, host: str, release: Callable[[], None]) -> Exchange:
        """Serve a request of a client that has to log in again. Raises: MalformedRequest."""
        now = self._broker.loop.time()
        if frame[:2] == _HANDSHAKE:
            if now - self._begun_at >= AGAIN_SECONDS:
                self._begun_at = now
                self._restart()
                self.begin()
                return self._dispatch(frame, host, release)
        elif now > self._ends_at:
            raise MalformedRequest("its login has expired, and it did not log in again")
        return self._serve_user(frame, host, release)

    def _serve_user(self, frame: memoryview, host: str, release: Callable[[], None]) -> Exchange:
        """Serve a request of a client that has logged in. Raises: MalformedRequest."""
        assert self._admitted_as is not None
        return self._serve(frame, host, release, self._admitted_as[1])

    def _dispatch(self, frame: memoryview, host: str, release: Callable[[], None]) -> Exchange:
        """Serve a request of a client that has not logged in. Raises: MalformedRequest."""
        if self._busy:
            raise MalformedRequest("a request came before the login was answered")
        if self._bare:
            exchange = Exchange(_BARE, host, release)
            self._token(exchange, bytes(frame))
            return exchange
        header = parse_request_header(frame)
        if header.api_key == ApiKey.API_VERSIONS and self._mechanism is None:
            return self._serve(frame, host, release, None)
        expected = ApiKey.SASL_HANDSHAKE if self._mechanism is None else ApiKey.SASL_AUTHENTICATE
        foreign = header.api_key != expected
        reason = f"API key {header.api_key} version {header.version} came where a login needs {expected.name}"
        if not served(header.api_key, header.version) or (foreign and self._mechanism is None):
            raise MalformedRequest(reason)
        request = decode_request(header.api_key, header.version, frame, header.body_offset)
        exchange = Exchange(header, host, release)
        if foreign:
            self._refuse_foreign(exchange, reason)
            return exchange
        if expected is ApiKey.SASL_HANDSHAKE:
            self._handshake(exchange, request.mechanism)
        else:
            self._token(exchange, bytes(request.auth_bytes))
        return exchange

    def _handshake(self, exchange: Exchange, mechanism: str) -> None:
        enabled = self._broker.config.sasl_enabled_mechanisms
        if mechanism not in enabled:
            self._end(exchange, f"there is no login by {mechanism!r}")
            exchange.answer({"error_code": ErrorCode.UNSUPPORTED_SASL_MECHANISM, "mechanisms": enabled})
            return
        self._mechanism, self._bare = mechanism, exchange.version == 0
        if mechanism != PLAIN:
            scram = SCRAMS[mechanism]
            self._scram = ScramServer(scram.digest, lambda user: self._kept(user).get(str(scram.number)))
        exchange.answer({"error_code": ErrorCode.NONE, "mechanisms": enabled})

    def _kept(self, user: str) -> Mapping[str, Credential]:
        return self._broker.dynamic.credentials.get(user, {})

    def _token(self, exchange: Exchange, token: bytes) -> None:
        before = self._admitted_as
        if before is not None and before[0] != self._mechanism:  # Kafka, too, lets the handshake pass
            raise MalformedRequest(f"it logged in by {before[0]} before, and now wants {self._mechanism}")
        try:
            if self._scram is None:
                self._check_password(exchange, *plain_login(token))
            elif not self._scram.begun:
                self._reply(exchange, self._scram.first(token))
            else:
                proof = self._scram.final(token)
                self._admitted(exchange, self._scram.user, proof)
        except LoginRefused as refused:
            self._refuse(exchange, str(refused))

    def _check_password(self, exchange: Exchange, user: str, password: str) -> None:
        """In a thread: it takes as long as guessing a password should."""
        self._busy = True
        check = self._broker.loop.run_in_executor(None, is_password, password, self._kept(user))

        def checked(done: asyncio.Future[bool]) -> None:
            self._busy = False
            if not done.cancelled() and done.exception() is None and done.result():
                self._admitted(exchange, user, b"")
            else:
                self._refuse(exchange, "invalid credentials")

        check.add_done_callback(checked)

    def _admitted(self, exchange: Exchange, user: str, proof: bytes) -> None:
        if self._admitted_as is not None and self._admitted_as[1] != user:
            self._refuse(exchange, f"this connection is of {self._admitted_as[1]!r}, and {user!r} needs another")
            return
        logger.debug("%s logged in from %s by %s", user, exchange.host, self._mechanism)
        config = self._broker.config
        lifetime_ms = max(config.connections_max_reauth_ms, 0)
        self._admitted_as = (self._mechanism, user)
        self._ends_at = self._broker.loop.time() + lifetime_ms / 1000
        dispatch = self._dispatch_for_a_time if lifetime_ms else self._serve_user
        self._client.serve_by(dispatch, MIN_HEADER_BYTES, config.socket_request_max_bytes)
        self._reply(exchange, proof, lifetime_ms)

    def _reply(self, exchange: Exchange, token: bytes, lifetime_ms: int = 0) -> None:
        if self._bare:
            exchange.answer_frame([len(token).to_bytes(4, "big") + token])
        else:
            body: dict[str, Any] = {"error_message": None, "auth_bytes": token, "session_lifetime": lifetime_ms}
            exchange.answer({"error_code": ErrorCode.NONE, **body})

    def _refuse(self, exchange: Exchange, reason: str) -> None:
        self._end(exchange, reason)
        if not self._bare:
            message = f"Authentication by {self._mechanism} failed: {reason}"
            body: dict[str, Any] = {"error_message": message, "auth_bytes": b""}
            exchange.answer({"error_code": ErrorCode.SASL_AUTHENTICATION_FAILED, **body})

    def _refuse_foreign(self, exchange: Exchange, reason: str) -> None:
        """A request that comes in the place of a token is told so, where its answer can say it as a whole.

        Raises: MalformedRequest.
        """
        if not has_error_code(exchange.api_key, exchange.version):
            raise MalformedRequest(reason)
        self._end(exchange, reason)
        body: dict[str, Any] = {"error_code": ErrorCode.ILLEGAL_SASL_STATE}
        if has_error_message(exchange.api_key, exchange.version):
            body["error_message"] = reason
        exchange.answer(body)

    def _end(self, exchange: Exchange, reason: str) -> None:
        logger.warning("refusing a login from %s: %s", exchange.host, reason)
        self._busy = True
        self._broker.loop.call_later(FAILED_SECONDS, self._client.finish)

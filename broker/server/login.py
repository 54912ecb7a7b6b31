"""A login by SASL: what stands before the requests of a connection until somebody has proved who they are.

A client may ask for the API versions, then names a mechanism (SaslHandshake), and then sends tokens until it is admitted:
in SaslAuthenticate requests or, after a handshake of version 0, as they are, with nothing but their length before them.
Anything else closes the connection, and so does a login that fails, a moment after it was told.
Source: Kafka's SaslServerAuthenticator.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from broker.credentials import PLAIN, SCRAMS, Credential, LoginRefused, ScramServer, is_password, plain_login
from broker.errors import ErrorCode, MalformedRequest
from broker.protocol.apis import ApiKey, served
from broker.protocol.framing import RequestHeader, parse_request_header
from broker.protocol.messages import decode_request
from broker.server.broker import Broker
from broker.server.connection import Dispatch
from broker.server.exchange import Exchange

logger = logging.getLogger(__name__)

MAX_TOKEN_BYTES = 524_288
"""Of a stranger's requests, as Kafka's sasl.server.max.receive.size."""
FAILED_SECONDS = 0.1
"""How long a refused client waits for the end, as with Kafka's connection.failed.authentication.delay.ms."""
_BARE = RequestHeader(ApiKey.SASL_AUTHENTICATE, 0, 0, "", 0)


class Login:
    """One connection's. `dispatch` serves what may be asked before; `admit` and `hang_up` end it."""

    def __init__(
        self, broker: Broker, dispatch: Dispatch, admit: Callable[[], None], hang_up: Callable[[], None]
    ) -> None:
        self._broker = broker
        self._dispatch = dispatch
        self._admit = admit
        self._hang_up = hang_up
        self._mechanism: str | None = None
        self._bare = False
        """Whether tokens come without a request around them."""
        self._scram: ScramServer | None = None
        self._busy = False
        """Whether a token is looked at, or one was refused: nothing may come then."""

    def dispatch(self, frame: memoryview, host: str, release: Callable[[], None]) -> Exchange:
        """Serve a request of a client that has not logged in. Raises: MalformedRequest."""
        if self._busy:
            raise MalformedRequest("a request came before the login was answered")
        if self._bare:
            exchange = Exchange(_BARE, host, release)
            self._token(exchange, bytes(frame))
            return exchange
        header = parse_request_header(frame)
        if header.api_key == ApiKey.API_VERSIONS and self._mechanism is None:
            return self._dispatch(frame, host, release)
        expected = ApiKey.SASL_HANDSHAKE if self._mechanism is None else ApiKey.SASL_AUTHENTICATE
        if header.api_key != expected or not served(header.api_key, header.version):
            raise MalformedRequest(
                f"API key {header.api_key} version {header.version} came where a login needs {expected.name}"
            )
        request = decode_request(header.api_key, header.version, frame, header.body_offset)
        exchange = Exchange(header, host, release)
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
        credentials = self._kept(user)
        if not credentials:
            raise LoginRefused("invalid credentials")
        self._busy = True
        check = self._broker.loop.run_in_executor(None, is_password, password, credentials)

        def checked(done: asyncio.Future[bool]) -> None:
            self._busy = False
            if not done.cancelled() and done.exception() is None and done.result():
                self._admitted(exchange, user, b"")
            else:
                self._refuse(exchange, "invalid credentials")

        check.add_done_callback(checked)

    def _admitted(self, exchange: Exchange, user: str, proof: bytes) -> None:
        logger.debug("%s logged in from %s by %s", user, exchange.host, self._mechanism)
        self._admit()
        self._reply(exchange, proof)

    def _reply(self, exchange: Exchange, token: bytes) -> None:
        if self._bare:
            exchange.answer_frame([len(token).to_bytes(4, "big") + token])
        else:
            exchange.answer({"error_code": ErrorCode.NONE, "error_message": None, "auth_bytes": token})

    def _refuse(self, exchange: Exchange, reason: str) -> None:
        self._end(exchange, reason)
        if not self._bare:
            message = f"Authentication by {self._mechanism} failed: {reason}"
            body: dict[str, Any] = {"error_message": message, "auth_bytes": b""}
            exchange.answer({"error_code": ErrorCode.SASL_AUTHENTICATION_FAILED, **body})

    def _end(self, exchange: Exchange, reason: str) -> None:
        logger.warning("refusing a login from %s: %s", exchange.host, reason)
        self._busy = True
        self._broker.loop.call_later(FAILED_SECONDS, self._hang_up)

"""A connection of aiokafka's that knows how long its login lasts, and can log in again.

aiokafka does not look at what brokers with `connections.max.reauth.ms` say of that (KIP-368), and is hung up on.
"""

from __future__ import annotations

import random
from typing import Any

from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.admin import SaslAuthenticateRequest

SHARE, SPREAD = 0.85, 0.1
"""After which part of its time a login is renewed, as in Kafka's clients: not all at the same moment."""


class LoginConnection(AIOKafkaConnection):
    """`renew_after_s` is when to log in again after a login; None for never."""

    renew_after_s: float | None = None

    def send(self, request: Any, expect_response: bool = True) -> Any:
        """Send a request, and wait for its answer; see aiokafka's."""
        send: Any = super().send
        sent = send(request, expect_response)
        return self._noted(sent) if type(request) is SaslAuthenticateRequest else sent

    async def _noted(self, sent: Any) -> Any:
        answer = await sent
        lasts_ms = getattr(answer, "session_lifetime_ms", 0)
        share = SHARE + random.random() * SPREAD  # noqa: S311  no secret
        self.renew_after_s = lasts_ms / 1000 * share if lasts_ms > 0 else None
        return answer

    async def log_in_again(self) -> None:
        """As when the connection was made. Raises: KafkaError, OSError, TimeoutError."""
        log_in: Any = self._do_sasl_handshake
        await log_in()


async def connected(host: str, port: int, **settings: Any) -> Any:
    """Such a connection, with TLS and a login as configured. Raises: OSError, TimeoutError, KafkaError."""
    make: Any = LoginConnection
    connection = make(host, port, **settings)
    await connection.connect()
    return connection

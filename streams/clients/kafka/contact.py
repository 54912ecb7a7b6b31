"""First contact with a cluster: by TLS and with a login as configured, tried until a broker answers, or why none can.

What no waiting changes (a certificate, a password, the wrong port) ends the attempt at once and says what to set.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiokafka.abc import AbstractTokenProvider
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    RequestTimedOutError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from streams.clients.kafka.cluster_client import Unmet, cluster_client
from streams.config import StreamsConfig
from streams.errors import BrokerUnreachable, ClientError
from streams.security import OAUTH, tls_context

log = logging.getLogger(__name__)

RETRY_EVERY_S = 0.1
WAITING_EVERY_S = 2.0
_OF_ANOTHER_HOST = (62, 64)
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""


def security_of(config: StreamsConfig) -> dict[str, Any]:
    """What aiokafka has to know of TLS and the login. Raises: ConfigError for files that are not there or not right."""
    settings: dict[str, Any] = {"security_protocol": config.security_protocol}
    if config.security_protocol.endswith("SSL"):
        settings["ssl_context"] = config.ssl_context or tls_context(
            ca=config.ssl_ca_location,
            certificate=config.ssl_certificate_location,
            key=config.ssl_key_location,
            password=config.ssl_key_password,
            names_host=config.ssl_endpoint_identification_algorithm == "https",
        )
    if config.security_protocol.startswith("SASL_"):
        settings["sasl_mechanism"] = config.sasl_mechanism
        if config.sasl_mechanism == OAUTH:
            settings["sasl_oauth_token_provider"] = _Tokens(
                config.sasl_oauth_token_provider, config.sasl_oauthbearer_extensions
            )
        else:
            settings["sasl_plain_username"] = config.sasl_username
            settings["sasl_plain_password"] = config.sasl_password
    return settings


class _Tokens(AbstractTokenProvider):
    """A user's function as aiokafka wants it; what it raises is a failed connection, to be tried again."""

    def __init__(self, provider: Callable[[], Any], extensions: Mapping[str, str]) -> None:
        self._provider = provider
        self._extensions = dict(extensions)

    def extensions(self) -> dict[str, str]:
        """What goes beside the token."""
        return self._extensions

    async def token(self) -> str:
        """A token, asked for off the loop unless the function is a coroutine function."""
        try:
            if inspect.iscoroutinefunction(self._provider):
                token = await self._provider()
            else:
                token = await asyncio.to_thread(self._provider)
        except Exception as error:
            raise AuthenticationFailedError(
                f"sasl_oauth_token_provider raised {type(error).__name__}: {error}"
            ) from error
        if not isinstance(token, str):
            raise AuthenticationFailedError(
                f"sasl_oauth_token_provider: expected it to return a token as text, got {type(token).__name__}"
            )
        return token


async def connect(
    bootstrap: Sequence[str],
    *,
    timeout_s: float,
    given_up: Callable[[], bool],
    security: dict[str, Any],
    **settings: Any,
) -> AIOKafkaClient:
    """A client that has met a broker, tried for up to `timeout_s`, or until it is given up.

    Raises: BrokerUnreachable that names the addresses; ClientError for a broker that will not talk to this client.
    """
    client = cluster_client(bootstrap_servers=list(bootstrap), **security, **settings)
    begun = said = time.monotonic()
    while True:
        try:
            await client.bootstrap()
        except asyncio.CancelledError:
            await client.close()
            raise
        except Unmet as unmet:
            reason = _reason(unmet, security)
            now = time.monotonic()
            if type(reason) is ClientError or now >= begun + timeout_s or given_up():
                await client.close()
                if type(reason) is ClientError:
                    raise reason from reason.__cause__
                raise _unreachable(bootstrap, timeout_s, reason, security) from unmet
            if now - said >= WAITING_EVERY_S:
                said = now
                log.warning(
                    "waiting for a broker at %s, for %.0f of %g s", ", ".join(bootstrap), now - begun, timeout_s
                )
            await asyncio.sleep(RETRY_EVERY_S)
        else:
            return client


def _reason(unmet: Unmet, security: dict[str, Any]) -> Exception:
    """Why no broker can be met: the first reason that no waiting changes, as ClientError, else the last one."""
    for address, error in unmet.failures:
        text = _hopeless(error, security)
        if text is not None:
            refused = ClientError(f"{address} {text}")
            refused.__cause__ = error
            return refused
    return unmet.failures[-1][1]


def _hopeless(error: Exception, security: dict[str, Any]) -> str | None:
    """What is the matter, after "host:port", and what to do, if no waiting changes it."""
    cause = error if isinstance(error, ssl.SSLError) else error.__cause__
    protocol = security["security_protocol"]
    if isinstance(cause, ssl.SSLCertVerificationError):
        cure = (
            "connect by a name that is in it, or set ssl_endpoint_identification_algorithm=none"
            if cause.verify_code in _OF_ANOTHER_HOST
            else "name a file with its authority's certificate in ssl_ca_location"
        )
        return f"has a certificate that is not trusted ({cause.verify_message}): {cure}"
    if isinstance(cause, ssl.SSLError):
        if "ALERT" in (cause.reason or ""):
            return (
                f"does not accept this client's TLS ({cause.reason}): if it asks for a certificate, set "
                "ssl_certificate_location to one that its authorities signed"
            )
        return f"does not speak TLS ({cause.reason}), but security_protocol is {protocol}: correct it, or the port"
    if isinstance(error, SaslAuthenticationFailed):
        who = security.get("sasl_plain_username")
        return (
            f"refuses the login{f' of {who!r}' if who else ''} by {security['sasl_mechanism']} ({_said(error)}): correct "
            f"{'sasl_username and sasl_password' if who else 'what sasl_oauth_token_provider returns'}"
        )
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"has no login by {security['sasl_mechanism']}: set sasl_mechanism to one of its sasl.enabled.mechanisms"
    if isinstance(error, IllegalSaslStateError):
        return f"expects no login, but security_protocol is {protocol}: set {protocol.removeprefix('SASL_')}, or correct the port"
    return None


def _unreachable(
    bootstrap: Sequence[str], timeout_s: float, reason: Exception | None, security: dict[str, Any]
) -> BrokerUnreachable:
    """What to say when time is over."""
    begin = f"no broker answers at {', '.join(bootstrap)} (tried for {timeout_s:g} s)"
    if isinstance(reason, AuthenticationFailedError):
        return BrokerUnreachable(f"{begin}: {_said(reason)}")
    if isinstance(reason, KafkaConnectionError | ConnectionResetError | BrokenPipeError):
        protocol = security["security_protocol"]
        or_else = ", or a certificate (ssl_certificate_location)" if protocol.endswith("SSL") else ""
        return BrokerUnreachable(
            f"{begin}: it accepts connections and closes them. security_protocol is {protocol}: does the broker want another "
            f"one at this port{or_else}?"
        )
    if isinstance(reason, TimeoutError | RequestTimedOutError | KafkaTimeoutError):
        return BrokerUnreachable(
            f"{begin}: it does not refuse connections, and says nothing. Is the address right, and does the network let it through?"
        )
    return BrokerUnreachable(f"{begin}: is it running? Start one with `streams broker`, or correct the broker address")


def _said(error: KafkaError) -> str:
    """What the broker says of it, without the error's name."""
    return str(error.args[0]) if error.args and error.args[0] else type(error).__name__

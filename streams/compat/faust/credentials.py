"""How Faust's applications log in to a secured cluster: its classes, and what they say as settings of the runtime.

As in Faust, a context makes a connection TLS and its absence makes it plain; `ssl_context` counts where there are no credentials.
"""

from __future__ import annotations

import ssl
from typing import Any

from streams.compat.faust.errors import ImproperlyConfigured, not_here
from streams.errors import shown
from streams.security import MECHANISMS, OAUTH


class Credentials:
    """Base of all of them."""

    def settings(self) -> dict[str, Any]:
        """The runtime's settings."""
        raise NotImplementedError


class SSLCredentials(Credentials):
    """TLS by a context, or by one that trusts these certificates."""

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        *,
        purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH,
        cafile: str | None = None,
        capath: str | None = None,
        cadata: str | None = None,
    ) -> None:
        self.context = context or ssl.create_default_context(purpose, cafile=cafile, capath=capath, cadata=cadata)

    def settings(self) -> dict[str, Any]:
        """The runtime's settings."""
        return {"security_protocol": "SSL", "ssl_context": self.context}


class SASLCredentials(Credentials):
    """A login by name and password. `mechanism` is one of PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512."""

    def __init__(
        self,
        *,
        username: str | None = None,
        password: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        mechanism: Any = "PLAIN",
    ) -> None:
        self.username = username
        self.password = password
        self.ssl_context = ssl_context
        self.mechanism = str(getattr(mechanism, "value", mechanism or "PLAIN"))
        if self.mechanism not in MECHANISMS or self.mechanism == OAUTH:
            known = ", ".join(each for each in MECHANISMS if each != OAUTH)
            raise ImproperlyConfigured(f"SASLCredentials: expected a mechanism among {known}, got {self.mechanism!r}")

    def __repr__(self) -> str:
        return f"<SASLCredentials: username={self.username}>"

    def settings(self) -> dict[str, Any]:
        """The runtime's settings."""
        login = {"sasl_mechanism": self.mechanism, "sasl_username": self.username, "sasl_password": self.password}
        return _protocol(self.ssl_context) | login


class OAuthCredentials(Credentials):
    """A login by tokens; `oauth_cb` has a coroutine method `token`, and perhaps `extensions`, as aiokafka wants them."""

    def __init__(self, *, oauth_cb: Any, ssl_context: ssl.SSLContext | None = None) -> None:
        if not callable(getattr(oauth_cb, "token", None)):
            raise ImproperlyConfigured(
                f"OAuthCredentials: expected an oauth_cb with a method token, got {shown(oauth_cb)}"
            )
        self.oauth_cb = oauth_cb
        self.ssl_context = ssl_context

    def settings(self) -> dict[str, Any]:
        """The runtime's settings."""
        extensions = self.oauth_cb.extensions() if hasattr(self.oauth_cb, "extensions") else {}
        login = {"sasl_mechanism": OAUTH, "sasl_oauth_token_provider": self.oauth_cb.token}
        return _protocol(self.ssl_context) | login | {"sasl_oauthbearer_extensions": extensions}


def _protocol(context: ssl.SSLContext | None) -> dict[str, Any]:
    if context is None:
        return {"security_protocol": "SASL_PLAINTEXT"}
    return {"security_protocol": "SASL_SSL", "ssl_context": context}


def settings_of(credentials: Any, context: Any) -> dict[str, Any]:
    """Settings of the runtime for what an App is given as `broker_credentials` and `ssl_context`. Raises: ImproperlyConfigured."""
    given = context if credentials is None else credentials
    if given is None:
        return {}
    if isinstance(given, ssl.SSLContext):
        return SSLCredentials(given).settings()
    if isinstance(given, Credentials):
        return given.settings()
    if type(given).__name__ == "GSSAPICredentials":
        raise not_here("faust", "GSSAPICredentials")
    raise ImproperlyConfigured(
        f"broker_credentials: expected an ssl.SSLContext, or SASLCredentials, SSLCredentials or OAuthCredentials of this "
        f"package, got {shown(given)}"
    )

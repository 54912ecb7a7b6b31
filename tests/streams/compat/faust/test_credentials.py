"""Credentials of Faust's applications become settings, as Faust's driver reads them."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import faust as original
import pytest
from aiokafka.abc import AbstractTokenProvider
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
from faust.types.auth import SASLMechanism

from streams.clients.kafka.contact import security_of
from streams.compat import faust
from streams.errors import StreamsError


class Tokens(AbstractTokenProvider):
    """As aiokafka's users write them."""

    async def token(self) -> str:
        return "token"

    def extensions(self) -> dict[str, str]:
        return {"logicalCluster": "lkc-1"}


def security(**settings: Any) -> dict[str, Any]:
    """What aiokafka is told for an App with these settings."""
    return security_of(faust.App("rides", broker="kafka://host", **settings).conf.streams_config())


CONTEXT = ssl.create_default_context()
LOGIN = {"username": "ann", "password": "secret"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (faust.SASLCredentials(**LOGIN), original.SASLCredentials(**LOGIN)),
        (
            faust.SASLCredentials(**LOGIN, ssl_context=CONTEXT, mechanism="SCRAM-SHA-512"),
            original.SASLCredentials(**LOGIN, ssl_context=CONTEXT, mechanism="SCRAM-SHA-512"),
        ),
        (
            faust.SASLCredentials(**LOGIN, mechanism=SASLMechanism.SCRAM_SHA_256),
            original.SASLCredentials(**LOGIN, mechanism=SASLMechanism.SCRAM_SHA_256),
        ),
        (faust.SSLCredentials(CONTEXT), original.SSLCredentials(CONTEXT)),
    ],
)
def test_credentials_say_what_they_say_in_faust(ours: Any, theirs: Any) -> None:
    """The same protocol, mechanism, login and context."""
    told = credentials_to_aiokafka_auth(theirs)
    assert security(broker_credentials=ours) == {name: value for name, value in told.items() if value is not None}


def test_a_context_alone() -> None:
    """It means TLS, as credentials or as ssl_context; credentials go before it, and nothing means nothing."""
    wanted = credentials_to_aiokafka_auth(None, CONTEXT)
    assert security(ssl_context=CONTEXT) == security(broker_credentials=CONTEXT) == wanted
    login = faust.SASLCredentials(**LOGIN)
    assert security(ssl_context=CONTEXT, broker_credentials=login)["security_protocol"] == "SASL_PLAINTEXT"
    assert security() == {"security_protocol": "PLAINTEXT"}


async def _token(told: dict[str, Any]) -> str:
    token: str = await told["sasl_oauth_token_provider"].token()
    return token


def test_tokens_and_what_goes_beside_them() -> None:
    """A provider as aiokafka wants it is asked for its token, and for what the cluster wants beside it."""
    told = security(broker_credentials=faust.OAuthCredentials(oauth_cb=Tokens(), ssl_context=CONTEXT))
    assert (told["security_protocol"], told["sasl_mechanism"], told["ssl_context"]) == (
        "SASL_SSL",
        "OAUTHBEARER",
        CONTEXT,
    )
    assert asyncio.run(_token(told)) == "token"
    assert told["sasl_oauth_token_provider"].extensions() == {"logicalCluster": "lkc-1"}


def test_what_is_no_credential() -> None:
    """Other objects, Kerberos and providers without tokens are refused, and passwords are not shown."""
    for given, expected in (
        (original.SASLCredentials(**LOGIN), "of this package, got <SASLCredentials: username=ann>"),
        (original.GSSAPICredentials(), "no login by Kerberos"),
    ):
        with pytest.raises(StreamsError, match=expected):
            security(broker_credentials=given)
    with pytest.raises(faust.ImproperlyConfigured, match="with a method token"):
        faust.OAuthCredentials(oauth_cb=object())
    with pytest.raises(
        faust.ImproperlyConfigured, match="mechanism among PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, got 'GSSAPI'"
    ):
        faust.SASLCredentials(**LOGIN, mechanism="GSSAPI")
    assert "secret" not in repr(faust.SASLCredentials(**LOGIN))

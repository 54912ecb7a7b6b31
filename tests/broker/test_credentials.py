"""What is kept of passwords, and SCRAM's messages beside the examples of its RFCs."""

from __future__ import annotations

import base64

import pytest

from broker.credentials import LoginRefused, ScramServer, credentials_of, is_password, kept, plain_login, salted

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
FINAL = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
"""Of RFC 7677, with what belongs to them below."""


def pencil(user: str = "user") -> ScramServer:
    """A login of the RFC's user, whose password is `pencil`."""
    credential = kept(salted("pencil", SALT, 4096, "sha256"), SALT, 4096, "sha256")
    return ScramServer("sha256", {user: credential}.get, NONCE)


def test_the_example_of_rfc_7677() -> None:
    """Both messages of the server are those of the RFC."""
    server = pencil()
    assert not server.begun
    assert server.first(FIRST) == f"r=rOprNGfwEbeRWgbNEkqO{NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".encode()
    assert server.begun
    assert server.final(FINAL) == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    assert server.user == "user"


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (b"n,,n=other,r=abc", "invalid credentials"),
        (b"n,a=other,n=user,r=abc", "for another user"),
        (b"n,,n=user,r=abc,tokenauth=true", "no delegation tokens"),
        (b"n,,n=user,r=abc,other=x,tokenauth=TRUE", "no delegation tokens"),
        (b"n,,n=user,r=abc,tokenauth", "cannot be read"),
        (b"n,,n=user,r=abc,token-auth=true", "cannot be read"),
        (b"p=tls-unique,,n=user,r=abc", "cannot be read"),
        (b"n,,m=must,n=user,r=abc", "cannot be read"),
        (b"n,,n=us=er,r=abc", "cannot be read"),
        (b"n,,n=,r=abc", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_first_messages_that_are_refused(first: bytes, reason: str) -> None:
    """Nobody of that name, somebody else's name, bound channels, and what is no message at all."""
    with pytest.raises(LoginRefused, match=reason):
        pencil().first(first)


@pytest.mark.parametrize("extensions", [b",tokenauth=false", b",x=tokenauth=true", b",first=1,second==2="])
def test_extensions_without_meaning(extensions: bytes) -> None:
    """What a client adds is not looked at, as in Kafka, unless it says that the name is a token's."""
    assert pencil().first(FIRST + extensions).startswith(b"r=rOprNGfwEbeRWgbNEkqO")


@pytest.mark.parametrize(
    "final",
    [
        FINAL.replace(b"p=dHzb", b"p=dHzc"),
        FINAL.replace(b"c=biws", b"c=eSws"),
        FINAL.replace(b"$k0", b"$k1"),
        FINAL[:-8],
        FINAL.replace(b"c=biws", b"c=b"),
        b"p=",
    ],
)
def test_final_messages_that_are_refused(final: bytes) -> None:
    """Another proof, header or nonce, a proof that is too short, and what is no message."""
    server = pencil()
    server.first(FIRST)
    with pytest.raises(LoginRefused):
        server.final(final)


def test_names_with_commas() -> None:
    """A comma and an equals sign in a name are written as =2C and =3D."""
    server = pencil("a,b=c")
    server.first(b"n,a=a=2Cb=3Dc,n=a=2Cb=3Dc,r=abc")
    assert server.user == "a,b=c"


def test_passwords_are_not_kept() -> None:
    """Of a password both mechanisms have something, each with a salt of its own, by which it is known again."""
    credentials = credentials_of("secret")
    assert credentials.keys() == {"1", "2"}
    assert credentials["1"]["salt"] != credentials["2"]["salt"]
    assert "secret" not in str(credentials)
    for number, credential in credentials.items():
        assert is_password("secret", {number: credential})
        assert not is_password("Secret", {number: credential})


def test_a_password_of_nobody() -> None:
    """It is looked at like anybody's, and is never right."""
    assert not is_password("secret", {})


def test_plain() -> None:
    """An authorization id, which may be left out, a user and a password."""
    assert plain_login(b"\0ann\0s\xc3\xa4kret") == ("ann", "säkret")
    assert plain_login(b"ann\0ann\0secret") == ("ann", "secret")


@pytest.mark.parametrize(
    "token", [b"", b"ann\0secret", b"\0\0secret", b"\0ann\0", b"bob\0ann\0secret", b"\0a\0\xff", b"\0a\0b\0c"]
)
def test_plain_that_is_none(token: bytes) -> None:
    """Too few parts, too many, an empty one, somebody else's name, and bytes that are no text."""
    with pytest.raises(LoginRefused):
        plain_login(token)

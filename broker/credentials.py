"""What is kept of a user's password, and SCRAM as a server speaks it (RFC 5802): who knows the password can prove it.

Kept are salt, iterations, stored key and server key, never the password nor what is salted of it; PLAIN is checked against
the same. Names and passwords are UTF-8 as they come, without a normal form, as in Kafka's ScramFormatter.

Rules: bytes and dictionaries, no I/O. Must not know requests.
"""

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

MIN_ITERATIONS, MAX_ITERATIONS = 4_096, 16_384


class Scram(NamedTuple):
    """A mechanism: its number in requests, and its digest."""

    number: int
    digest: str


PLAIN = "PLAIN"
SCRAMS = {"SCRAM-SHA-256": Scram(1, "sha256"), "SCRAM-SHA-512": Scram(2, "sha512")}
MECHANISMS = (PLAIN, *SCRAMS)
DIGESTS = {scram.number: scram.digest for scram in SCRAMS.values()}

Credential = Mapping[str, Any]
"""Of one user and mechanism: `iterations`, and in hex `salt`, `stored_key` and `server_key`."""

_NOBODY: Mapping[str, Credential] = {
    "1": {"iterations": MIN_ITERATIONS, "salt": os.urandom(16).hex(), "stored_key": os.urandom(32).hex()}
}
"""Of a user who is not known: no password has these keys."""

_NAME = r"(?:[^\x00=,]|=2C|=3D)+"
_NONCE = r"[\x21-\x2B\x2D-\x7E]+"
_EXTENSIONS = r"(?:,[A-Za-z]+=[^\x00,]+)*"
"""Names of several letters are Kafka's own: RFC 5802 has them of one."""
_FIRST = re.compile(
    rf"(?P<header>n,(?:a=(?P<authorization>{_NAME}))?,)"
    rf"(?P<bare>n=(?P<user>{_NAME}),r=(?P<nonce>{_NONCE})(?P<extensions>{_EXTENSIONS}))"
)
_FINAL = re.compile(
    rf"(?P<without_proof>c=(?P<header>[A-Za-z0-9+/=]+),r=(?P<nonce>{_NONCE}){_EXTENSIONS}),p=(?P<proof>[A-Za-z0-9+/=]+)"
)


class LoginRefused(Exception):  # noqa: N818  it is an answer, not a fault
    """Somebody did not prove who they are; says why, without telling what would have been right."""


def salted(password: str, salt: bytes, iterations: int, digest: str) -> bytes:
    """SCRAM's SaltedPassword; takes milliseconds, by intention."""
    return hashlib.pbkdf2_hmac(digest, password.encode(), salt, iterations)


def kept(salted_password: bytes, salt: bytes, iterations: int, digest: str) -> dict[str, Any]:
    """What is kept of a salted password: a Credential."""
    client_key = hmac.digest(salted_password, b"Client Key", digest)
    return {
        "iterations": iterations,
        "salt": salt.hex(),
        "stored_key": hashlib.new(digest, client_key).hexdigest(),
        "server_key": hmac.digest(salted_password, b"Server Key", digest).hex(),
    }


def credentials_of(password: str) -> dict[str, dict[str, Any]]:
    """Number of each mechanism, as text -> what is kept of a password, with a salt of its own."""
    made = {}
    for number, digest in DIGESTS.items():
        salt = os.urandom(16)
        made[str(number)] = kept(salted(password, salt, MIN_ITERATIONS, digest), salt, MIN_ITERATIONS, digest)
    return made


def is_password(password: str, credentials: Mapping[str, Credential]) -> bool:
    """Whether it is the password of a user; takes as long as `salted`, also for nobody, so that time does not tell."""
    number, credential = next(iter((credentials or _NOBODY).items()))
    salt, iterations, digest = bytes.fromhex(credential["salt"]), credential["iterations"], DIGESTS[int(number)]
    made = kept(salted(password, salt, iterations, digest), salt, iterations, digest)
    return hmac.compare_digest(made["stored_key"], credential["stored_key"])


def plain_login(token: bytes) -> tuple[str, str]:
    """(user, password) of PLAIN's one message (RFC 4616). Raises: LoginRefused."""
    try:
        authorization, user, password = token.decode().split("\0")
    except ValueError:
        raise LoginRefused("a PLAIN login is an authorization id, a user and a password with NUL between") from None
    if not user or not password:
        raise LoginRefused("a PLAIN login has a user and a password")
    if authorization not in {"", user}:
        raise LoginRefused("nobody may log in for another user")
    return user, password


class ScramServer:
    """One login by SCRAM: `first`, then `final`, each from the client's message to the server's.

    `find` gives what is kept of a user for this mechanism, or None. `nonce` is the server's half.
    """

    def __init__(self, digest: str, find: Callable[[str], Credential | None], nonce: str | None = None) -> None:
        self.user = ""
        self._header = b""
        self._digest = digest
        self._find = find
        self._nonce = nonce or base64.b64encode(os.urandom(24)).decode()
        self._credential: Credential = {}
        self._said = ""
        """What both have said so far, without what the client's header says."""

    @property
    def begun(self) -> bool:
        """Whether `first` was heard."""
        return bool(self._said)

    def first(self, message: bytes) -> bytes:
        """Salt, iterations and nonce for a user. Raises: LoginRefused."""
        found = _read(_FIRST, message)
        user = found["user"].replace("=2C", ",").replace("=3D", "=")
        if found["authorization"] not in {None, found["user"]}:
            raise LoginRefused("nobody may log in for another user")
        if _is_for_token(found["extensions"]):
            raise LoginRefused("there are no delegation tokens")
        credential = self._find(user)
        if credential is None:
            raise LoginRefused("invalid credentials")
        self.user, self._credential = user, credential
        self._header = found["header"].encode()
        self._nonce = found["nonce"] + self._nonce
        salt = base64.b64encode(bytes.fromhex(credential["salt"])).decode()
        answer = f"r={self._nonce},s={salt},i={credential['iterations']}"
        self._said = f"{found['bare']},{answer}"
        return answer.encode()

    def final(self, message: bytes) -> bytes:
        """The server's own proof, for a client's that is right. Raises: LoginRefused."""
        found = _read(_FINAL, message)
        if _decoded(found["header"]) != self._header or found["nonce"] != self._nonce:
            raise LoginRefused("the header or the nonce is another than before")
        said = f"{self._said},{found['without_proof']}".encode()
        stored_key = bytes.fromhex(self._credential["stored_key"])
        proof, signature = _decoded(found["proof"]), hmac.digest(stored_key, said, self._digest)
        if len(proof) != len(signature):
            raise LoginRefused("a SCRAM message cannot be read")
        client_key = bytes(mine ^ theirs for mine, theirs in zip(proof, signature, strict=True))
        if not hmac.compare_digest(hashlib.new(self._digest, client_key).digest(), stored_key):
            raise LoginRefused("invalid credentials")
        verifier = hmac.digest(bytes.fromhex(self._credential["server_key"]), said, self._digest)
        return b"v=" + base64.b64encode(verifier)


def _is_for_token(extensions: str) -> bool:
    """Whether the name is of a delegation token and not of a user. Source: Kafka's ScramExtensions."""
    said = dict(extension.split("=", 1) for extension in extensions.split(",")[1:])
    return said.get("tokenauth", "").lower() == "true"


def _read(form: re.Pattern[str], message: bytes) -> re.Match[str]:
    try:
        found = form.fullmatch(message.decode())
    except UnicodeDecodeError:
        found = None
    if found is None:
        raise LoginRefused("a SCRAM message cannot be read")
    return found


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise LoginRefused("a SCRAM message cannot be read") from None

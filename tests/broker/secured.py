"""The real broker with TLS, logins or both, and the certificates that go with it, made for the test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

from tests.broker.process import BrokerProcess

HOST = "127.0.0.1"


class Certificates:
    """An authority, a certificate for a server and one for a client: files in PEM, by their paths."""

    def __init__(self, folder: Path, name: str = HOST) -> None:
        authority = trustme.CA()
        self.ca, self.store, self.certificate, self.key = (
            str(folder / each) for each in ("ca.pem", "server.pem", "client.pem", "client.key")
        )
        authority.cert_pem.write_to_path(self.ca)
        authority.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(self.store)
        client = authority.issue_cert("ann@example.org")
        Path(self.certificate).write_bytes(client.cert_chain_pems[0].bytes())
        client.private_key_pem.write_to_path(self.key)


class SecuredBroker(BrokerProcess):
    """A broker that is talked to by `protocol`; with `asks` it wants a certificate of its clients."""

    def __init__(self, folder: Path, protocol: str, *arguments: str, name: str = HOST, asks: bool = False) -> None:
        self.files = Certificates(folder, name)
        settings = {
            "ssl.keystore.location": self.files.store,
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        }
        if asks:
            settings |= {"ssl.client.auth": "required", "ssl.truststore.location": self.files.ca}
        super().__init__(folder / "data", *arguments, *(f"--set={name}={value}" for name, value in settings.items()))
        self.protocol = protocol

    @property
    def url(self) -> str:
        """As an application names it."""
        return f"kafka://{self.address}"


def add_user(data_dir: Path, name: str, password: str) -> subprocess.CompletedProcess[str]:
    """What the command of that name says."""
    command = [sys.executable, "-m", "broker", "add-user", str(data_dir), name]
    return subprocess.run(command, input=f"{password}\n", capture_output=True, text=True, check=False)


@contextmanager
def knowing_ann(folder: Path, protocol: str, *arguments: str) -> Iterator[SecuredBroker]:
    """A broker that runs and asks for logins; `ann` may log in with `secret`."""
    assert add_user(folder / "data", "ann", "secret").returncode == 0
    made = SecuredBroker(folder, protocol, *arguments)
    made.start()
    try:
        yield made
    finally:
        made.stop()

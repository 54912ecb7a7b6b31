"""Apicurio Registry with Confluent's API, its schemas in a topic of our broker: from Maven, or the folder APICURIO names."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from tests.apache_kafka.node import free_port

VERSION = "3.0.9"
"""The newest that runs on Java 17."""
FETCHED = Path(__file__).parent / "build" / f"apicurio-{VERSION}"
PATIENCE_S = 120


class ApicurioMissingError(Exception):
    """Java, Maven or the registry are not to be had here; the message says which."""


def home() -> Path:
    """The folder of the registry, fetched if it is not there yet. Raises: ApicurioMissingError."""
    if "APICURIO" in os.environ:
        return Path(os.environ["APICURIO"])
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise ApicurioMissingError(f"no {program} on the PATH")
    FETCHED.mkdir(parents=True, exist_ok=True)
    with (FETCHED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (FETCHED / "lib").exists():
            artifact = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
            command = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={FETCHED}"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
            if done.returncode:
                raise ApicurioMissingError(f"Maven did not fetch Apicurio: {(done.stdout + done.stderr)[-1000:]}")
            (archive,) = FETCHED.glob("*.tar.gz")
            with tarfile.open(archive) as packed:
                packed.extractall(FETCHED, filter="data")
            archive.unlink()
    return FETCHED


class Apicurio:
    """A registry process."""

    def __init__(self, broker: str, log: Path) -> None:
        self._broker = broker
        self._log = log
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/apis/ccompat/v7"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        (jar,) = home().glob("*run*.jar")
        settings = {
            "quarkus.http.port": self.port,
            "quarkus.http.host": "127.0.0.1",
            "apicurio.storage.kind": "kafkasql",
            "apicurio.kafkasql.bootstrap.servers": self._broker,
        }
        options = ["-Xmx400m", "-XX:+UseSerialGC", *(f"-D{name}={value}" for name, value in settings.items())]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(["java", *options, "-jar", str(jar)], stdout=log, stderr=log)
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.ask("GET", "/subjects")
            except (URLError, OSError):
                assert time.monotonic() < until, self._log.read_text()[-3000:]
                assert self._process.poll() is None, self._log.read_text()[-3000:]
                time.sleep(0.5)
            else:
                return

    def ask(self, method: str, path: str, body: object = None) -> object:
        """One request of its API."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(
            f"{self.url}{path}", data, {"Content-Type": "application/vnd.schemaregistry.v1+json"}, method=method
        )
        with urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def kill(self) -> None:
        """End it without a farewell."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

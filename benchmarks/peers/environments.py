"""Where the other systems live: a virtual environment for each in Python, Kafka's jars for the one in Java.

Rules: made on demand under `build/peers`, which git ignores, with versions pinned here; an environment that was made with
other versions, or by another interpreter, is made anew. What cannot be had says what is missing, and the other systems
are measured without it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.apache_kafka.libraries import KafkaMissingError, compiled, library_folder

HERE = Path(__file__).parent
BUILD = HERE.parent.parent / "build" / "peers"
JAVA, CLASSES = HERE / "java", BUILD / "classes"
KAFKA_VERSION = "4.3.1"
SETUP_SECONDS = 900


class UnavailableError(Exception):
    """A system cannot be set up here; the message says what is missing."""


@dataclass(frozen=True)
class PythonEnvironment:
    """A virtual environment with pinned packages."""

    name: str
    packages: tuple[str, ...]

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return BUILD / self.name / "bin" / "python"

    def prepare(self) -> str:
        """Make it where it is not there yet. Returns its versions. Raises: UnavailableError."""
        folder = BUILD / self.name
        stamp, wanted = folder / "packages.txt", "\n".join([sys.version, *self.packages])
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(folder)], f"no virtual environment for {self.name}")
            install = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            _run([*install, *self.packages], f"{self.name} was not installed")
            stamp.write_text(wanted)
        return ", ".join(package.replace("==", " ") for package in self.packages)


def java() -> list[str]:
    """The command of a Java process that sees the program for Kafka Streams, settings of its log, and Kafka's jars."""
    log = f"-Dlog4j2.configurationFile={JAVA / 'log4j2.xml'}"
    return ["java", log, "-cp", f"{CLASSES}:{library_folder()}/*"]


def prepare_java() -> str:
    """Fetch the jars and compile the program, where that has not been done.

    Returns its versions. Raises: UnavailableError.
    """
    try:
        compiled(JAVA / "Benchmark.java", CLASSES, needs=f"kafka-streams-{KAFKA_VERSION}.jar")
    except KafkaMissingError as missing:
        raise UnavailableError(str(missing)) from missing
    done = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True)
    return f"kafka-streams {KAFKA_VERSION}, {done.stderr.splitlines()[0].replace(chr(34), '')}"


def _run(command: list[str], complaint: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SETUP_SECONDS)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{complaint}: not done within {SETUP_SECONDS} s") from None
    if done.returncode:
        raise UnavailableError(f"{complaint}: {(done.stdout + done.stderr)[-2000:]}")

"""Kafka Streams itself: a Java process that answers cases, and the jars it needs.

The jars come through Maven into a folder that git ignores; the recorder is compiled when its source is newer than its
classes. One process answers any number of cases, in order.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from threading import Thread, Timer
from typing import Any, Self

JAVA = Path(__file__).parent / "java"
LIBRARIES = JAVA / "build" / "libs"
CLASSES = JAVA / "build" / "classes"
SOURCE = JAVA / "Recorder.java"
ANSWER_TIMEOUT_S = 120
CASES_PER_PROCESS = 2000  # a driver that fails to start leaves its files open
JVM_OPTIONS = ("-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class KafkaMissingError(Exception):
    """Java, Maven or the jars are not to be had here; the message says which."""


def prepare() -> None:
    """Fetch the jars and compile the recorder, where that has not been done. Raises: KafkaMissingError."""
    if shutil.which("javac") is None:
        raise KafkaMissingError("no Java compiler: put javac (17 or later) on the PATH")
    if not any(LIBRARIES.glob("kafka-streams-test-utils-*.jar")):
        fetch()
    compiled = CLASSES / "Recorder.class"
    if not compiled.exists() or compiled.stat().st_mtime < SOURCE.stat().st_mtime:
        command = ["javac", "-nowarn", "-Xlint:none", "-cp", f"{LIBRARIES}/*", "-d", str(CLASSES), str(SOURCE)]
        run(command, "the recorder does not compile")


def fetch() -> None:
    if shutil.which("mvn") is None:
        raise KafkaMissingError("no Maven to fetch Kafka Streams' jars with: put mvn on the PATH")
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={LIBRARIES}"]
    run(["mvn", "-q", "-B", "-f", str(JAVA / "pom.xml"), *goal], "Maven did not fetch Kafka Streams' jars")


def run(command: list[str], complaint: str) -> None:
    """Raises: KafkaMissingError with the end of what the command said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise KafkaMissingError(f"{complaint}: {(done.stdout + done.stderr)[-2000:]}")


class Kafka:
    """The process. Use as a context manager; `answer` gives the cases back with Kafka's outputs, in order."""

    def __enter__(self) -> Self:
        prepare()
        self._directory = tempfile.TemporaryDirectory(prefix="recorder-", dir=fast_directory())
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._directory.cleanup()

    def answer(self, cases: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Each case as Kafka answers it; a case that takes too long comes back with an error.

        All cases are sent at once, so that the process works while its answers are looked at.
        """
        cases = iter(cases)
        while part := list(islice(cases, CASES_PER_PROCESS)):
            if self._answered + len(part) > CASES_PER_PROCESS:
                self._restart()
            self._answered += len(part)
            yield from self._answer(part)

    def _answer(self, waiting: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        while waiting:
            sender = Thread(target=self._send, args=(self._process, list(waiting)), daemon=True)
            sender.start()
            while waiting and (line := self._read()):
                yield json.loads(line)
                del waiting[0]
            sender.join()
            if waiting:
                yield {**waiting.pop(0), "error": f"no answer within {ANSWER_TIMEOUT_S} s"}
                self._restart()

    def _restart(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._start()

    def _start(self) -> None:
        self._answered = 0
        classpath = f"{CLASSES}:{LIBRARIES}/*"
        command = ["java", *JVM_OPTIONS, "-cp", classpath, "Recorder", self._directory.name]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    @staticmethod
    def _send(process: subprocess.Popen[str], cases: list[dict[str, Any]]) -> None:
        assert process.stdin
        lines = [json.dumps(case) + "\n" for case in cases]
        try:
            for line in lines:
                process.stdin.write(line)
                process.stdin.flush()
        except OSError:
            return  # the process was killed: what is left is sent to the next one

    def _read(self) -> str:
        assert self._process.stdout
        timer = Timer(ANSWER_TIMEOUT_S, self._process.kill)
        timer.start()
        try:
            return self._process.stdout.readline()
        finally:
            timer.cancel()


def fast_directory() -> str | None:
    """Where RocksDB's files cost least: memory, if the system offers it."""
    shared = Path("/dev/shm")
    return str(shared) if shared.is_dir() else None

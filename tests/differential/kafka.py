"""Kafka Streams itself: a Java process that answers any number of cases, in order."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from threading import Thread, Timer
from typing import Any, Self

from tests.apache_kafka.libraries import compiled, java

JAVA = Path(__file__).parent / "java"
CLASSES = JAVA / "build" / "classes"
SOURCE = JAVA / "Recorder.java"
ANSWER_TIMEOUT_S = 120
CASES_PER_PROCESS = 2000  # a driver that fails to start leaves its files open


class Kafka:
    """The process. Use as a context manager; `answer` gives the cases back with Kafka's outputs, in order.

    Raises: KafkaMissingError when it is entered without Java, Maven or the jars.
    """

    def __enter__(self) -> Self:
        compiled(SOURCE, CLASSES, needs="kafka-streams-test-utils-*.jar")
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
        command = java("Recorder", self._directory.name, memory="1g", classes=CLASSES)
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

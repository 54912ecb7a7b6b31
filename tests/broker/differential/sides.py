"""A broker under comparison: its connections, what it has handed out, and who still waits for an answer."""

import time
from typing import Any

from kio.serial.errors import SerialError

from tests.broker.differential.requests import Request, Symbol, learn, resolved
from tests.broker.wire import Wire, plain

HUNG_UP = "hung up"


class Side:
    """One broker at `port`. Requests of one connection are answered in order, so each has at most one outstanding."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.port = port
        self.known: dict[Symbol, Any] = {}
        self.answers: dict[str, Any] = {}
        self._wires: dict[str, Wire] = {}
        self._waiting: dict[str, tuple[Request, Any]] = {}

    def begin(self, request: Request) -> None:
        """Send a request on its connection."""
        wire = self._wires.get(request.connection)
        if wire is None:
            wire = self._wires[request.connection] = Wire(self.port)
        values = resolved(request.values, self.known)
        schema = wire.send(int(request.api_key), request.version, **values)
        self._waiting[request.connection] = request, schema

    def held(self) -> set[str]:
        """Connections that wait for an answer."""
        self._collect()
        return set(self._waiting)

    def answer(self, connection: str, seconds: float) -> Any:
        """The answer of a connection as plain values, None if there is none within `seconds`."""
        deadline = time.monotonic() + seconds
        while connection not in self.answers:
            self._collect()
            if connection not in self.answers:
                if time.monotonic() > deadline:
                    return None
                time.sleep(0.001)  # a pace, not a wait
        return self.answers.pop(connection)

    def _collect(self) -> None:
        for connection, (request, schema) in list(self._waiting.items()):
            wire = self._wires[connection]
            if not wire.waiting():
                continue
            del self._waiting[connection]
            try:
                frame = wire.frame()
            except (AssertionError, OSError):
                self.answers[connection] = HUNG_UP
                self._wires.pop(connection).socket.close()
                continue
            try:
                answer = plain(wire.read(schema, frame))
            except (SerialError, ValueError):  # kio reads no times below zero
                self.answers[connection] = {"unreadable": frame[4:].hex()}
                continue
            learn(request, answer, self.known)
            self.answers[connection] = answer

    def forget(self) -> None:
        """Hang up everywhere and forget what was handed out."""
        for wire in self._wires.values():
            wire.socket.close()
        self._wires.clear()
        self._waiting.clear()
        self.answers.clear()
        self.known.clear()

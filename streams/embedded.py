"""The bundled broker as a process of its own behind `embedded://DIR`: started by whoever comes first, found by others.

DIR/broker.lock is the broker's standard output and its lock at once: the starter takes an exclusive flock, truncates
the file and hands the descriptor to the broker as its standard output. The lock belongs to the open file, so it lives
exactly as long as the broker, however that ends; and the line "ready on HOST:PORT" inside was written by the broker
itself. So a stale file, a port used again by someone else, or a starter killed halfway cannot mislead anyone.

Rules: the broker survives its starter and stops by itself when its last client has left (`--exit-when-idle`), so a
Lease keeps one connection open from the moment the broker was found, and starts it again should it be killed.
Imports nothing of the broker.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from streams.errors import ClientError, ConfigError

log = logging.getLogger(__name__)

LOCK_FILE = "broker.lock"
LOG_FILE = "broker.log"
DATA_DIRECTORY = "broker"
IDLE_SECONDS = 10
READY = "ready on "
_LOG_LIMIT_BYTES = 4 * 1024**2
_LOOK_EVERY_S = 0.02
ANSWER_S = 2.0
"""How long a broker may take to answer a greeting."""
_API_VERSIONS_REQUEST = struct.pack(">ihhih", 10, 18, 0, 1, -1)
"""ApiVersions v0 without a client id: the smallest question that every broker answers."""


Found = tuple[str, socket.socket]
"""Where a broker serves (host:port), and a connection that it counts as a client."""


class Lease:
    """Holds on to an embedded broker: keeps one connection to it, and brings it back if it dies.

    `address` is host:port. A broker that comes back takes its old port if that is still free.
    """

    def __init__(self, find: Callable[[], Found]) -> None:
        self._find = find
        self._guard = threading.Lock()
        self._closed = False
        self.address, self._connection = find()
        threading.Thread(target=self._watch, name="embedded-broker", daemon=True).start()

    def close(self) -> None:
        """Let the broker go; it stays as long as others use it, and a little longer."""
        with self._guard:
            self._closed = True
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _watch(self) -> None:
        """Wait for the connection to end, which means that the broker did, or that it closes idle ones."""
        while not self._closed:
            try:
                alive = bool(self._connection.recv(4096))
            except OSError:
                alive = False
            if not alive and not self._closed:
                self._renew()

    def _renew(self) -> None:
        try:
            address, connection = self._find()
        except (ClientError, ConfigError) as problem:
            log.error("%s", problem)
            time.sleep(1)
            return
        with self._guard:
            self._connection.close()
            self._connection = connection
            if self._closed:
                connection.close()
            elif address != self.address:
                log.error("the embedded broker came back on %s instead of %s: start again", address, self.address)
        self.address = address


def lease(
    directory: str | Path,
    *,
    settings: Mapping[str, str] | None = None,
    idle_seconds: float = IDLE_SECONDS,
    timeout_s: float = 30.0,
) -> Lease:
    """Find the broker of a directory or start it, and hold on to it.

    `settings` are the broker's own (Kafka's names), used if it has to be started. Raises: ClientError with the end of
    the broker's log when it does not start in time.
    """
    home = _home(Path(directory).absolute())
    return Lease(lambda: _found(home, settings or {}, idle_seconds, timeout_s))


def remove(directory: str | Path, *, timeout_s: float = 30.0) -> bool:
    """Delete the directory of an embedded broker once that has stopped, seconds after its last client left.

    Shape: whether there was one. Raises: ClientError when it stays in use; ConfigError when the directory is no such
    directory, which is then left as it is.
    """
    home = Path(directory).absolute()
    if not home.exists():
        return False
    try:
        lock = os.open(home / LOCK_FILE, os.O_RDWR)
    except OSError:
        raise ConfigError(f"{home} is not the directory of an embedded broker, so it is left as it is") from None
    try:
        _wait_for_lock(home, lock, time.monotonic() + timeout_s)
        shutil.rmtree(home)
    finally:
        os.close(lock)
    return True


def _wait_for_lock(home: Path, lock: int, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise ClientError(f"{home} is in use: stop the programs that run on it first") from None
            time.sleep(_LOOK_EVERY_S)


def _found(home: Path, settings: Mapping[str, str], idle_seconds: float, timeout_s: float) -> Found:
    """Find the broker or start it, and greet it. Raises: ClientError; ConfigError for a directory that cannot be used."""
    deadline = time.monotonic() + timeout_s
    child = None
    while True:
        if child is None:
            child = _start_if_absent(home, settings, idle_seconds)
        address = _announced(home)
        connection = _greeted(address) if address else None
        if address and connection:
            return address, connection
        if child is not None and _ended(child):
            raise ClientError(f"the embedded broker in {home} did not start:\n{_log_tail(home)}")
        if time.monotonic() > deadline:
            raise ClientError(f"the embedded broker in {home} was not ready in {timeout_s:g} s:\n{_log_tail(home)}")
        time.sleep(_LOOK_EVERY_S)


def _home(directory: Path) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise _unusable(directory, problem) from None
    return directory


def _unusable(home: Path, problem: OSError) -> ConfigError:
    return ConfigError(
        f"embedded://{home} needs a directory that can be written: {problem.strerror}; name another one with "
        "broker=embedded://DIR"
    )


def _start_if_absent(home: Path, settings: Mapping[str, str], idle_seconds: float) -> int | None:
    """Start the broker unless one is alive. Shape: the new process id, or None."""
    try:
        lock = os.open(home / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as problem:
        raise _unusable(home, problem) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        listen = _last_address(home)
        os.ftruncate(lock, 0)
        return _spawn(home, lock, _command(home, listen, settings, idle_seconds))
    except BlockingIOError:
        return None
    except OSError as problem:
        raise _unusable(home, problem) from None
    finally:
        # Closing is not unlocking: the broker holds the same open file as its standard output.
        os.close(lock)


def _last_address(home: Path) -> str:
    """Where the broker served before, if that port is free now, so that clients find it again; else any port."""
    address = _announced(home)
    if address is not None:
        host, _, port = address.rpartition(":")
        with suppress(OSError, ValueError), socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, int(port)))
            return address
    return "127.0.0.1:0"


def _command(home: Path, listen: str, settings: Mapping[str, str], idle_seconds: float) -> list[str]:
    return [
        sys.executable,
        *("-P", "-m", "broker"),  # -P: a folder of the user's that is called broker must not be taken for ours
        *("--data-dir", str(home / DATA_DIRECTORY)),
        *("--listen", listen),
        *("--exit-when-idle", f"{idle_seconds:g}"),
        *(part for name, value in settings.items() for part in ("--set", f"{name}={value}")),
    ]


def _spawn(home: Path, lock: int, command: list[str]) -> int:
    """Start the broker in a session of its own, its output in the lock file and its log beside it."""
    log_file = os.open(_fresh_log(home), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    actions = [(os.POSIX_SPAWN_DUP2, source, target) for source, target in ((nothing, 0), (lock, 1), (log_file, 2))]
    try:
        child = os.posix_spawn(sys.executable, command, os.environ, file_actions=actions, setsid=True)
        threading.Thread(target=_await_end, args=(child,), name="embedded-broker-end", daemon=True).start()
        return child
    finally:
        os.close(log_file)
        os.close(nothing)


def _fresh_log(home: Path) -> Path:
    """The log file; a long one makes room and is kept once."""
    log = home / LOG_FILE
    if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".log.1"))
    return log


def _announced(home: Path) -> str | None:
    """The address that a live broker wrote into the lock file, None while there is none."""
    for line in (home / LOCK_FILE).read_text(errors="replace").splitlines():
        if line.startswith(READY):
            return line.removeprefix(READY).strip()
    return None


def _greeted(address: str) -> socket.socket | None:
    """A connection that the broker has answered on, so that it counts as a client; None when nobody answers."""
    host, _, port = address.rpartition(":")
    try:
        connection = socket.create_connection((host, int(port)), timeout=ANSWER_S)
    except (OSError, ValueError):
        return None
    try:
        connection.sendall(_API_VERSIONS_REQUEST)
        if connection.recv(4):
            # Else whoever waits for its end takes a broker with nothing to say for one that is gone.
            connection.settimeout(None)
            return connection
    except OSError:
        pass
    connection.close()
    return None


def _ended(child: int) -> bool:
    """Whether a process that we started has ended."""
    try:
        return os.waitpid(child, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def _await_end(child: int) -> None:
    """Take note of its end, or it is a zombie for as long as we live."""
    with suppress(ChildProcessError):
        os.waitpid(child, 0)


def _log_tail(home: Path, lines: int = 12) -> str:
    log = home / LOG_FILE
    tail = log.read_text(errors="replace").splitlines()[-lines:] if log.exists() else []
    return "\n".join(f"  {line}" for line in tail) or "  (its log is empty)"

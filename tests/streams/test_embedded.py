"""The embedded broker: started once, found by others, brought back, and gone when nobody needs it."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from streams.embedded import ANSWER_S, LOCK_FILE, LOG_FILE, Lease, lease
from streams.errors import ClientError, ConfigError

pytestmark = pytest.mark.broker

IDLE_S = 0.5


def held(directory: Path) -> bool:
    """Whether a broker holds the lock of a directory."""
    with (directory / LOCK_FILE).open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def broker_pid(directory: Path) -> int:
    """The process whose standard output is the lock file."""
    inode = (directory / LOCK_FILE).stat().st_ino
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "fd" / "1").stat().st_ino == inode and b"broker" in (process / "cmdline").read_bytes():
                return int(process.name)
        except OSError:
            continue
    raise LookupError(f"no process has {directory / LOCK_FILE} as its standard output")


def await_no(process: int) -> None:
    """Wait for a process to be gone, also as a zombie."""
    deadline = time.monotonic() + 20
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < deadline, "nobody has asked for its end"
        time.sleep(0.02)


def await_free(directory: Path) -> None:
    """Wait for the broker of a directory to be gone."""
    deadline = time.monotonic() + 20
    while held(directory):
        assert time.monotonic() < deadline, "the broker did not go"
        time.sleep(0.02)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A directory for one broker; whatever still runs there afterwards is ended."""
    yield tmp_path
    if (tmp_path / LOCK_FILE).exists() and held(tmp_path):
        with suppress(LookupError, ProcessLookupError):  # it may end by itself just now
            os.kill(broker_pid(tmp_path), signal.SIGKILL)
        await_free(tmp_path)


def test_the_second_finds_the_first(home: Path) -> None:
    """A directory has one broker, whoever asks and however the directory is spelled."""
    with lease(home, idle_seconds=IDLE_S) as first, lease(f"{home}/../{home.name}", idle_seconds=IDLE_S) as second:
        assert first.address == second.address


def test_started_once_under_a_race(home: Path) -> None:
    """Of many that start at the same moment, one starts the broker and all get its address."""
    found: list[Lease] = []
    gate = threading.Barrier(8)

    def race() -> None:
        gate.wait()
        found.append(lease(home, idle_seconds=IDLE_S))

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({each.address for each in found}) == 1
    for each in found:
        each.close()


def test_it_survives_the_process_that_started_it(home: Path) -> None:
    """A starter that is killed leaves the broker running for the next."""
    program = (
        "import os, signal; from streams.embedded import lease; import sys;"
        "print(lease(sys.argv[1], idle_seconds=30).address, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    starter = subprocess.run(
        [sys.executable, "-c", program, str(home)], capture_output=True, text=True, check=False, timeout=60
    )
    assert starter.returncode == -signal.SIGKILL
    with lease(home) as found:
        assert found.address == starter.stdout.strip()


def test_it_goes_when_the_last_client_has_left(home: Path) -> None:
    """It stops by itself, and the next start finds the directory free and serves on the same port."""
    with lease(home, idle_seconds=IDLE_S) as first:
        address = first.address
    await_free(home)
    with lease(home, idle_seconds=IDLE_S) as again:
        assert again.address == address


@pytest.mark.crash
def test_a_killed_broker_comes_back_where_it_was(home: Path) -> None:
    """Whoever holds a lease brings a broker that was killed back, on the same port, and leaves no zombie of it."""
    with lease(home, idle_seconds=IDLE_S) as found:
        killed = broker_pid(home)
        os.kill(killed, signal.SIGKILL)
        with lease(home, idle_seconds=IDLE_S) as other:
            assert other.address == found.address
            assert broker_pid(home) != killed
            await_no(killed)


def test_a_broker_with_nothing_to_say_is_not_asked_again(home: Path) -> None:
    """A client keeps the one connection by which it counts, however long it is quiet; it made a new one every two seconds."""
    with socket.create_server(("127.0.0.1", 0)) as listener, (home / LOCK_FILE).open("w") as lock:
        lock.write(f"ready on 127.0.0.1:{listener.getsockname()[1]}\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        listener.settimeout(ANSWER_S * 1.25)

        def answer() -> None:
            served.append(listener.accept()[0])
            served[0].sendall(bytes(4))

        served: list[socket.socket] = []
        answering = threading.Thread(target=answer)
        answering.start()
        with lease(home):
            answering.join()
            with pytest.raises(TimeoutError):
                listener.accept()
        served[0].close()


def test_a_stale_lock_file_misleads_nobody(home: Path) -> None:
    """An address in a lock file that no process holds is not believed, even if something listens there."""
    with lease(home / "other", idle_seconds=IDLE_S) as other:
        (home / LOCK_FILE).write_text(f"ready on {other.address}\n")
        with lease(home, idle_seconds=IDLE_S) as found:
            assert found.address != other.address
    await_free(home / "other")


def test_a_broker_that_cannot_start_says_why(home: Path) -> None:
    """The error carries the end of the broker's own log."""
    with pytest.raises(ClientError, match=r"(?s)did not start:.*num.partitionz"):
        lease(home, settings={"num.partitionz": "3"})


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """A path below a file is refused with what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="needs a directory that can be written: .*broker=embedded://DIR"):
        lease(tmp_path / "file" / "below")


@pytest.mark.parametrize("name", [LOCK_FILE, LOG_FILE])
def test_a_directory_that_cannot_be_written(home: Path, name: str) -> None:
    """One that is there, but not for the files of a broker, as on a file system that is read only: the same is said."""
    (home / name).mkdir()
    with pytest.raises(ConfigError, match="needs a directory that can be written: Is a directory; .*embedded://DIR"):
        lease(home)
    (home / name).rmdir()

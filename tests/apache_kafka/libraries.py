"""Apache Kafka's jars, from the folder KAFKA_LIBS names or by Maven into one that git ignores, and programs that use them."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
FETCHED = HERE / "build" / "libs"
FETCH_SECONDS = 600
FRUGAL = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Quick to start and content with little: for tests."""
FAST = ("-Xms1g", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35")
"""As kafka-server-start.sh has them: for measurements."""
WANTED = (
    "kafka_2.13-*.jar",
    "kafka-tools-*.jar",
    "kafka-streams-*-test.jar",
    "kafka-streams-test-utils-*.jar",
    "log4j-core-*.jar",
    "hamcrest-*.jar",
)


class KafkaMissingError(Exception):
    """Java, Maven or the jars are not to be had here; the message says which."""


def library_folder() -> Path:
    """Where Kafka's jars are, or will be when `libraries` has fetched them."""
    named = os.environ.get("KAFKA_LIBS")
    return Path(named) if named else FETCHED


def libraries() -> Path:
    """The folder of Kafka's jars, fetched if it is not there yet. Raises: KafkaMissingError."""
    if shutil.which("java") is None:
        raise KafkaMissingError("no Java: put java (17 or later) on the PATH")
    folder = library_folder()
    if folder == FETCHED and not all(any(FETCHED.glob(pattern)) for pattern in WANTED):
        _fetch()
    return folder


def compiled(source: Path, classes: Path, *, needs: str) -> None:
    """Compile a Java program against Kafka's jars, among them one that it `needs`, unless its classes are newer than it.

    Raises: KafkaMissingError; RuntimeError when it does not compile.
    """
    if shutil.which("javac") is None:
        raise KafkaMissingError("no Java compiler: put javac (17 or later) on the PATH")
    folder = libraries()
    if not any(folder.glob(needs)):
        raise KafkaMissingError(f"no {needs} among the jars of {folder}: take KAFKA_LIBS away, and Maven fetches it")
    made = classes / f"{source.stem}.class"
    if not made.exists() or made.stat().st_mtime < source.stat().st_mtime:
        command = ["javac", "-nowarn", "-Xlint:none", "-cp", f"{folder}/*", "-d", str(classes), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{source} does not compile with the jars of {folder}: {done.stderr[-2000:]}")


def _fetch() -> None:
    if shutil.which("mvn") is None:
        raise KafkaMissingError("no Maven to fetch Kafka's jars with: put mvn on the PATH, or name them in KAFKA_LIBS")
    command = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml")]
    command += ["dependency:copy-dependencies", f"-DoutputDirectory={FETCHED}"]
    FETCHED.parent.mkdir(exist_ok=True)
    with (FETCHED.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FETCH_SECONDS)
    if done.returncode:
        raise KafkaMissingError(f"Maven did not fetch Kafka's jars: {(done.stdout + done.stderr)[-1000:]}")


def java(
    main: str,
    *arguments: str,
    memory: str = "512m",
    options: Sequence[str] = FRUGAL,
    classes: Path | None = None,
) -> list[str]:
    """The command that runs one of Kafka's programs, or one of `classes` beside them; it logs to its standard error.

    Raises: KafkaMissingError.
    """
    options = [f"-Xmx{memory}", *options]
    settings = f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}"
    path = f"{libraries()}/*" if classes is None else f"{classes}:{libraries()}/*"
    return ["java", *options, settings, "-cp", path, main, *arguments]

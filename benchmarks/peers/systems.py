"""The systems that are measured beside ours, each as a command.

Rules: a program does what its users would write, with every setting at its default but the commit interval and where
to read from; all write the same bytes, so that outputs can be compared. What a system cannot do is left out, and said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.peers.environments import HERE, PythonEnvironment, java, prepare_java
from benchmarks.systems import AT_LEAST_ONCE, COMMIT_INTERVAL_MS, EXACTLY_ONCE, Job, System, headrace

PROGRAMS = HERE / "programs"
QUIX = PythonEnvironment("quix", ("quixstreams==3.28.1", "orjson==3.11.3", "confluent-kafka==2.12.2"))
BYTEWAX = PythonEnvironment("bytewax", ("bytewax[kafka]==0.21.1", "orjson==3.13.0", "confluent-kafka==2.16.1"))
FAUST = PythonEnvironment(
    "faust", ("faust-streaming[fast]==0.15.3", "orjson==3.13.0", "faust-streaming-rocksdb==0.9.3")
)
BY_HAND = PythonEnvironment("by-hand", ("orjson==3.13.0", "confluent-kafka==2.16.1"))


@dataclass(frozen=True)
class Peer:
    """A system, how it is set up (returns versions; None: it is here), and what a reader must know of its figures."""

    system: System
    prepare: Callable[[], str] | None
    caveat: str


def peers() -> dict[str, Peer]:
    """All systems by name, ours first."""
    found = (
        Peer(
            headrace(),
            None,
            "One worker; state in RocksDB with changelog topics; record caches as Kafka Streams has them",
        ),
        Peer(
            System(
                "kafka-streams",
                lambda job: [*java(), "Benchmark", *_arguments(job, job.guarantee)],
                application,
                (AT_LEAST_ONCE, EXACTLY_ONCE),
            ),
            prepare_java,
            "One thread, defaults; its record caches write out only the last update of a key between two commits; "
            "its JIT compiler is part of its CPU time",
        ),
        Peer(
            System(
                "quix",
                _python(QUIX, "quix_program.py"),
                application,
                (AT_LEAST_ONCE, EXACTLY_ONCE),
                share=0.25,
            ),
            QUIX.prepare,
            "Dictionaries by orjson; state in RocksDB with changelog topics; a quarter of the input",
        ),
        Peer(
            System("bytewax", _python(BYTEWAX, "bytewax_program.py"), closed_only=True, share=0.5),
            BYTEWAX.prepare,
            "State in memory with snapshots in SQLite every 500 ms; commits no offsets, so progress is that of its "
            "output; keys meet inside of the engine, without a repartition topic; windows are written when they close; "
            "its stream join has no bound in time; half of the input",
        ),
        Peer(
            System("faust", _python(FAUST, "faust_program.py"), application, share=0.02, without=("stream-join",)),
            FAUST.prepare,
            "Tables in RocksDB with changelog topics; has no joins, so the table join is a look-up in a "
            "table that another agent fills; its exactly-once is experimental and left out; a fiftieth of the input",
        ),
        Peer(
            System("by-hand", _python(BY_HAND, "loop_by_hand.py"), application, repartitions=False),
            BY_HAND.prepare,
            "An expert's loop over confluent-kafka, orjson and dictionaries: no state survives it, no guarantee, and keys "
            "meet in its memory, without a repartition topic",
        ),
    )
    return {peer.system.name: peer for peer in found}


def application(job: Job) -> str:
    """The group, or application id, that a peer runs as: the folder is of this run alone, and so is its name.

    Not the workload's alone: two systems of one group would share offsets, and a member that did not take its leave.
    """
    return f"{job.workload.name}-{job.scratch.name}"


def _python(environment: PythonEnvironment, program: str) -> Callable[[Job], Sequence[str]]:
    return lambda job: [str(environment.python), str(PROGRAMS / program), *_arguments(job, job.guarantee)]


def _arguments(job: Job, guarantee: str) -> list[str]:
    """What every program takes: workload, broker, group, folder, guarantee, commit interval in ms, output, inputs."""
    topics = [job.workload.outputs[0], *(source.topic for source in job.inputs)]
    place = [job.address, application(job), str(job.scratch / "state")]
    return [job.workload.name, *place, guarantee, str(COMMIT_INTERVAL_MS), *topics]

"""Which clients are tried, what each can do, and which versions it must settle on with a broker of Kafka 4.3's range.

The versions are those each client settles on with Apache Kafka 4.3.1 as well: the highest both sides have.
"""

from typing import NamedTuple

CODECS = ("gzip", "snappy", "lz4", "zstd")
USUAL = ("admin", "idempotent", *CODECS, "group", "offsets by timestamp", "transactions")


class Expected(NamedTuple):
    """A client. `kind` is how its program is run; `versions` maps an API to the version it must speak."""

    name: str
    source: str
    kind: str
    folder: str
    checks: tuple[str, ...]
    versions: dict[str, int]
    groups: bool = True
    program: str = ""


EXPECTED = (
    Expected(
        "confluent-kafka",
        "PyPI",
        "python",
        "python",
        (*USUAL, "group (consumer protocol)"),
        {"PRODUCE": 10, "FETCH": 16, "METADATA": 13, "JOIN_GROUP": 5, "CONSUMER_GROUP_HEARTBEAT": 1, "END_TXN": 1},
        program="confluent.py",
    ),
    Expected(
        "kafka-python",
        "PyPI",
        "python",
        "python",
        ("admin", "idempotent", "gzip", "group", "offsets by timestamp", "transactions"),
        {"PRODUCE": 9, "FETCH": 12, "METADATA": 13, "JOIN_GROUP": 7, "LIST_OFFSETS": 11, "END_TXN": 3},
        program="kafka_python.py",
    ),
    Expected(
        "aiokafka",
        "PyPI",
        "python",
        "python",
        USUAL,
        {"PRODUCE": 7, "FETCH": 11, "METADATA": 5, "JOIN_GROUP": 5, "LIST_OFFSETS": 3, "END_TXN": 0},
        program="aio.py",
    ),
    Expected(
        "kafkajs",
        "npm",
        "npm",
        "kafkajs",
        ("admin", "idempotent", "gzip", "group", "offsets by timestamp", "transactions"),
        {"PRODUCE": 7, "FETCH": 11, "METADATA": 6, "JOIN_GROUP": 5, "LIST_OFFSETS": 3, "END_TXN": 1},
    ),
    Expected(
        "@platformatic-kafka",
        "npm",
        "npm",
        "platformatic",
        tuple(name for name in USUAL if name not in {"group", "zstd"}),
        {"PRODUCE": 11, "FETCH": 17, "METADATA": 12, "JOIN_GROUP": 9, "LIST_OFFSETS": 9, "END_TXN": 4},
    ),
    Expected(
        "franz-go",
        "Go modules",
        "go",
        "franz-go",
        USUAL,
        {"PRODUCE": 13, "FETCH": 18, "METADATA": 13, "JOIN_GROUP": 9, "LIST_OFFSETS": 11, "END_TXN": 5},
    ),
    Expected(
        "sarama",
        "Go modules",
        "go",
        "sarama",
        tuple(name for name in USUAL if name != "group"),
        {"PRODUCE": 10, "FETCH": 12, "METADATA": 11, "CREATE_TOPICS": 7, "LIST_OFFSETS": 6, "END_TXN": 3},
    ),
    Expected(
        "rskafka", "Cargo", "cargo", "rskafka", ("admin", "none", *CODECS, "offsets by timestamp"), {}, groups=False
    ),
    Expected(
        "Java clients",
        "Maven",
        "java",
        "java",
        (*USUAL, "group (consumer protocol)", "admin of groups", "streams, exactly once"),
        {"PRODUCE": 13, "FETCH": 18, "METADATA": 13, "JOIN_GROUP": 9, "CONSUMER_GROUP_HEARTBEAT": 1},
    ),
)
KCAT = Expected("kcat", "Debian", "", "", (), {"PRODUCE": 7, "FETCH": 11}, groups=False)

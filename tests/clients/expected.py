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
    Expected("confluent-kafka", "PyPI", "python", "python", (*USUAL, "group (consumer protocol)"), {}, program="confluent.py"),
    Expected("kafka-python", "PyPI", "python", "python", USUAL, {}, program="kafka_python.py"),
    Expected("aiokafka", "PyPI", "python", "python", USUAL, {}, program="aio.py"),
    Expected(
        "kafkajs",
        "npm",
        "npm",
        "kafkajs",
        ("admin", "idempotent", "gzip", "group", "offsets by timestamp", "transactions"),
        {},
    ),
    Expected(
        "@platformatic-kafka", "npm", "npm", "platformatic", tuple(name for name in USUAL if name != "group"), {}
    ),
    Expected("franz-go", "Go modules", "go", "franz-go", USUAL, {}),
    Expected("sarama", "Go modules", "go", "sarama", tuple(name for name in USUAL if name != "group"), {}),
    Expected(
        "rskafka", "Cargo", "cargo", "rskafka", ("admin", "none", *CODECS, "offsets by timestamp"), {}, groups=False
    ),
    Expected(
        "Java clients",
        "Maven",
        "java",
        "java",
        (*USUAL, "group (consumer protocol)", "admin of groups", "streams, exactly once"),
        {},
    ),
)

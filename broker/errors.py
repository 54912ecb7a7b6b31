"""Every error the broker speaks of: Kafka's codes for clients, and what can be wrong with a data directory.

BrokerError             an answer with a code; becomes a response in `broker.server.dispatch`, nowhere else
MalformedRequest        bytes that are no request; the connection is closed, as Kafka does
ConfigError             a setting, properties file or command line that cannot be; the process exits with code 2
DataDirectoryError      the data directory cannot be used; one sentence for the operator
├── DirectoryLocked     another broker owns it
└── CorruptLog          what is on disk cannot be explained by a torn write; nothing is deleted

Rules: imports nothing of ours, so that every layer may raise these. Messages say what was expected and what came.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Self

RETRIABLE = True


class ErrorCode(IntEnum):
    """Kafka's error codes; `retriable` says whether a client may send the same request again.

    Source: Apache Kafka `org.apache.kafka.common.protocol.Errors`.
    """

    retriable: bool

    def __new__(cls, value: int, retriable: bool = False) -> Self:
        """A member from its code and whether clients retry it."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.retriable = retriable
        return member

    UNKNOWN_SERVER_ERROR = -1
    NONE = 0
    OFFSET_OUT_OF_RANGE = 1
    CORRUPT_MESSAGE = 2, RETRIABLE
    UNKNOWN_TOPIC_OR_PARTITION = 3, RETRIABLE
    INVALID_FETCH_SIZE = 4
    LEADER_NOT_AVAILABLE = 5, RETRIABLE
    NOT_LEADER_OR_FOLLOWER = 6, RETRIABLE
    REQUEST_TIMED_OUT = 7, RETRIABLE
    BROKER_NOT_AVAILABLE = 8
    REPLICA_NOT_AVAILABLE = 9, RETRIABLE
    MESSAGE_TOO_LARGE = 10
    STALE_CONTROLLER_EPOCH = 11
    OFFSET_METADATA_TOO_LARGE = 12
    NETWORK_EXCEPTION = 13, RETRIABLE
    COORDINATOR_LOAD_IN_PROGRESS = 14, RETRIABLE
    COORDINATOR_NOT_AVAILABLE = 15, RETRIABLE
    NOT_COORDINATOR = 16, RETRIABLE
    INVALID_TOPIC = 17
    RECORD_LIST_TOO_LARGE = 18
    NOT_ENOUGH_REPLICAS = 19, RETRIABLE
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20, RETRIABLE
    INVALID_REQUIRED_ACKS = 21
    ILLEGAL_GENERATION = 22
    INCONSISTENT_GROUP_PROTOCOL = 23
    INVALID_GROUP_ID = 24
    UNKNOWN_MEMBER_ID = 25
    INVALID_SESSION_TIMEOUT = 26
    REBALANCE_IN_PROGRESS = 27
    INVALID_COMMIT_OFFSET_SIZE = 28
    TOPIC_AUTHORIZATION_FAILED = 29
    GROUP_AUTHORIZATION_FAILED = 30
    CLUSTER_AUTHORIZATION_FAILED = 31
    INVALID_TIMESTAMP = 32
    UNSUPPORTED_SASL_MECHANISM = 33
    ILLEGAL_SASL_STATE = 34
    UNSUPPORTED_VERSION = 35
    TOPIC_ALREADY_EXISTS = 36
    INVALID_PARTITIONS = 37
    INVALID_REPLICATION_FACTOR = 38
    INVALID_REPLICA_ASSIGNMENT = 39
    INVALID_CONFIG = 40
    NOT_CONTROLLER = 41, RETRIABLE
    INVALID_REQUEST = 42
    UNSUPPORTED_FOR_MESSAGE_FORMAT = 43
    POLICY_VIOLATION = 44
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45
    DUPLICATE_SEQUENCE_NUMBER = 46
    INVALID_PRODUCER_EPOCH = 47
    INVALID_TXN_STATE = 48
    INVALID_PRODUCER_ID_MAPPING = 49
    INVALID_TRANSACTION_TIMEOUT = 50
    CONCURRENT_TRANSACTIONS = 51, RETRIABLE
    TRANSACTION_COORDINATOR_FENCED = 52
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53
    SECURITY_DISABLED = 54
    OPERATION_NOT_ATTEMPTED = 55
    KAFKA_STORAGE_ERROR = 56, RETRIABLE
    LOG_DIR_NOT_FOUND = 57
    SASL_AUTHENTICATION_FAILED = 58
    UNKNOWN_PRODUCER_ID = 59
    REASSIGNMENT_IN_PROGRESS = 60
    DELEGATION_TOKEN_AUTH_DISABLED = 61
    DELEGATION_TOKEN_NOT_FOUND = 62
    DELEGATION_TOKEN_OWNER_MISMATCH = 63
    DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64
    DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65
    DELEGATION_TOKEN_EXPIRED = 66
    INVALID_PRINCIPAL_TYPE = 67
    NON_EMPTY_GROUP = 68
    GROUP_ID_NOT_FOUND = 69
    FETCH_SESSION_ID_NOT_FOUND = 70, RETRIABLE
    INVALID_FETCH_SESSION_EPOCH = 71, RETRIABLE
    LISTENER_NOT_FOUND = 72, RETRIABLE
    TOPIC_DELETION_DISABLED = 73
    FENCED_LEADER_EPOCH = 74, RETRIABLE
    UNKNOWN_LEADER_EPOCH = 75, RETRIABLE
    UNSUPPORTED_COMPRESSION_TYPE = 76
    STALE_BROKER_EPOCH = 77
    OFFSET_NOT_AVAILABLE = 78, RETRIABLE
    MEMBER_ID_REQUIRED = 79
    PREFERRED_LEADER_NOT_AVAILABLE = 80, RETRIABLE
    GROUP_MAX_SIZE_REACHED = 81
    FENCED_INSTANCE_ID = 82
    ELIGIBLE_LEADERS_NOT_AVAILABLE = 83, RETRIABLE
    ELECTION_NOT_NEEDED = 84, RETRIABLE
    NO_REASSIGNMENT_IN_PROGRESS = 85
    GROUP_SUBSCRIBED_TO_TOPIC = 86
    INVALID_RECORD = 87
    UNSTABLE_OFFSET_COMMIT = 88, RETRIABLE
    THROTTLING_QUOTA_EXCEEDED = 89, RETRIABLE
    PRODUCER_FENCED = 90
    RESOURCE_NOT_FOUND = 91
    DUPLICATE_RESOURCE = 92
    UNACCEPTABLE_CREDENTIAL = 93
    INCONSISTENT_VOTER_SET = 94
    INVALID_UPDATE_VERSION = 95
    FEATURE_UPDATE_FAILED = 96
    PRINCIPAL_DESERIALIZATION_FAILURE = 97
    SNAPSHOT_NOT_FOUND = 98
    POSITION_OUT_OF_RANGE = 99
    UNKNOWN_TOPIC_ID = 100, RETRIABLE
    DUPLICATE_BROKER_REGISTRATION = 101
    BROKER_ID_NOT_REGISTERED = 102
    INCONSISTENT_TOPIC_ID = 103, RETRIABLE
    INCONSISTENT_CLUSTER_ID = 104
    TRANSACTIONAL_ID_NOT_FOUND = 105
    FETCH_SESSION_TOPIC_ID_ERROR = 106, RETRIABLE
    INELIGIBLE_REPLICA = 107
    NEW_LEADER_ELECTED = 108
    OFFSET_MOVED_TO_TIERED_STORAGE = 109
    FENCED_MEMBER_EPOCH = 110
    UNRELEASED_INSTANCE_ID = 111
    UNSUPPORTED_ASSIGNOR = 112
    STALE_MEMBER_EPOCH = 113
    MISMATCHED_ENDPOINT_TYPE = 114
    UNSUPPORTED_ENDPOINT_TYPE = 115
    UNKNOWN_CONTROLLER_ID = 116
    UNKNOWN_SUBSCRIPTION_ID = 117
    TELEMETRY_TOO_LARGE = 118
    INVALID_REGISTRATION = 119
    TRANSACTION_ABORTABLE = 120
    INVALID_RECORD_STATE = 121
    SHARE_SESSION_NOT_FOUND = 122, RETRIABLE
    INVALID_SHARE_SESSION_EPOCH = 123, RETRIABLE
    FENCED_STATE_EPOCH = 124
    INVALID_VOTER_KEY = 125
    DUPLICATE_VOTER = 126
    VOTER_NOT_FOUND = 127
    INVALID_REGULAR_EXPRESSION = 128
    REBOOTSTRAP_REQUIRED = 129
    STREAMS_INVALID_TOPOLOGY = 130
    STREAMS_INVALID_TOPOLOGY_EPOCH = 131
    STREAMS_TOPOLOGY_FENCED = 132
    SHARE_SESSION_LIMIT_REACHED = 133, RETRIABLE


class BrokerError(Exception):
    """A request cannot be served as asked; the client gets the code, the log line the message.

    `record_errors` names single records of a refused batch: (index in the batch, message) each (Produce 8 and later).
    """

    def __init__(self, code: ErrorCode, message: str = "", record_errors: tuple[tuple[int, str], ...] = ()) -> None:
        self.code = code
        self.message = message
        self.record_errors = record_errors
        super().__init__(f"{code.name}: {message}" if message else code.name)


class MalformedRequest(Exception):  # noqa: N818  Kafka says InvalidRequest for another thing
    """Bytes on a connection are no request of the protocol: log and close."""


class ConfigError(Exception):
    """A setting, properties file or command line that cannot be; the message says what was expected."""


class DataDirectoryError(Exception):
    """The data directory cannot be used; the message is one sentence that says what to do."""


class DirectoryLocked(DataDirectoryError):  # noqa: N818
    """Another broker owns the data directory."""


class CorruptLog(DataDirectoryError):  # noqa: N818
    """A file on disk is neither whole nor a torn write; it is left as it is."""


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """The sentence for a name that is not in `known`, with the nearest that is."""
    meant = nearest(name, known)
    return f"unknown {what} {name!r}" + ("" if meant is None else f"; did you mean {meant!r}?")


def nearest(name: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """The name that was meant, if one is as like as `cutoff`, from 0 to 1."""
    import difflib  # costs a start more than it should

    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)), None)

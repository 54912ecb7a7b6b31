"""The protocol's table of contents: which APIs exist here, in which versions, and from which on they are flexible.

The table is what this broker is built to speak; the server advertises the rows it has a handler for. Ranges are those of
Apache Kafka 4.3.1; its share groups and streams groups are left out.

Rules: data only. Must not know how a message is read, written or handled.
Source: Kafka's message definitions of the 4.x line; the oldest and newest clients in use bound each range.
"""

from enum import IntEnum
from typing import NamedTuple

from broker.errors import MalformedRequest

NEVER_FLEXIBLE = 1 << 15
PRODUCE_MIN_SERVED = 3  # Produce is advertised from 0: librdkafka before 2.11 compresses only if it sees version 0


class ApiKey(IntEnum):
    """Kafka's number for each API."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    METADATA = 3
    OFFSET_COMMIT = 8
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    HEARTBEAT = 12
    LEAVE_GROUP = 13
    SYNC_GROUP = 14
    DESCRIBE_GROUPS = 15
    LIST_GROUPS = 16
    SASL_HANDSHAKE = 17
    API_VERSIONS = 18
    CREATE_TOPICS = 19
    DELETE_TOPICS = 20
    DELETE_RECORDS = 21
    INIT_PRODUCER_ID = 22
    OFFSET_FOR_LEADER_EPOCH = 23
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    WRITE_TXN_MARKERS = 27
    TXN_OFFSET_COMMIT = 28
    DESCRIBE_ACLS = 29
    CREATE_ACLS = 30
    DELETE_ACLS = 31
    DESCRIBE_CONFIGS = 32
    ALTER_CONFIGS = 33
    ALTER_REPLICA_LOG_DIRS = 34
    DESCRIBE_LOG_DIRS = 35
    SASL_AUTHENTICATE = 36
    CREATE_PARTITIONS = 37
    CREATE_DELEGATION_TOKEN = 38
    RENEW_DELEGATION_TOKEN = 39
    EXPIRE_DELEGATION_TOKEN = 40
    DESCRIBE_DELEGATION_TOKEN = 41
    DELETE_GROUPS = 42
    ELECT_LEADERS = 43
    INCREMENTAL_ALTER_CONFIGS = 44
    ALTER_PARTITION_REASSIGNMENTS = 45
    LIST_PARTITION_REASSIGNMENTS = 46
    OFFSET_DELETE = 47
    DESCRIBE_CLIENT_QUOTAS = 48
    ALTER_CLIENT_QUOTAS = 49
    DESCRIBE_USER_SCRAM_CREDENTIALS = 50
    ALTER_USER_SCRAM_CREDENTIALS = 51
    DESCRIBE_QUORUM = 55
    UPDATE_FEATURES = 57
    DESCRIBE_CLUSTER = 60
    DESCRIBE_PRODUCERS = 61
    UNREGISTER_BROKER = 64
    DESCRIBE_TRANSACTIONS = 65
    LIST_TRANSACTIONS = 66
    CONSUMER_GROUP_HEARTBEAT = 68
    CONSUMER_GROUP_DESCRIBE = 69
    LIST_CONFIG_RESOURCES = 74
    DESCRIBE_TOPIC_PARTITIONS = 75
    ADD_RAFT_VOTER = 80
    REMOVE_RAFT_VOTER = 81


class Api(NamedTuple):
    """One row: versions advertised (both inclusive) and the first flexible one."""

    key: ApiKey
    min_version: int
    max_version: int
    flexible_from: int


APIS: dict[int, Api] = {
    row[0]: Api(*row)
    for row in (
        (ApiKey.PRODUCE, 0, 13, 9),
        (ApiKey.FETCH, 4, 18, 12),
        (ApiKey.LIST_OFFSETS, 1, 11, 6),
        (ApiKey.METADATA, 0, 13, 9),
        (ApiKey.OFFSET_COMMIT, 2, 10, 8),
        (ApiKey.OFFSET_FETCH, 1, 10, 6),
        (ApiKey.FIND_COORDINATOR, 0, 6, 3),
        (ApiKey.JOIN_GROUP, 0, 9, 6),
        (ApiKey.HEARTBEAT, 0, 4, 4),
        (ApiKey.LEAVE_GROUP, 0, 5, 4),
        (ApiKey.SYNC_GROUP, 0, 5, 4),
        (ApiKey.DESCRIBE_GROUPS, 0, 6, 5),
        (ApiKey.LIST_GROUPS, 0, 5, 3),
        (ApiKey.SASL_HANDSHAKE, 0, 1, NEVER_FLEXIBLE),
        (ApiKey.API_VERSIONS, 0, 4, 3),
        (ApiKey.CREATE_TOPICS, 2, 7, 5),
        (ApiKey.DELETE_TOPICS, 1, 6, 4),
        (ApiKey.DELETE_RECORDS, 0, 2, 2),
        (ApiKey.INIT_PRODUCER_ID, 0, 5, 2),
        (ApiKey.OFFSET_FOR_LEADER_EPOCH, 2, 4, 4),
        (ApiKey.ADD_PARTITIONS_TO_TXN, 0, 5, 3),
        (ApiKey.ADD_OFFSETS_TO_TXN, 0, 4, 3),
        (ApiKey.END_TXN, 0, 5, 3),
        (ApiKey.WRITE_TXN_MARKERS, 1, 2, 1),
        (ApiKey.TXN_OFFSET_COMMIT, 0, 5, 3),
        (ApiKey.DESCRIBE_ACLS, 1, 3, 2),
        (ApiKey.CREATE_ACLS, 1, 3, 2),
        (ApiKey.DELETE_ACLS, 1, 3, 2),
        (ApiKey.DESCRIBE_CONFIGS, 1, 4, 4),
        (ApiKey.ALTER_CONFIGS, 0, 2, 2),
        (ApiKey.ALTER_REPLICA_LOG_DIRS, 1, 2, 2),
        (ApiKey.DESCRIBE_LOG_DIRS, 1, 5, 2),
        (ApiKey.SASL_AUTHENTICATE, 0, 2, 2),
        (ApiKey.CREATE_PARTITIONS, 0, 3, 2),
        (ApiKey.CREATE_DELEGATION_TOKEN, 1, 3, 2),
        (ApiKey.RENEW_DELEGATION_TOKEN, 1, 2, 2),
        (ApiKey.EXPIRE_DELEGATION_TOKEN, 1, 2, 2),
        (ApiKey.DESCRIBE_DELEGATION_TOKEN, 1, 3, 2),
        (ApiKey.DELETE_GROUPS, 0, 2, 2),
        (ApiKey.ELECT_LEADERS, 0, 2, 2),
        (ApiKey.INCREMENTAL_ALTER_CONFIGS, 0, 1, 1),
        (ApiKey.ALTER_PARTITION_REASSIGNMENTS, 0, 1, 0),
        (ApiKey.LIST_PARTITION_REASSIGNMENTS, 0, 0, 0),
        (ApiKey.OFFSET_DELETE, 0, 0, NEVER_FLEXIBLE),
        (ApiKey.DESCRIBE_CLIENT_QUOTAS, 0, 1, 1),
        (ApiKey.ALTER_CLIENT_QUOTAS, 0, 1, 1),
        (ApiKey.DESCRIBE_USER_SCRAM_CREDENTIALS, 0, 0, 0),
        (ApiKey.ALTER_USER_SCRAM_CREDENTIALS, 0, 0, 0),
        (ApiKey.DESCRIBE_QUORUM, 0, 2, 0),
        (ApiKey.UPDATE_FEATURES, 0, 2, 0),
        (ApiKey.DESCRIBE_CLUSTER, 0, 2, 0),
        (ApiKey.DESCRIBE_PRODUCERS, 0, 0, 0),
        (ApiKey.UNREGISTER_BROKER, 0, 0, 0),
        (ApiKey.DESCRIBE_TRANSACTIONS, 0, 0, 0),
        (ApiKey.LIST_TRANSACTIONS, 0, 2, 0),
        (ApiKey.CONSUMER_GROUP_HEARTBEAT, 0, 1, 0),
        (ApiKey.CONSUMER_GROUP_DESCRIBE, 0, 1, 0),
        (ApiKey.LIST_CONFIG_RESOURCES, 0, 1, 0),
        (ApiKey.DESCRIBE_TOPIC_PARTITIONS, 0, 0, 0),
        (ApiKey.ADD_RAFT_VOTER, 0, 1, 0),
        (ApiKey.REMOVE_RAFT_VOTER, 0, 0, 0),
    )
}


def served(api_key: int, version: int) -> bool:
    """Whether this version can be read and answered; ApiVersions is answered in any version (with error 35)."""
    api = APIS.get(api_key)
    if api is None or not api.min_version <= version <= api.max_version:
        return False
    return api_key != ApiKey.PRODUCE or version >= PRODUCE_MIN_SERVED


def flexible(api_key: int, version: int) -> bool:
    """Whether this version of an API uses compact lengths and tagged fields.

    Raises: MalformedRequest for an API the broker does not know.
    """
    api = APIS.get(api_key)
    if api is None:
        raise MalformedRequest(f"API key {api_key} is not one this broker knows")
    return version >= api.flexible_from

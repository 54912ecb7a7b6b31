"""From a frame to its handler, and the one place where a BrokerError becomes an answer.

`HANDLERS` is the table of what this broker serves; ApiVersions advertises exactly its rows. A request of an API or version
that is not advertised closes the connection, as Kafka does; ApiVersions alone is answered in version 0, so that a client
from the future can find out what there is.
"""

import logging
from collections.abc import Callable
from typing import Any

from broker.errors import BrokerError, ErrorCode, MalformedRequest
from broker.protocol.apis import ApiKey, served
from broker.protocol.bodies import Body
from broker.protocol.framing import parse_request_header
from broker.protocol.messages import decode_request, has_error_code, has_error_message
from broker.server.broker import Broker
from broker.server.exchange import Exchange
from broker.server.handlers import (
    api_versions,
    cluster,
    configs,
    consumer_groups,
    fetch,
    group_admin,
    groups,
    log_offsets,
    markers,
    offsets,
    produce,
    producer_ids,
    quorum,
    quotas,
    scram,
    security,
    topic_pages,
    topics,
    transactions,
)
from broker.server.quotas import ANONYMOUS

logger = logging.getLogger(__name__)

Handler = Callable[[Broker, Exchange, Any], Body | None]

HANDLERS: dict[int, Handler] = {
    ApiKey.PRODUCE: produce.produce,
    ApiKey.FETCH: fetch.fetch,
    ApiKey.LIST_OFFSETS: log_offsets.list_offsets,
    ApiKey.METADATA: cluster.metadata,
    ApiKey.OFFSET_COMMIT: offsets.commit,
    ApiKey.OFFSET_FETCH: offsets.fetch,
    ApiKey.FIND_COORDINATOR: cluster.find_coordinator,
    ApiKey.JOIN_GROUP: groups.join,
    ApiKey.HEARTBEAT: groups.heartbeat,
    ApiKey.LEAVE_GROUP: groups.leave,
    ApiKey.SYNC_GROUP: groups.sync,
    ApiKey.DESCRIBE_GROUPS: group_admin.describe,
    ApiKey.LIST_GROUPS: group_admin.list_groups,
    ApiKey.API_VERSIONS: api_versions.api_versions,
    ApiKey.CREATE_TOPICS: topics.create,
    ApiKey.DELETE_TOPICS: topics.delete,
    ApiKey.DELETE_RECORDS: log_offsets.delete_records,
    ApiKey.INIT_PRODUCER_ID: producer_ids.init,
    ApiKey.OFFSET_FOR_LEADER_EPOCH: log_offsets.for_leader_epoch,
    ApiKey.ADD_PARTITIONS_TO_TXN: transactions.add_partitions,
    ApiKey.ADD_OFFSETS_TO_TXN: transactions.add_offsets,
    ApiKey.END_TXN: transactions.end,
    ApiKey.WRITE_TXN_MARKERS: markers.write,
    ApiKey.TXN_OFFSET_COMMIT: transactions.commit_offsets,
    ApiKey.DESCRIBE_CONFIGS: configs.describe,
    ApiKey.ALTER_CONFIGS: configs.alter,
    ApiKey.DESCRIBE_LOG_DIRS: cluster.describe_log_dirs,
    ApiKey.CREATE_PARTITIONS: topics.create_partitions,
    ApiKey.DELETE_GROUPS: group_admin.delete,
    ApiKey.INCREMENTAL_ALTER_CONFIGS: configs.alter_incrementally,
    ApiKey.ELECT_LEADERS: quorum.elect,
    ApiKey.ALTER_PARTITION_REASSIGNMENTS: quorum.reassign,
    ApiKey.LIST_PARTITION_REASSIGNMENTS: quorum.list_reassignments,
    ApiKey.OFFSET_DELETE: group_admin.delete_offsets,
    ApiKey.DESCRIBE_CLIENT_QUOTAS: quotas.describe,
    ApiKey.ALTER_CLIENT_QUOTAS: quotas.alter,
    ApiKey.DESCRIBE_QUORUM: quorum.describe,
    ApiKey.UPDATE_FEATURES: quorum.update_features,
    ApiKey.DESCRIBE_CLUSTER: cluster.describe,
    ApiKey.DESCRIBE_PRODUCERS: transactions.describe_producers,
    ApiKey.DESCRIBE_TRANSACTIONS: transactions.describe,
    ApiKey.LIST_TRANSACTIONS: transactions.list_transactions,
    ApiKey.CONSUMER_GROUP_HEARTBEAT: consumer_groups.heartbeat,
    ApiKey.CONSUMER_GROUP_DESCRIBE: consumer_groups.describe,
    ApiKey.LIST_CONFIG_RESOURCES: configs.list_resources,
    ApiKey.DESCRIBE_TOPIC_PARTITIONS: topic_pages.describe,
    ApiKey.SASL_HANDSHAKE: security.handshake,
    ApiKey.SASL_AUTHENTICATE: security.authenticate,
    ApiKey.DESCRIBE_ACLS: security.describe_acls,
    ApiKey.CREATE_ACLS: security.create_acls,
    ApiKey.DELETE_ACLS: security.delete_acls,
    ApiKey.CREATE_DELEGATION_TOKEN: security.create_token,
    ApiKey.RENEW_DELEGATION_TOKEN: security.change_token,
    ApiKey.EXPIRE_DELEGATION_TOKEN: security.change_token,
    ApiKey.DESCRIBE_DELEGATION_TOKEN: security.describe_tokens,
    ApiKey.DESCRIBE_USER_SCRAM_CREDENTIALS: scram.describe,
    ApiKey.ALTER_USER_SCRAM_CREDENTIALS: scram.alter,
    ApiKey.ALTER_REPLICA_LOG_DIRS: cluster.move_replicas,
    ApiKey.UNREGISTER_BROKER: quorum.unregister,
    ApiKey.ADD_RAFT_VOTER: quorum.change_voters,
    ApiKey.REMOVE_RAFT_VOTER: quorum.change_voters,
}


def dispatch(
    broker: Broker, frame: memoryview, host: str, release: Callable[[], None], user: str | None = ANONYMOUS
) -> Exchange:
    """Begin to serve the request in `frame`; `user` is whose quotas count, None for nobody's.

    Raises: MalformedRequest for what cannot be read or is not served; the connection closes.
    """
    header = parse_request_header(frame)
    usage = broker.quotas.usage(user, header.client_id, len(frame)) if broker.quotas.limited else None
    exchange = Exchange(header, host, release, usage)
    handler = HANDLERS.get(header.api_key)
    if handler is None or not served(header.api_key, header.version):
        if header.api_key != ApiKey.API_VERSIONS:
            raise MalformedRequest(f"API key {header.api_key} version {header.version} is not served here")
        exchange.answer_frame(api_versions.fallback(exchange.correlation_id))
        return exchange
    request = decode_request(header.api_key, header.version, frame, header.body_offset)
    body: Body | None
    try:
        body = handler(broker, exchange, request)
    except BrokerError as error:
        body = _failure(header.api_key, header.version, error)
    except OSError as error:
        logger.exception("%s: the data directory refused", ApiKey(header.api_key).name)
        refused = BrokerError(ErrorCode.KAFKA_STORAGE_ERROR, str(error))
        body = _failure(header.api_key, header.version, refused)
    if body is not None:
        exchange.answer(body)
    if usage is not None:
        usage.handled()
    return exchange


def _failure(api_key: int, version: int, error: BrokerError) -> Body:
    """A whole request has failed: said by its own error code, or by hanging up where a response has none."""
    if not has_error_code(api_key, version):
        raise MalformedRequest(f"{ApiKey(api_key).name} could not be served: {error}") from error
    body: dict[str, Any] = {"error_code": error.code}
    if has_error_message(api_key, version):
        body["error_message"] = error.message or None
    return body


api_versions.advertise(HANDLERS)

"""InitProducerId without a transaction: an id no producer ever had, at epoch 0."""

from typing import Any

from broker.errors import BrokerError, ErrorCode
from broker.protocol.bodies import Body
from broker.server.broker import Broker
from broker.server.exchange import Exchange


def init(broker: Broker, _: Exchange, request: Any) -> Body:
    """A new producer id; transactional ids are refused as long as there is no transaction coordinator."""
    if request.transactional_id is not None:
        code = ErrorCode.INVALID_REQUEST if not request.transactional_id else ErrorCode.COORDINATOR_NOT_AVAILABLE
        raise BrokerError(code)
    return {"producer_id": broker.catalog.next_producer_id(), "producer_epoch": 0}

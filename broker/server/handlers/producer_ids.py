"""InitProducerId: an id and an epoch, for a transactional id or for nobody in particular."""

from typing import Any

from broker.coordinators.transaction import ProducerEpoch
from broker.errors import BrokerError, ErrorCode
from broker.server.broker import Broker
from broker.server.exchange import Exchange
from broker.server.handlers.transactions import fenced

FENCED_FROM = 4
NOBODY = ProducerEpoch(-1, -1)
"""What a producer says that starts, and what it is told with an error."""


def init(broker: Broker, exchange: Exchange, request: Any) -> None:
    """Without a transactional id a new producer at epoch 0; with one, the next epoch of its producer."""

    def done(error: ErrorCode, producer: ProducerEpoch) -> None:
        given = NOBODY if error else producer
        exchange.answer({"error_code": error, "producer_id": given.producer_id, "producer_epoch": given.epoch})

    try:
        expected = ProducerEpoch(getattr(request, "producer_id", -1), getattr(request, "producer_epoch", -1))
        if (expected.producer_id == NOBODY.producer_id) != (expected.epoch == NOBODY.epoch):
            raise BrokerError(ErrorCode.INVALID_REQUEST, "a producer's id and its epoch come together")
        if request.transactional_id is None:
            done(ErrorCode.NONE, ProducerEpoch(broker.catalog.next_producer_id(), 0))
            return
        believed = None if expected == NOBODY else expected
        broker.transactions.init(request.transactional_id, request.transaction_timeout, believed, done)
    except BrokerError as error:
        done(fenced(error.code, exchange.version >= FENCED_FROM), NOBODY)

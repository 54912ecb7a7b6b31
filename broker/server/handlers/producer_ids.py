"""InitProducerId: an id and an epoch, for a transactional id or for nobody in particular."""

from typing import Any

from broker.coordinators.transaction import ProducerEpoch
from broker.errors import BrokerError, ErrorCode
from broker.server.broker import Broker
from broker.server.exchange import Exchange
from broker.server.handlers.transactions import fenced

FENCED_FROM = 4


def init(broker: Broker, exchange: Exchange, request: Any) -> None:
    """Without a transactional id a new producer at epoch 0; with one, the next epoch of its producer."""
    if request.transactional_id is None:
        exchange.answer({"producer_id": broker.catalog.next_producer_id(), "producer_epoch": 0})
        return

    def done(error: ErrorCode, producer: ProducerEpoch) -> None:
        given = ProducerEpoch(-1, -1) if error else producer
        exchange.answer({"error_code": error, "producer_id": given.producer_id, "producer_epoch": given.epoch})

    try:
        if (getattr(request, "producer_id", -1) < 0) != (getattr(request, "producer_epoch", -1) < 0):
            raise BrokerError(ErrorCode.INVALID_REQUEST, "a producer's id and its epoch come together")
        timeout_ms = request.transaction_timeout
        broker.transactions.init(request.transactional_id, timeout_ms, _expected(request), done)
    except BrokerError as error:
        done(fenced(error.code, exchange.version >= FENCED_FROM), ProducerEpoch(-1, -1))


def _expected(request: Any) -> ProducerEpoch | None:
    """What the producer believes to be; None for one that starts."""
    producer_id = getattr(request, "producer_id", -1)
    return ProducerEpoch(producer_id, request.producer_epoch) if producer_id >= 0 else None

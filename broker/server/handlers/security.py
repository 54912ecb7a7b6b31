"""What needs an authorizer or tokens, neither of which there is: refused with the codes of a Kafka without them."""

from typing import Any

from broker.errors import BrokerError, ErrorCode
from broker.protocol.bodies import Body
from broker.server.broker import Broker
from broker.server.exchange import Exchange

NO_AUTHORIZER = "No Authorizer is configured."
NO_TIME = -1


def describe_acls(_: Broker, __: Exchange, ___: Any) -> Body:
    """There are no access rules to describe."""
    return {"error_code": ErrorCode.SECURITY_DISABLED, "error_message": NO_AUTHORIZER, "resources": ()}


def create_acls(_: Broker, __: Exchange, request: Any) -> Body:
    """Each rule is refused."""
    refused = {"error_code": ErrorCode.SECURITY_DISABLED, "error_message": NO_AUTHORIZER}
    return {"results": [refused for _ in request.creations]}


def delete_acls(_: Broker, __: Exchange, request: Any) -> Body:
    """Each filter is refused."""
    refused = {"error_code": ErrorCode.SECURITY_DISABLED, "error_message": NO_AUTHORIZER, "matching_acls": ()}
    return {"filter_results": [refused for _ in request.filters]}


def handshake(_: Broker, __: Exchange, ___: Any) -> Body:
    """Too late, or on a listener that asks nobody: a login comes before all other requests (`broker.server.login`)."""
    return {"error_code": ErrorCode.ILLEGAL_SASL_STATE, "mechanisms": ()}


def authenticate(_: Broker, __: Exchange, ___: Any) -> Body:
    """As above."""
    return {
        "error_code": ErrorCode.ILLEGAL_SASL_STATE,
        "error_message": "nobody is asked to authenticate here, or not any more",
    }


def create_token(_: Broker, __: Exchange, ___: Any) -> Body:
    """Tokens are for those who have authenticated."""
    return {
        "error_code": ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED,
        "principal_type": "User",
        "principal_name": "ANONYMOUS",
        "token_requester_principal_type": "User",
        "token_requester_principal_name": "ANONYMOUS",
        "issue_timestamp": NO_TIME,
        "expiry_timestamp": NO_TIME,
        "max_timestamp": NO_TIME,
    }


def change_token(_: Broker, __: Exchange, ___: Any) -> Body:
    """Neither renewed nor expired."""
    return {"error_code": ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, "expiry_timestamp": NO_TIME}


def describe_tokens(_: Broker, __: Exchange, ___: Any) -> Body:
    """There are none."""
    raise BrokerError(ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED)

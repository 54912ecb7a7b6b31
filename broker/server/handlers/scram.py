"""DescribeUserScramCredentials and AlterUserScramCredentials: the users that a listener with logins knows."""

from collections import Counter
from typing import Any

from broker.credentials import DIGESTS, MAX_ITERATIONS, MIN_ITERATIONS, kept
from broker.errors import BrokerError, ErrorCode
from broker.protocol.bodies import Body
from broker.server.broker import Broker
from broker.server.exchange import Exchange


def describe(broker: Broker, _: Exchange, request: Any) -> Body:
    """Mechanisms and iterations of the users asked for, or of all."""
    credentials = broker.dynamic.credentials
    asked = Counter(user.name for user in request.users or ()) or Counter(list(credentials))
    results = []
    for user, times in asked.items():
        result: dict[str, Any] = {"user": user, "error_message": "", "credential_infos": ()}
        if times > 1:
            result.update(error_code=ErrorCode.DUPLICATE_RESOURCE, error_message=f"user {user!r} is named twice")
        elif user not in credentials:
            result.update(error_code=ErrorCode.RESOURCE_NOT_FOUND, error_message=f"user {user!r} has no credential")
        else:
            result["credential_infos"] = [
                {"mechanism": int(mechanism), "iterations": stored["iterations"]}
                for mechanism, stored in credentials[user].items()
            ]
        results.append(result)
    return {"error_message": "", "results": results}


def alter(broker: Broker, _: Exchange, request: Any) -> Body:
    """Delete and set credentials, of each user one in a request.

    Source: Kafka's ScramControlManager, which knows changes by user alone: a second one is refused, and the first with it.
    """
    good: dict[str, Any] = {}
    errors: dict[str, BrokerError] = {}
    for item in (*request.deletions, *request.upsertions):
        try:
            if good.pop(item.name, None) is not None:
                raise BrokerError(ErrorCode.DUPLICATE_RESOURCE, "of a user one credential is altered in a request")
            if item.name not in errors:
                _check(broker, item)
                good[item.name] = item
        except BrokerError as error:
            errors[item.name] = error
    for item in list(good.values()):
        if getattr(item, "salted_password", None) == b"":  # noticed by Kafka when it makes keys of it, after all else
            errors[item.name] = BrokerError(ErrorCode.UNKNOWN_SERVER_ERROR)
            del good[item.name]
        else:
            _apply(broker, item)
    if good:
        broker.dynamic.write()
    return {"results": [{"user": user, **_outcome(error)} for user, error in {**dict.fromkeys(good), **errors}.items()]}


def _outcome(error: BrokerError | None) -> dict[str, Any]:
    return (
        {"error_message": None} if error is None else {"error_code": error.code, "error_message": error.message or None}
    )


def _check(broker: Broker, item: Any) -> None:
    """Raises: BrokerError for what cannot be changed so."""
    if not item.name:
        raise BrokerError(ErrorCode.UNACCEPTABLE_CREDENTIAL, "a user has a name")
    if item.mechanism not in DIGESTS:
        raise BrokerError(ErrorCode.UNSUPPORTED_SASL_MECHANISM, f"there is no mechanism {item.mechanism}, only 1 and 2")
    iterations = getattr(item, "iterations", None)
    if iterations is None:
        if str(item.mechanism) not in broker.dynamic.credentials.get(item.name, {}):
            raise BrokerError(ErrorCode.RESOURCE_NOT_FOUND, "there is no such credential to delete")
    elif not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
        raise BrokerError(
            ErrorCode.UNACCEPTABLE_CREDENTIAL,
            f"iterations must be {MIN_ITERATIONS} to {MAX_ITERATIONS}, not {iterations}",
        )


def _apply(broker: Broker, item: Any) -> None:
    credentials = broker.dynamic.credentials
    key = str(item.mechanism)
    if not hasattr(item, "iterations"):
        del credentials[item.name][key]
        if not credentials[item.name]:
            del credentials[item.name]
        return
    made = kept(item.salted_password, item.salt, item.iterations, DIGESTS[item.mechanism])
    credentials.setdefault(item.name, {})[key] = made

"""The broker's loggers as a resource with settings: each logger's level, shown and changed while the broker runs.

Names are Python's, and `root`; levels are Kafka's. A change is not kept over a restart, as in Kafka.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Any

from broker.errors import BrokerError, ErrorCode

SOURCE_LOGGER = 6
SET, DELETE = 0, 1
ROOT = "root"
OURS = "broker"
LEVELS = {
    "TRACE": logging.DEBUG,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
}
_NAMES = {level: name for name, level in LEVELS.items()}


def _loggers() -> dict[str, logging.Logger]:
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == OURS]
    return {ROOT: logging.root, **{name: logging.getLogger(name) for name in sorted(names)}}


def entries(node_id: int, name: str) -> Iterator[dict[str, Any]]:
    """Every logger with its level. Raises: BrokerError."""
    _check_name(node_id, name)
    return (
        {
            "name": name,
            "value": _NAMES.get(logger.getEffectiveLevel(), "INFO"),
            "config_source": SOURCE_LOGGER,
            "synonyms": (),
            "documentation": "",
        }
        for name, logger in _loggers().items()
    )


def changer(node_id: int, resource: Any) -> Callable[[], None]:
    """What makes the changes, which were found to be possible. Raises: BrokerError."""
    _check_name(node_id, resource.resource_name)
    known = _loggers()
    changes = [(_checked(known, item), LEVELS.get(item.value or "", logging.NOTSET)) for item in resource.configs]

    def change() -> None:
        for logger, level in changes:
            logger.setLevel(level)

    return change


def _check_name(node_id: int, name: str) -> None:
    if name != str(node_id):
        raise BrokerError(ErrorCode.INVALID_REQUEST, f"there is one broker, {node_id}, not {name!r}")


def _checked(known: dict[str, logging.Logger], item: Any) -> logging.Logger:
    if item.config_operation not in {SET, DELETE}:
        raise BrokerError(ErrorCode.INVALID_REQUEST, "a logger's level can be set or deleted, no more")
    if item.name not in known:
        raise BrokerError(ErrorCode.INVALID_CONFIG, f"there is no logger {item.name!r}, only {', '.join(known)}")
    if item.config_operation == SET and item.value not in LEVELS:
        raise BrokerError(ErrorCode.INVALID_CONFIG, f"{item.value!r} is no level, only {', '.join(LEVELS)} are")
    if item.config_operation == DELETE and item.name == ROOT:
        raise BrokerError(ErrorCode.INVALID_REQUEST, "the root logger's level cannot be deleted")
    return known[item.name]

"""DescribeClientQuotas and AlterClientQuotas: limits are kept and shown here, and obeyed by `server.quotas`."""

import socket
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

from broker.dynamic import Entity
from broker.errors import BrokerError, ErrorCode
from broker.protocol.bodies import Body
from broker.server.broker import Broker
from broker.server.exchange import Exchange
from broker.server.quotas import CLIENT_KEYS, CONNECTIONS, FETCH, IP_KEYS, PRODUCE

ENTITY_TYPES = frozenset({"user", "client-id", "ip"})
WHOLE_KEYS = frozenset({PRODUCE, FETCH, CONNECTIONS})
EXACT, DEFAULT, ANY = range(3)


def describe(broker: Broker, _: Exchange, request: Any) -> Body:
    """Quotas of the entities that match every component; `strict` allows no other components."""
    wanted: dict[str, Any] = {}
    for component in request.components:
        if not component.entity_type:
            return _refused("an entity type is empty")
        if component.entity_type not in ENTITY_TYPES:
            return _refused(f"{component.entity_type!r} is no entity type", ErrorCode.UNSUPPORTED_VERSION)
        if component.entity_type in wanted:
            return _refused(f"{component.entity_type!r} is named twice")
        if component.match_type not in {EXACT, DEFAULT, ANY}:
            return _refused(f"there is no way to match numbered {component.match_type}")
        if (component.match is None) is (component.match_type == EXACT):
            return _refused("a name is for a match of one name, and for nothing else")
        wanted[component.entity_type] = component
    if "ip" in wanted and len(wanted) > 1:
        return _refused("quotas of an ip are for nothing else beside it")
    entries = [
        {
            "entity": [{"entity_type": kind, "entity_name": name} for kind, name in entity],
            "values": [{"key": key, "value": value} for key, value in values.items()],
        }
        for entity, values in broker.dynamic.quotas.items()
        if _matches(dict(entity), wanted, strict=request.strict)
    ]
    return {"error_message": "", "entries": entries}


def _refused(message: str, code: ErrorCode = ErrorCode.INVALID_REQUEST) -> Body:
    return {"error_code": code, "error_message": message, "entries": None}


def _matches(entity: dict[str, str | None], wanted: dict[str, Any], *, strict: bool) -> bool:
    if not wanted.keys() <= entity.keys() or (strict and wanted.keys() != entity.keys()):
        return False
    return all(_matches_one(entity[kind], component) for kind, component in wanted.items())


def _matches_one(name: str | None, component: Any) -> bool:
    if component.match_type == EXACT:
        return bool(name == component.match)
    return component.match_type == ANY or name is None


def alter(broker: Broker, exchange: Exchange, request: Any) -> Body | None:
    """Set and remove limits; each entity succeeds or fails by itself. Names of hosts are looked up beside the loop."""
    names = {item.entity_name for entry in request.entries for item in entry.entity if item.entity_type == "ip"}
    hosts = sorted(name for name in names if name and not _is_address(name))
    if not hosts:
        return _altered(broker, request, frozenset())
    looking_up = broker.loop.run_in_executor(None, _unknown_hosts, hosts)
    looking_up.add_done_callback(lambda done: exchange.answer(_altered(broker, request, done.result())))
    return None


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _unknown_hosts(hosts: Iterable[str]) -> frozenset[str]:
    return frozenset(host for host in hosts if not _is_known(host))


def _is_known(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    return True


def _altered(broker: Broker, request: Any, unknown_hosts: frozenset[str]) -> Body:
    entries: dict[tuple[tuple[str, str | None], ...], Body] = {}
    changed = False
    for entry in request.entries:
        names = {item.entity_type: item.entity_name for item in entry.entity}  # the last of each type counts
        named = [{"entity_type": kind, "entity_name": name} for kind, name in names.items()]
        result: dict[str, Any] = {"error_message": None, "entity": named}
        key = tuple(sorted(names.items()))
        try:
            if key in entries:  # answered once, refused, though what came first is done: so Kafka
                raise BrokerError(ErrorCode.INVALID_REQUEST, "an entity that was named before is not changed again")
            entity = _entity(names, unknown_hosts)
            _check(entity, entry.ops)
            if not request.validate_only:
                values = {op.key: op.value for op in entry.ops if not op.remove}
                broker.dynamic.alter_quota(entity, values, frozenset(op.key for op in entry.ops if op.remove))
                changed = True
        except BrokerError as error:
            result.update(error_code=error.code, error_message=error.message)
        entries[key] = result
    if changed:
        broker.dynamic.write()
        broker.quotas.changed()
    return {"entries": list(entries.values())}


def _entity(names: dict[str, str | None], unknown_hosts: frozenset[str]) -> Entity:
    kinds = names.keys()
    if not kinds or not kinds <= ENTITY_TYPES or ("ip" in kinds and len(kinds) > 1):
        raise BrokerError(ErrorCode.INVALID_REQUEST, "a quota is for a user, a client-id, both, or an ip")
    if "" in names.values():
        raise BrokerError(ErrorCode.INVALID_REQUEST, "an entity's name is not empty; the default of a type is null")
    if names.get("ip") in unknown_hosts:
        raise BrokerError(ErrorCode.INVALID_REQUEST, f"{names['ip']!r} is neither an address nor a host that is known")
    return frozenset(names.items())


def _check(entity: Entity, ops: Any) -> None:
    if len({op.key for op in ops}) != len(ops):
        raise BrokerError(ErrorCode.INVALID_REQUEST, "a quota is named twice for one entity")
    allowed = IP_KEYS if any(kind == "ip" for kind, _ in entity) else CLIENT_KEYS
    for op in ops:
        if op.key not in allowed and not op.remove:
            raise BrokerError(
                ErrorCode.INVALID_REQUEST, f"no quota {op.key!r} here; there are {', '.join(sorted(allowed))}"
            )
        if not op.remove and (op.value <= 0 or (op.key in WHOLE_KEYS and op.value != int(op.value))):
            raise BrokerError(
                ErrorCode.INVALID_REQUEST, f"{op.key} must be a positive number, whole for rates of bytes"
            )

"""DescribeConfigs, AlterConfigs, IncrementalAlterConfigs and ListConfigResources for topics, the broker, and groups.

Settings of the broker named "" count for every broker, those of its id for it alone; both are kept, and only dynamic ones
can be changed. Groups need not exist to have settings.
"""

import dataclasses
from collections import ChainMap, Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from broker.config import DYNAMIC, GROUP_BOUNDS, GROUP_DEFAULTS, SETTINGS, TOPIC_DEFAULTS
from broker.errors import BrokerError, ConfigError, ErrorCode
from broker.kept_settings import KEPT_DYNAMIC, KEPT_SETTINGS, SHOWN_WHEN_SET
from broker.log.config import TOPIC_SETTINGS, TopicSetting, unknown_setting
from broker.protocol.bodies import Body
from broker.server.broker import Broker
from broker.server.exchange import Exchange
from broker.server.handlers import loggers

TOPIC = 2
BROKER = 4
BROKER_LOGGER = 8
CLIENT_METRICS = 16
GROUP = 32
SOURCE_TOPIC = 1
SOURCE_DYNAMIC_BROKER = 2
SOURCE_DYNAMIC_DEFAULT = 3
SOURCE_STATIC_BROKER = 4
SOURCE_DEFAULT = 5
SOURCE_GROUP = 8
SET, DELETE, APPEND, SUBTRACT = range(4)
KINDS = {"bool": 1, "str": 2, "int": 3, "float": 6, "list": 7, "password": 9}
LONG_KIND = 5
MAX_INT = 2**31 - 1
BUCKETS = {TOPIC: 64, BROKER: 512, GROUP: 32}
"""How large the hash tables are out of which Kafka answers, see `_in_described_order`."""
FIRST_OF_BUCKET = (
    "segment.bytes",
    "retention.ms",
    "flush.messages",
    "max.compaction.lag.ms",
    "retention.bytes",
    "socket.connection.setup.timeout.ms",
    "log.cleaner.io.buffer.load.factor",
    "process.roles",
    "group.consumer.max.session.timeout.ms",
    "num.recovery.threads.per.data.dir",
    "offset.metadata.max.bytes",
    "group.coordinator.append.linger.ms",
)
"""Settings that Kafka names before others of their bucket."""

UNSET_UNLESS_GIVEN = {"retention.ms": "log.retention.hours", "segment.ms": "log.roll.hours"}
"""Topic settings whose broker setting in ms Kafka leaves unset, taking the one in hours, which it shows behind one in ms."""
SHOWN_SYNONYMS: dict[str, list[dict[str, Any]]] = {
    name: [
        {"name": synonym, "value": TOPIC_SETTINGS[name].shown(TOPIC_SETTINGS[name].default), "source": SOURCE_DEFAULT}
    ]
    for name, synonym in (
        ("compression.gzip.level", "compression.gzip.level"),
        ("compression.lz4.level", "compression.lz4.level"),
        ("compression.zstd.level", "compression.zstd.level"),
        ("file.delete.delay.ms", "log.segment.delete.delay.ms"),
        ("flush.messages", "log.flush.interval.messages"),
        ("local.retention.bytes", "log.local.retention.bytes"),
        ("local.retention.ms", "log.local.retention.ms"),
        ("preallocate", "log.preallocate"),
        ("unclean.leader.election.enable", "unclean.leader.election.enable"),
    )
}
"""Topic settings that are kept for tools alone, with the broker setting Kafka's tools show beside them."""

SettingsOf = Callable[[Mapping[str, str], Any], dict[str, str]]
"""From the settings a resource has and a request's changes to those it shall have."""


# ---- describe


def describe(broker: Broker, _: Exchange, request: Any) -> Body:
    """Settings of each resource with where they come from."""
    synonyms = request.include_synonyms
    documentation = bool(getattr(request, "include_documentation", False))
    results = []
    for resource in request.resources:
        result: dict[str, Any] = {
            "error_message": "",
            "resource_type": resource.resource_type,
            "resource_name": resource.resource_name,
        }
        try:
            result["configs"] = [
                _shown(entry, synonyms=synonyms, documentation=documentation)
                for entry in _in_described_order(_entries(broker, resource), BUCKETS.get(resource.resource_type))
                if not resource.configuration_keys or entry["name"] in resource.configuration_keys
            ]
        except BrokerError as error:
            result.update(error_code=error.code, error_message=error.message or None)
        results.append(result)
    return {"results": results}


def _in_described_order(entries: Iterable[dict[str, Any]], buckets: int | None) -> Iterable[dict[str, Any]]:
    """As Kafka lists them, which is in no order that means anything, but always the same: clients read by position."""
    return sorted(entries, key=lambda entry: _place(entry["name"], buckets)) if buckets else entries


@cache
def _place(name: str, buckets: int) -> tuple[int, int]:
    """Where a name stands in a hash table of Java: its bucket, and before whom in there."""
    value = 0
    for character in name:
        value = (31 * value + ord(character)) % (1 << 32)
    turn = FIRST_OF_BUCKET.index(name) if name in FIRST_OF_BUCKET else len(FIRST_OF_BUCKET)
    return (value ^ (value >> 16)) % buckets, turn


def _shown(entry: dict[str, Any], *, synonyms: bool, documentation: bool) -> dict[str, Any]:
    shown = dict(entry)
    if not synonyms:
        shown["synonyms"] = ()
    if not documentation:
        shown["documentation"] = None
    return shown


def _entries(broker: Broker, resource: Any) -> Iterable[dict[str, Any]]:
    if resource.resource_type == TOPIC:
        _check_topic_name(broker, resource.resource_name)
        return topic_entries(broker, broker.catalog.get(resource.resource_name).settings)
    if resource.resource_type == BROKER:
        _check_broker_name(broker, resource.resource_name)
        return _broker_entries(broker) if resource.resource_name else _default_entries(broker)
    if resource.resource_type == BROKER_LOGGER:
        return loggers.entries(broker.config.node_id, resource.resource_name)
    if resource.resource_type == GROUP:
        return _group_entries(broker, resource.resource_name)
    if resource.resource_type == CLIENT_METRICS and resource.resource_name:
        return ()
    raise BrokerError(ErrorCode.INVALID_REQUEST, f"resources of type {resource.resource_type} have no settings here")


def _check_broker_name(broker: Broker, name: str) -> None:
    if name not in {"", str(broker.config.node_id)}:
        raise BrokerError(ErrorCode.INVALID_REQUEST, f"there is one broker, {broker.config.node_id}, not {name!r}")


def topic_entries(broker: Broker, settings: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    """Every topic setting as a topic with these settings has it."""
    values = broker.catalog.log_config(settings).shown()
    for name, setting in TOPIC_SETTINGS.items():
        synonym = TOPIC_DEFAULTS.get(name)
        synonyms = SHOWN_SYNONYMS.get(name, []) if synonym is None else _broker_synonyms(broker, synonym)
        if name in UNSET_UNLESS_GIVEN:
            synonyms = [given for given in synonyms if given["source"] != SOURCE_DEFAULT]
            synonyms += _broker_synonyms(broker, UNSET_UNLESS_GIVEN[name]) if synonyms else []
        source = synonyms[0]["source"] if synonyms else SOURCE_DEFAULT
        if name in settings:
            source = SOURCE_TOPIC
            synonyms = [{"name": name, "value": values[name], "source": SOURCE_TOPIC}, *synonyms]
        yield _entry(setting, values[name], source, synonyms, read_only=False)


def _broker_entries(broker: Broker) -> Iterable[dict[str, Any]]:
    for name, setting in SETTINGS.items():
        synonyms = _broker_synonyms(broker, name)
        yield _entry(setting, synonyms[0]["value"], synonyms[0]["source"], synonyms, read_only=name not in DYNAMIC)
    for name, setting in KEPT_SETTINGS.items():
        synonyms = _broker_synonyms(broker, name)
        if not synonyms and name in SHOWN_WHEN_SET:
            continue
        first: dict[str, Any] = synonyms[0] if synonyms else {"value": None, "source": SOURCE_DEFAULT}
        yield _entry(setting, first["value"], first["source"], synonyms, read_only=name not in KEPT_DYNAMIC)


def _default_entries(broker: Broker) -> Iterable[dict[str, Any]]:
    """Only what was set for all brokers."""
    for name, value in _for_all_brokers(broker).items():
        synonym = {"name": name, "value": value, "source": SOURCE_DYNAMIC_DEFAULT}
        setting = _broker_setting(name)
        yield _entry(setting, value, SOURCE_DYNAMIC_DEFAULT, [synonym], read_only=False)


def _broker_synonyms(broker: Broker, name: str) -> list[dict[str, Any]]:
    """Every value a setting was given, the one that counts first."""
    setting = _broker_setting(name)
    static = _static_value(broker, name)
    own = broker.dynamic.brokers.get(str(broker.config.node_id), {}).get(name)
    found = [(own, SOURCE_DYNAMIC_BROKER), (_for_all_brokers(broker).get(name), SOURCE_DYNAMIC_DEFAULT)]
    if static != setting.default:
        found.append((setting.shown(static), SOURCE_STATIC_BROKER))
    if setting.default is not None:
        found.append((setting.shown(setting.default), SOURCE_DEFAULT))
    return [{"name": name, "value": value, "source": source} for value, source in found if value is not None]


def _broker_setting(name: str) -> TopicSetting:
    return SETTINGS.get(name) or KEPT_SETTINGS[name]


def _static_value(broker: Broker, name: str) -> Any:
    """What a setting is without what was changed while the broker runs; none of those kept for tools is anything else."""
    return broker.static_config.value(name) if name in SETTINGS else KEPT_SETTINGS[name].default


def _for_all_brokers(broker: Broker) -> dict[str, str]:
    """Settings of the whole cluster; Kafka writes down `min.insync.replicas` as one of them when a cluster is made."""
    replicas = {"min.insync.replicas": str(broker.static_config.min_insync_replicas)}
    return {**replicas, **broker.dynamic.brokers.get("", {})}


def _group_entries(broker: Broker, group_id: str) -> Iterable[dict[str, Any]]:
    if not group_id:
        raise BrokerError(ErrorCode.INVALID_REQUEST, "a group has a name")
    given = broker.dynamic.groups.get(group_id, {})
    for name, default in GROUP_DEFAULTS.items():
        synonyms = _broker_synonyms(broker, default)
        setting = dataclasses.replace(_broker_setting(default), name=name)
        if name in given:
            synonyms = [{"name": name, "value": given[name], "source": SOURCE_GROUP}, *synonyms]
        yield _entry(setting, synonyms[0]["value"], synonyms[0]["source"], synonyms, read_only=False)


def _entry(
    setting: TopicSetting, value: str | None, source: int, synonyms: list[dict[str, Any]], *, read_only: bool
) -> dict[str, Any]:
    kind = LONG_KIND if setting.kind == "int" and setting.high > MAX_INT else KINDS[setting.kind]
    secret = setting.kind == "password"
    if secret:
        value, synonyms = None, [{**synonym, "value": None} for synonym in synonyms]
    return {
        "name": setting.name,
        "value": value,
        "read_only": read_only,
        "is_sensitive": secret,
        "config_source": source,
        "synonyms": synonyms,
        "config_type": kind,
        "documentation": setting.doc,
    }


# ---- alter


def alter(broker: Broker, _: Exchange, request: Any) -> Body:
    """Replace all settings of each resource."""
    return _altered(broker, request, _given)


def alter_incrementally(broker: Broker, _: Exchange, request: Any) -> Body:
    """Set, remove, append to or subtract from single settings of each resource."""
    return _altered(broker, request, _changed)


def _altered(broker: Broker, request: Any, settings_of: SettingsOf) -> Body:
    named = Counter((resource.resource_type, resource.resource_name) for resource in request.resources)
    responses = []
    for resource in request.resources:
        response: dict[str, Any] = {
            "error_message": None,
            "resource_type": resource.resource_type,
            "resource_name": resource.resource_name,
        }
        try:
            if named[resource.resource_type, resource.resource_name] > 1:
                raise BrokerError(ErrorCode.INVALID_REQUEST, "a resource is named twice in one request")
            _check_changes(resource)
            apply = _changer(broker, resource, settings_of)
            if not request.validate_only:
                apply()
        except BrokerError as error:
            response.update(error_code=error.code, error_message=error.message or None)
        responses.append(response)
    return {"responses": responses}


def _changer(broker: Broker, resource: Any, settings_of: SettingsOf) -> Callable[[], None]:
    """What makes the change, which was found to be possible. Raises: BrokerError."""
    name = resource.resource_name
    if resource.resource_type == TOPIC:
        _check_lists(resource)
        if not name:
            raise BrokerError(ErrorCode.INVALID_REQUEST, "a topic has a name: there are no settings for all topics")
        _check_topic_name(broker, name)
        known = broker.catalog.topics.get(name)
        settings = settings_of({} if known is None else known.settings, resource)
        broker.catalog.check_settings(settings)
        topic = broker.catalog.get(name)
        return lambda: broker.catalog.alter(topic.name, settings)
    if resource.resource_type == BROKER:
        _check_broker_name(broker, name)
        settings = settings_of(broker.dynamic.brokers.get(name, {}), resource)
        _check_settings(broker, settings, {key: key for key in DYNAMIC | KEPT_DYNAMIC}, ErrorCode.INVALID_REQUEST)
        _check_replicas_kept(resource, settings_of)
        return lambda: broker.reconfigure(name, settings)
    if resource.resource_type in WITHOUT_LISTS:
        _check_lists(resource, {})
    if resource.resource_type == GROUP:
        if not name:
            raise BrokerError(ErrorCode.INVALID_REQUEST, "a group has a name")
        settings = settings_of(broker.dynamic.groups.get(name, {}), resource)
        _check_settings(broker, settings, GROUP_DEFAULTS, ErrorCode.INVALID_CONFIG)
        _check_bounds(broker, settings)
        return lambda: _alter_group(broker, name, settings)
    if resource.resource_type == BROKER_LOGGER and settings_of is _changed:
        return loggers.changer(broker.config.node_id, resource)
    deletes = all(_operation(item) == DELETE for item in resource.configs)
    if deletes and name and (resource.resource_type, settings_of) in NOTHING_TO_CHANGE:
        return lambda: None
    raise BrokerError(ErrorCode.INVALID_REQUEST, f"resources of type {resource.resource_type} have no settings here")


def _check_settings(broker: Broker, settings: Mapping[str, str], known: Mapping[str, str], code: ErrorCode) -> None:
    """`known` maps what may be set to the broker's setting of the same type; `code` is Kafka's for what may not."""
    for name, text in settings.items():
        if name not in known:
            raise BrokerError(code, f"{name!r} cannot be set here; these can: {', '.join(sorted(known))}")
        try:
            if known[name] in KEPT_SETTINGS:
                KEPT_SETTINGS[known[name]].parse(text)
            else:
                broker.config.with_value(known[name], text)
        except ConfigError as error:
            raise BrokerError(code, str(error)) from error


def _check_replicas_kept(resource: Any, settings_of: SettingsOf) -> None:
    """`min.insync.replicas` is set for the whole cluster when that is made, and stays so. Raises: BrokerError."""
    named = [item for item in resource.configs if item.name == "min.insync.replicas"]
    if resource.resource_name:
        if named:
            raise BrokerError(ErrorCode.INVALID_CONFIG, "min.insync.replicas is set for the whole cluster or a topic")
        return
    deleted = any(_operation(item) == DELETE for item in named)
    if deleted or (settings_of is _given and not named):
        raise BrokerError(ErrorCode.INVALID_CONFIG, "min.insync.replicas of the cluster cannot be removed")


def _check_bounds(broker: Broker, settings: Mapping[str, str]) -> None:
    for name, text in settings.items():
        low, high = (_static_value(broker, bound) for bound in GROUP_BOUNDS[name])
        if not low <= int(text) <= high:
            raise BrokerError(ErrorCode.INVALID_CONFIG, f"{name} must lie between {low:,} and {high:,}, not {text}")


def _alter_group(broker: Broker, group_id: str, settings: dict[str, str]) -> None:
    broker.dynamic.groups[group_id] = settings
    if not settings:
        del broker.dynamic.groups[group_id]
    broker.dynamic.write()


def _check_topic_name(broker: Broker, name: str) -> None:
    error = broker.catalog.name_error(name)
    if error is not None:
        raise BrokerError(error, f"{name!r} is no name of a topic")


def _operation(item: Any) -> int:
    """What is done to a setting; whoever replaces all of them sets each."""
    return int(getattr(item, "config_operation", SET))


def _check_changes(resource: Any) -> None:
    """What is wrong with a request whatever it is about. Raises: BrokerError."""
    names = [item.name for item in resource.configs]
    if len(set(names)) != len(names):
        raise BrokerError(ErrorCode.INVALID_REQUEST, "a setting is named twice in one request")
    for item in resource.configs:
        if item.value is None and _operation(item) != DELETE:
            raise BrokerError(ErrorCode.INVALID_REQUEST, f"{item.name} has no value")
        if _operation(item) not in {SET, DELETE, APPEND, SUBTRACT}:
            raise BrokerError(ErrorCode.INVALID_REQUEST, f"there is no operation {item.config_operation} on a setting")


def _check_lists(resource: Any, known: Mapping[str, TopicSetting] = TOPIC_SETTINGS) -> None:
    """Only lists are appended to: looked at first, as by Kafka, and whether there is such a topic last. Raises: BrokerError."""
    for item in resource.configs:
        if _operation(item) in {APPEND, SUBTRACT}:
            if not known:
                raise _no_list(item.name)
            _list_setting(item.name, known)


def _list_setting(name: str, known: Mapping[str, Any]) -> Any:
    """The setting of that name, which must be a list. Raises: BrokerError."""
    setting = known.get(name)
    if setting is None:
        raise BrokerError(ErrorCode.INVALID_CONFIG, unknown_setting(name))
    if setting.kind != "list":
        raise _no_list(name)
    return setting


def _no_list(name: str) -> BrokerError:
    return BrokerError(ErrorCode.INVALID_CONFIG, f"{name} is no list that can be appended to")


def _given(settings: Mapping[str, str], resource: Any) -> dict[str, str]:
    del settings
    return {item.name: item.value for item in resource.configs}


def _changed(settings: Mapping[str, str], resource: Any) -> dict[str, str]:
    changed = dict(settings)
    for item in resource.configs:
        if item.config_operation == DELETE:
            changed.pop(item.name, None)
        elif item.config_operation == SET:
            changed[item.name] = item.value
        else:
            changed[item.name] = _list_changed(changed, item)
    return changed


DIRECTORIES = "log.dirs"
"""A list in Kafka, one folder here; whoever appends to it is told that it cannot be set, not that it is no list."""
WITHOUT_LISTS = frozenset({CLIENT_METRICS, GROUP})
NOTHING_TO_CHANGE = ((CLIENT_METRICS, _given), (CLIENT_METRICS, _changed))
"""What has no settings here, and by which requests one may change none of them, or remove any, as Kafka's."""


def _list_changed(settings: Mapping[str, str], item: Any) -> str:
    if item.name == DIRECTORIES:
        return str(item.value)
    setting = _list_setting(item.name, ChainMap(TOPIC_SETTINGS, SETTINGS, KEPT_SETTINGS))
    current = settings.get(item.name, setting.shown(setting.default))
    parts = [part for part in current.split(",") if part]
    for part in _parts_given(item.value):
        if item.config_operation == SUBTRACT and part in parts:
            parts.remove(part)
        elif item.config_operation == APPEND and part not in parts:
            parts.append(part)
    return ",".join(parts)


def _parts_given(text: str) -> list[str]:
    """The parts of a list as they are written, blanks too; only at its end there are none, unless it is all there is."""
    without_end = text.rstrip(",")
    return without_end.split(",") if without_end or not text else []


# ---- what has settings


def list_resources(broker: Broker, exchange: Exchange, request: Any) -> Body:
    """Names of what has, or can have, settings; version 0 asks for client metrics, which there are none of."""
    if exchange.version == 0:
        return {"config_resources": ()}
    node = [str(broker.config.node_id)]
    names: dict[int, Iterable[str]] = {
        TOPIC: broker.catalog.topics,
        BROKER: node,
        BROKER_LOGGER: node,
        CLIENT_METRICS: (),
        GROUP: broker.dynamic.groups,
    }
    kinds = dict.fromkeys(request.resource_types) or names
    if not kinds.keys() <= names.keys():
        return {"error_code": ErrorCode.UNSUPPORTED_VERSION}
    return {
        "config_resources": [
            {"resource_name": name, "resource_type": kind} for kind in kinds for name in sorted(names[kind])
        ]
    }

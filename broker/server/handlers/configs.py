"""DescribeConfigs, AlterConfigs, IncrementalAlterConfigs for topics and the broker."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from broker.config import DYNAMIC, SETTINGS, TOPIC_DEFAULTS
from broker.errors import BrokerError, ConfigError, ErrorCode
from broker.log.config import TOPIC_SETTINGS, TopicSetting, unknown_setting
from broker.protocol.bodies import Body
from broker.server.broker import Broker
from broker.server.exchange import Exchange

TOPIC = 2
BROKER = 4
SOURCE_TOPIC = 1
SOURCE_STATIC_BROKER = 4
SOURCE_DEFAULT = 5
SET, DELETE, APPEND, SUBTRACT = range(4)
KINDS = {"bool": 1, "str": 2, "int": 3, "float": 6, "list": 7}
LONG_KIND = 5
MAX_INT = 2**31 - 1


# ---- describe


def describe(broker: Broker, _: Exchange, request: Any) -> Body:
    """Settings of each resource with where they come from."""
    synonyms = request.include_synonyms
    documentation = bool(getattr(request, "include_documentation", False))
    results = []
    for resource in request.resources:
        result: dict[str, Any] = {
            "error_message": None,
            "resource_type": resource.resource_type,
            "resource_name": resource.resource_name,
        }
        try:
            result["configs"] = [
                _shown(entry, synonyms=synonyms, documentation=documentation)
                for entry in _entries(broker, resource)
                if resource.configuration_keys is None or entry["name"] in resource.configuration_keys
            ]
        except BrokerError as error:
            result.update(error_code=error.code, error_message=error.message or None)
        results.append(result)
    return {"results": results}


def _shown(entry: dict[str, Any], *, synonyms: bool, documentation: bool) -> dict[str, Any]:
    shown = dict(entry)
    if not synonyms:
        shown["synonyms"] = ()
    if not documentation:
        shown["documentation"] = None
    return shown


def _entries(broker: Broker, resource: Any) -> Iterable[dict[str, Any]]:
    if resource.resource_type == TOPIC:
        return _topic_entries(broker, broker.catalog.get(resource.resource_name).settings)
    if resource.resource_type == BROKER:
        _check_broker_name(broker, resource.resource_name)
        return _broker_entries(broker)
    raise BrokerError(ErrorCode.INVALID_REQUEST, f"resources of type {resource.resource_type} have no settings here")


def _check_broker_name(broker: Broker, name: str) -> None:
    if name not in {"", str(broker.config.node_id)}:
        raise BrokerError(ErrorCode.INVALID_REQUEST, f"there is one broker, {broker.config.node_id}, not {name!r}")


def _topic_entries(broker: Broker, settings: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    values = broker.catalog.log_config(settings).shown()
    changed = broker.config.changed()
    for name, setting in TOPIC_SETTINGS.items():
        synonym = TOPIC_DEFAULTS.get(name)
        synonyms = [] if synonym is None else _broker_synonyms(broker, synonym)
        source = SOURCE_STATIC_BROKER if synonym in changed else SOURCE_DEFAULT
        if name in settings:
            source = SOURCE_TOPIC
            synonyms = [{"name": name, "value": values[name], "source": SOURCE_TOPIC}, *synonyms]
        yield _entry(setting, values[name], source, synonyms, read_only=False)


def _broker_entries(broker: Broker) -> Iterable[dict[str, Any]]:
    for name, setting in SETTINGS.items():
        synonyms = _broker_synonyms(broker, name)
        yield _entry(setting, synonyms[0]["value"], synonyms[0]["source"], synonyms, read_only=name not in DYNAMIC)


def _broker_synonyms(broker: Broker, name: str) -> list[dict[str, Any]]:
    setting, value = SETTINGS[name], broker.config.value(name)
    default = {"name": name, "value": setting.shown(setting.default), "source": SOURCE_DEFAULT}
    if value == setting.default:
        return [default]
    return [{"name": name, "value": setting.shown(value), "source": SOURCE_STATIC_BROKER}, default]


def _entry(
    setting: TopicSetting, value: str, source: int, synonyms: list[dict[str, Any]], *, read_only: bool
) -> dict[str, Any]:
    kind = LONG_KIND if setting.kind == "int" and setting.high > MAX_INT else KINDS[setting.kind]
    return {
        "name": setting.name,
        "value": value,
        "read_only": read_only,
        "config_source": source,
        "synonyms": synonyms,
        "config_type": kind,
        "documentation": setting.doc,
    }


# ---- alter


def alter(broker: Broker, _: Exchange, request: Any) -> Body:
    """Replace all settings of each resource."""
    return _altered(broker, request, lambda _, resource: _given(resource))


def alter_incrementally(broker: Broker, _: Exchange, request: Any) -> Body:
    """Set, remove, append to or subtract from single settings of each resource."""
    return _altered(broker, request, _changed)


def _altered(broker: Broker, request: Any, settings_of: Callable[[Mapping[str, str], Any], dict[str, str]]) -> Body:
    responses = []
    for resource in request.resources:
        response: dict[str, Any] = {
            "error_message": None,
            "resource_type": resource.resource_type,
            "resource_name": resource.resource_name,
        }
        try:
            if resource.resource_type != TOPIC:
                raise BrokerError(ErrorCode.INVALID_REQUEST, "only settings of topics can be altered while running")
            topic = broker.catalog.get(resource.resource_name)
            settings = settings_of(topic.settings, resource)
            broker.catalog.log_config(settings)
            if not request.validate_only:
                broker.catalog.alter(topic.name, settings)
        except BrokerError as error:
            response.update(error_code=error.code, error_message=error.message or None)
        responses.append(response)
    return {"responses": responses}


def _given(resource: Any) -> dict[str, str]:
    for item in resource.configs:
        if item.value is None:
            raise BrokerError(ErrorCode.INVALID_REQUEST, f"{item.name} has no value")
    return {item.name: item.value for item in resource.configs}


def _changed(settings: Mapping[str, str], resource: Any) -> dict[str, str]:
    changed = dict(settings)
    names = [item.name for item in resource.configs]
    if len(set(names)) != len(names):
        raise BrokerError(ErrorCode.INVALID_REQUEST, "a setting is named twice in one request")
    for item in resource.configs:
        if item.config_operation == DELETE:
            changed.pop(item.name, None)
        elif item.value is None:
            raise BrokerError(ErrorCode.INVALID_REQUEST, f"{item.name} has no value")
        elif item.config_operation == SET:
            changed[item.name] = item.value
        else:
            changed[item.name] = _list_changed(changed, item)
    return changed


def _list_changed(settings: Mapping[str, str], item: Any) -> str:
    setting = TOPIC_SETTINGS.get(item.name)
    if setting is None:
        raise BrokerError(ErrorCode.INVALID_CONFIG, unknown_setting(item.name))
    if setting.kind != "list":
        raise BrokerError(ErrorCode.INVALID_CONFIG, f"{item.name} is no list that can be appended to")
    try:
        current = list(setting.parse(settings.get(item.name, setting.shown(setting.default))))
        given = list(setting.parse(item.value))
    except ConfigError as error:
        raise BrokerError(ErrorCode.INVALID_CONFIG, str(error)) from error
    if item.config_operation == APPEND:
        return ",".join([*current, *(part for part in given if part not in current)])
    return ",".join(part for part in current if part not in given)

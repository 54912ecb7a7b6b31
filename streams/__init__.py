"""Kafka Streams for Python, broker included: the public names.

    from streams import App, TimeWindows

Names are imported when they are first used, so that `import streams` costs next to nothing, and so that the layers
below never pull in those above; `__init__.pyi` tells type checkers what they are. Everything else is found in its
module: `streams.testing`, `streams.serdes`, ...
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "App": "streams.app",
    "Avro": "streams.serdes.avro",
    "Batch": "streams.record",
    "BatchProcessor": "streams.processor",
    "BranchedKStream": "streams.dsl.branched",
    "BrokerUnreachable": "streams.errors",
    "ConfigError": "streams.errors",
    "Connection": "streams.connection",
    "EmitStrategy": "streams.dsl.windows",
    "Engine": "streams.dsl.stores",
    "FixedKeyProcessor": "streams.processor",
    "Float32": "streams.serdes",
    "GlobalKTable": "streams.dsl.ktable",
    "Int16": "streams.serdes",
    "Int32": "streams.serdes",
    "JoinWindows": "streams.dsl.windows",
    "JsonSchema": "streams.serdes.json_schema",
    "KStream": "streams.dsl.kstream",
    "KTable": "streams.dsl.kstream",
    "Materialized": "streams.dsl.options",
    "OnError": "streams.on_error",
    "Processor": "streams.processor",
    "ProcessorContext": "streams.processor",
    "Protobuf": "streams.serdes.protobuf",
    "PunctuationType": "streams.processor",
    "Record": "streams.record",
    "RecordError": "streams.errors",
    "Records": "streams.reading",
    "Running": "streams.background",
    "SessionWindowedSerde": "streams.serdes",
    "SessionWindows": "streams.dsl.windows",
    "SlidingWindows": "streams.dsl.windows",
    "StateStore": "state.custom",
    "StoreMoved": "streams.errors",
    "StoreNotReady": "streams.errors",
    "StreamsBuilder": "streams.dsl.builder",
    "StreamsConfig": "streams.config",
    "StreamsError": "streams.errors",
    "TimeWindowedSerde": "streams.serdes",
    "TimeWindows": "streams.dsl.windows",
    "Topic": "streams.dsl.options",
    "Topology": "streams.topology.topology",
    "TopologyBuilder": "streams.dsl.topology_builder",
    "TopologyError": "streams.errors",
    "UnlimitedWindows": "streams.dsl.windows",
    "Windowed": "streams.record",
    "WorkerState": "streams.runtime.worker_states",
    "bounded_key_value_store": "streams.dsl.stores",
    "custom_store": "streams.dsl.stores",
    "dead_letter": "streams.on_error",
    "key_value_store": "streams.dsl.stores",
    "read_csv": "streams.connect.readers",
    "read_jsonl": "streams.connect.readers",
    "read_parquet": "streams.connect.readers",
    "retry": "streams.on_error",
    "serde_for": "streams.serdes",
    "session_store": "streams.dsl.stores",
    "timestamped_key_value_store": "streams.dsl.stores",
    "until_time_limit": "streams.dsl.suppressed",
    "until_window_closes": "streams.dsl.suppressed",
    "versioned_store": "streams.dsl.stores",
    "window_store": "streams.dsl.stores",
}

__all__ = [
    "App",
    "Avro",
    "Batch",
    "BatchProcessor",
    "BranchedKStream",
    "BrokerUnreachable",
    "ConfigError",
    "Connection",
    "EmitStrategy",
    "Engine",
    "FixedKeyProcessor",
    "Float32",
    "GlobalKTable",
    "Int16",
    "Int32",
    "JoinWindows",
    "JsonSchema",
    "KStream",
    "KTable",
    "Materialized",
    "OnError",
    "Processor",
    "ProcessorContext",
    "Protobuf",
    "PunctuationType",
    "Record",
    "RecordError",
    "Records",
    "Running",
    "SessionWindowedSerde",
    "SessionWindows",
    "SlidingWindows",
    "StateStore",
    "StoreMoved",
    "StoreNotReady",
    "StreamsBuilder",
    "StreamsConfig",
    "StreamsError",
    "TimeWindowedSerde",
    "TimeWindows",
    "Topic",
    "Topology",
    "TopologyBuilder",
    "TopologyError",
    "UnlimitedWindows",
    "Windowed",
    "WorkerState",
    "bounded_key_value_store",
    "custom_store",
    "dead_letter",
    "key_value_store",
    "read_csv",
    "read_jsonl",
    "read_parquet",
    "retry",
    "serde_for",
    "session_store",
    "timestamped_key_value_store",
    "until_time_limit",
    "until_window_closes",
    "versioned_store",
    "window_store",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'streams' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})

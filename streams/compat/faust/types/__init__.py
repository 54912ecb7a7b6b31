"""Names for annotations, where Faust has them: `from faust.types import StreamT`."""

from collections.abc import Callable
from enum import Enum
from typing import Any

from streams.compat.faust.agents import Agent
from streams.compat.faust.app import App
from streams.compat.faust.errors import not_here
from streams.compat.faust.models import FieldDescriptor, Record
from streams.compat.faust.serializers.codecs import Codec
from streams.compat.faust.streams import Stream
from streams.compat.faust.tables import Table
from streams.compat.faust.topics import TP, Channel, Event, Message, RecordMetadata, Topic
from streams.compat.faust.types import auth
from streams.compat.faust.windows import HoppingWindow

__all__ = [
    "TP",
    "AgentT",
    "AppT",
    "ChannelT",
    "CodecArg",
    "CodecT",
    "CollectionT",
    "EventT",
    "FieldDescriptorT",
    "HeadersArg",
    "K",
    "Message",
    "ModelArg",
    "ModelT",
    "ProcessingGuarantee",
    "Processor",
    "RecordMetadata",
    "StreamT",
    "TableT",
    "TopicT",
    "V",
    "WindowT",
    "auth",
]

AgentT, AppT, ChannelT, CodecT, EventT = Agent, App, Channel, Codec, Event
FieldDescriptorT, ModelT, StreamT, TopicT, WindowT = FieldDescriptor, Record, Stream, Topic, HoppingWindow
CollectionT = TableT = Table
CodecArg = HeadersArg = K = ModelArg = V = Any
Processor = Callable[[Any], Any]


class ProcessingGuarantee(Enum):
    """What holds when a worker fails."""

    AT_LEAST_ONCE = "at_least_once"
    EXACTLY_ONCE = "exactly_once"


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    raise not_here("faust.types", name)

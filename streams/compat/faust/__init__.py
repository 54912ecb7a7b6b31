"""Faust's names on this runtime: `from streams.compat import faust` in place of `import faust`.

A program becomes a topology: each agent a processor of its topic, each table a store with a changelog of Faust's name
and form; so it is committed, restored and rebalanced like any other, and goes on where Faust left off. What is here and
what is not is told in docs/from-faust.md; a name that is not here says so when it is used.
"""

from __future__ import annotations

import sys
from typing import Any
from uuid import uuid4

from streams.compat.faust import cli, serializers, types
from streams.compat.faust.absent import Absent
from streams.compat.faust.agents import Agent
from streams.compat.faust.app import App
from streams.compat.faust.credentials import OAuthCredentials, SASLCredentials, SSLCredentials
from streams.compat.faust.errors import FaustError, ImproperlyConfigured, NotHere, ValidationError, not_here
from streams.compat.faust.global_tables import GlobalTable
from streams.compat.faust.models import FieldDescriptor, Record
from streams.compat.faust.schemas import Schema
from streams.compat.faust.serializers import Codec
from streams.compat.faust.streams import Skip, Stream
from streams.compat.faust.tables import Table
from streams.compat.faust.topics import Channel, Event, Topic
from streams.compat.faust.windowed import current_event
from streams.compat.faust.windows import HoppingWindow, TumblingWindow

__all__ = [
    "Agent",
    "App",
    "Channel",
    "ChannelT",
    "Codec",
    "Event",
    "EventT",
    "FaustError",
    "FieldDescriptor",
    "GlobalTable",
    "HoppingWindow",
    "ImproperlyConfigured",
    "NotHere",
    "OAuthCredentials",
    "Record",
    "SASLCredentials",
    "SSLCredentials",
    "Schema",
    "Skip",
    "Stream",
    "StreamT",
    "Table",
    "Topic",
    "TopicT",
    "TumblingWindow",
    "ValidationError",
    "cli",
    "current_event",
    "serializers",
    "types",
    "uuid",
]

if not any(isinstance(finder, Absent) for finder in sys.meta_path):
    sys.meta_path.append(Absent())

ChannelT, EventT, StreamT, TopicT = Channel, Event, Stream, Topic
"""The names that annotations use."""


def uuid() -> str:
    """A random id."""
    return str(uuid4())


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    raise not_here("faust", name)

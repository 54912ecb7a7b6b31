"""Faust's own command line on our broker: the commands that look at an application, and those that send to it."""

import json

import pytest

from tests.faust.world import World

pytestmark = pytest.mark.broker


def test_commands_that_look(world: World) -> None:
    """`agents`, `tables`, `models` and `model` tell of an application without a worker."""
    assert "count" in world.run("word_count", "agents")
    assert "How often each word came." in world.run("word_count", "tables")
    if world.runtime == "faust":
        assert "PageView" in world.run("page_views", "models", "--builtins")
        assert "page" in world.run("page_views", "model", "page_views.PageView")


def test_send(world: World) -> None:
    """`send` writes to a topic by its name, and to the topic of an agent."""
    world.topics({"sent": 1, "lines": 1})
    world.run("word_count", "send", "sent", json.dumps("hello"), "--key", "k")
    (row,) = world.read("sent", lambda rows: bool(rows), "word_count")
    assert (row.key, row.json) == (b"k", "hello")
    world.run("word_count", "send", "@split", "a line")
    (row,) = world.read("lines", lambda rows: bool(rows), "word_count")
    assert row.value == b"a line"

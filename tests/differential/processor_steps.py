"""Steps that a program of its own makes: processors over stores, and over those of tables. Beyond the case format."""

from __future__ import annotations

from typing import Any

from tests.differential.drawing import Drawing, Handle, reshaped
from tests.oracle.functions import Types, WindowedType

WITH_STORE = ("count", "count", "all", "all", "range", "absent", "delete", "put", "later", "tick")


def processed(drawing: Drawing) -> Handle | None:
    """A processor; it knows only streams whose keys have a type that stores of the case take."""
    source = drawing.pick("stream", where=lambda handle: not isinstance(handle.types.key, WindowedType))
    if source is None or not drawing.wide or drawing.growth >= 4:
        return None
    drawing.growth += 1
    types = Types(source.types.key, "string")
    handle = reshaped(source, types, "mixed", nulls=False, plain=False)
    if drawing.chance(0.25):
        return drawing.append(handle, "process", **{"from": source}, do="where")
    looked_at = [each for each in drawing.tables if each[1] == source.types.key]
    if looked_at and drawing.chance(0.4):
        store, _ = drawing.choice(looked_at)
        return drawing.append(
            handle, "process", **{"from": source}, do=drawing.choice(("look", "lookall")), store=store
        )
    return drawing.append(handle, "process", **{"from": source}, **doing(drawing, source))


def windows(drawing: Drawing, source: Handle) -> dict[str, Any]:
    """What a processor does with windows of its own."""
    size = drawing.duration(2, 5, 20)
    window = {"size": size, "retention": size * drawing.choice((1, 2, 50))}
    store = drawing.name("own-")
    cached = {"cache": True} if drawing.chance(0.7) else {}
    drawing.operations.append({"op": "addStore", "store": store, "key": source.types.key, "window": window, **cached})
    kind = drawing.choice(("windowone", "windowall", "windowrange", "windowkeys"))
    return {"do": kind, "store": store, "back": drawing.duration(1, 3, 10), **most(drawing)}


def most(drawing: Drawing) -> dict[str, Any]:
    """After how many entries a scan stops; mostly it does not."""
    return {"most": drawing.choice((1, 2))} if drawing.chance(0.3) else {}


def doing(drawing: Drawing, source: Handle) -> dict[str, Any]:
    """What a processor does with a store: one of its own, or one that others use too."""
    if drawing.chance(0.2):
        return windows(drawing, source)
    shared = [store for store, key in drawing.stores if key == source.types.key]
    if shared and drawing.chance(0.35):
        kind, store = drawing.choice(WITH_STORE), drawing.choice(shared)
    else:
        kind, store = drawing.choice((*WITH_STORE, "reverse", "headed", "headed")), drawing.name("own-")
        cached = {"cache": True} if drawing.chance(0.7) else {}
        drawing.operations.append({"op": "addStore", "store": store, "key": source.types.key, **cached})
        if kind != "reverse":  # of deletions that a cache holds, Kafka's reverse scans make entries again
            drawing.stores.append((store, source.types.key))
    if kind == "headed":
        drawing.operations[-1]["headers"] = True
        drawing.stores.pop()
    every = {"every": drawing.duration(3, 10, 50)} if kind in ("later", "tick") else {}
    scans = most(drawing) if kind in ("all", "reverse", "range", "later", "tick") else {}
    return {"do": kind, "store": store, **every, **scans}

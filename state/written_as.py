"""How a store's entries lie in its engine, noted beside them: a changed program may read a store of the same name otherwise.

Windows and sessions lie by segments, whose length follows from the retention; values have times, headers or versions in
front, by the kind. What was written in another way would not be found again, or be taken for something else.

Rules: the note is made when a store is opened for the first time; one that an earlier release has written without a note is
taken for what the program says. Notes stay as they are over releases, or every store would be restored.
"""

from __future__ import annotations

from state.engine import Engine
from state.errors import CorruptStore, StateError
from state.position import POSITION
from state.segments import Segments
from state.stores import StoreKind, StoreSpec

_NOTE = b"written-as"
_SEGMENTED = {StoreKind.WINDOW, StoreKind.TIMESTAMPED_WINDOW, StoreKind.SESSION}
_IN_CHANGELOG = {
    StoreKind.KEY_VALUE: "keys",
    StoreKind.TIMESTAMPED_KEY_VALUE: "keys",
    StoreKind.VERSIONED_KEY_VALUE: "keys",
    StoreKind.WINDOW: "windows",
    StoreKind.TIMESTAMPED_WINDOW: "windows",
    StoreKind.SESSION: "sessions",
}
"""What a kind's changelog has keys of: kinds that share it can be restored from each other's."""


def expect_written_as(spec: StoreSpec, engine: Engine) -> None:
    """See that an engine holds what the store would write.

    Raises: CorruptStore when it does not, and the changelog has it, or when what lies beside the entries is lost; StateError
    when the changelog does not fit either.
    """
    wanted, data = _note(spec), engine.metadata(_NOTE)
    if data is None:
        if spec.logged and engine.metadata(POSITION) is None and next(engine.scan(None, None), None) is not None:
            raise CorruptStore(
                f"store {spec.name} has lost its position: set it aside and restore it from its changelog"
            )
        engine.write({}, metadata={_NOTE: wanted.encode()})
        return
    found = data.decode(errors="replace")
    if found == wanted:
        return
    told = f"store {spec.name} was written as {found}, and the program says {wanted} now"
    kind = next((kind for kind in _IN_CHANGELOG if kind.value == found.partition(",")[0]), spec.kind)
    if _IN_CHANGELOG[kind] != _IN_CHANGELOG[spec.kind]:
        raise StateError(f"{told}: give it another name, or take the application back with `streams reset`")
    raise CorruptStore(f"{told}: set it aside and restore it from its changelog")


def _note(spec: StoreSpec) -> str:
    parts = [spec.kind.value]
    if spec.kind in _SEGMENTED:
        parts.append(f"segments of {Segments(spec.retention_ms).interval_ms} ms")
    if spec.retain_duplicates:
        parts.append("duplicates")
    if spec.headers:
        parts.append("headers")
    return ", ".join(parts)

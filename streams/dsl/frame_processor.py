"""A function of DataFrames as a processor: a batch in, a batch out.

Rules: a row that comes back keeps the key and the time of the row whose index it carries, unless it has columns `key` or
`timestamp` of its own. How records are cut into batches is not fixed: a function must not depend on which rows come
together. When it raises, it is called once more with each half of the batch, and so on, until the records are alone that it
raises for: the handler decides on these one by one, and all others go on. So what it does elsewhere may be done twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from streams.frames import KEY, TIMESTAMP, WINDOW, check_names, frame_of, is_frame, ms_column, plain_column, values_of
from streams.processor import ProcessorContext
from streams.record import Batch, joined

log = logging.getLogger(__name__)


class FrameProcessor:
    """A BatchProcessor around `function(frame)`; `kind` is the type of the values that it makes, None for any."""

    def __init__(self, function: Callable[[Any], Any], kind: Any) -> None:
        self._function = function
        self._kind = kind
        self._context: ProcessorContext | None = None

    def init(self, context: ProcessorContext) -> None:
        """Called once."""
        self._context = context

    def close(self) -> None:
        """Nothing to let go of."""

    def process_batch(self, batch: Batch) -> Batch | None:
        """Call the function; its rows become records."""
        assert self._context is not None
        try:
            return self._called(batch)
        except Exception as error:
            if len(batch) == 1:
                self._context.failed(batch.record(0), error)
                return None
            # It may not come again with fewer records: then nobody else tells of it.
            log.debug("%s raised for %d records together, so fewer follow", self._name, len(batch), exc_info=True)
        middle = len(batch) // 2
        halves = [self.process_batch(half) for half in (batch.slice(0, middle), batch.slice(middle, len(batch)))]
        made = [half for half in halves if half is not None]
        return joined(made) if made else None

    def _called(self, batch: Batch) -> Batch | None:
        frame = self._function(frame_of(batch.record(index) for index in range(len(batch))))
        return None if frame is None else self._records(frame, batch)

    def _records(self, frame: Any, batch: Batch) -> Batch:
        if not is_frame(frame):
            raise TypeError(f"{self._name} has to return a DataFrame or None, got {type(frame).__name__}")
        check_names(frame)
        rows = None if {KEY, TIMESTAMP} <= set(frame.columns) else self._rows(frame, batch)
        own = [name for name in (KEY, TIMESTAMP, *WINDOW) if name in frame.columns]
        windowed = WINDOW[0] in own
        keys = plain_column(frame[KEY]) if KEY in own and not windowed else None
        if keys is None:
            keys = [batch.keys[row] for row in rows or self._rows(frame, batch)]
        timestamps = ms_column(frame[TIMESTAMP]) if TIMESTAMP in own else [batch.timestamps[row] for row in rows or ()]
        return Batch(
            keys,
            values_of(frame.drop(columns=own), self._kind),
            timestamps,
            topic=batch.topic,
            partition=batch.partition,
        )

    def _rows(self, frame: Any, batch: Batch) -> list[int]:
        """The rows of the batch that the frame's index names."""
        rows: list[int] = frame.index.tolist()
        if all(isinstance(row, int) and 0 <= row < len(batch.keys) for row in rows):
            return rows
        raise ValueError(
            f"{self._name} returned rows that are none of those it was given: keep their index, or give the columns "
            "'key' and 'timestamp'"
        )

    @property
    def _name(self) -> str:
        return getattr(self._function, "__qualname__", repr(self._function))

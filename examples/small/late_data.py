"""Late data, and what each kind of window does with it.

    $ python -m examples.small.late_data

One sensor reports at 1, 4, 12, 3, 27 and 8 s, in this order: the fourth is late, the last very late. Every window below
counts reports of ten seconds; "late" says how often a report came too late for a window.
"""

from __future__ import annotations

import logging
from typing import Any

from streams import App, EmitStrategy, Materialized, SessionWindows, SlidingWindows, TimeWindows, until_window_closes
from streams.testing import TopologyTestDriver

REPORTS_S = (1, 4, 12, 3, 27, 8)


def counts(windows: Any, *, final: bool = False, on_close: bool = False) -> App:
    """The program: reports per window; each update, or only final results."""
    app = App("late-data")
    windowed = app.stream("reports", key=str, value=str).group_by_key().windowed_by(windows)
    if on_close:
        windowed = windowed.emit_strategy(EmitStrategy.ON_WINDOW_CLOSE)
    table = windowed.count(store=Materialized(name="counts", retention="1 hour"))
    table = table.suppress(until_window_closes()) if final else table
    table.to_stream().to("counts")
    return app


def outcome(app: App) -> tuple[dict[str, int], int]:
    """Shape: what the topic says of each window in the end, and how often a report was too late."""
    with TopologyTestDriver(app) as driver:
        for second in REPORTS_S:
            driver.input("reports").send("sensor", "on", second * 1_000)
        results = driver.output("counts").read_to_dict()
        late = sum(driver.dropped_records.values())
    named = {f"{key.start_ms / 1_000:g}-{key.end_ms / 1_000:g}": count for key, count in results.items() if count}
    return named, late


PROGRAMS = {
    "tumbling, no grace": counts(TimeWindows.of("10 s")),
    "tumbling, grace 10 s": counts(TimeWindows.of("10 s", grace="10 s")),
    "tumbling, grace 1 minute": counts(TimeWindows.of("10 s", grace="1 minute")),
    "hopping by 5 s, grace 10 s": counts(TimeWindows.of("10 s", advance="5 s", grace="10 s")),
    "sliding, grace 10 s": counts(SlidingWindows.of("10 s", grace="10 s")),
    "session, gap 10 s, grace 10 s": counts(SessionWindows.with_inactivity_gap("10 s", grace="10 s")),
    "tumbling, suppressed until closed": counts(TimeWindows.of("10 s", grace="10 s"), final=True),
    "tumbling, emitted on close": counts(TimeWindows.of("10 s", grace="10 s"), on_close=True),
}


def main() -> None:
    logging.getLogger("streams").setLevel(logging.ERROR)  # of each late record; they are counted here
    for name, app in PROGRAMS.items():
        results, late = outcome(app)
        print(f"{name:34} late: {late}   " + "  ".join(f"{window} s: {count}" for window, count in results.items()))


if __name__ == "__main__":
    main()

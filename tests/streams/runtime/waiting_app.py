"""An application for tests, also a program: an agent that adds up by key in two halves, and waits between them.

python waiting_app.py BROKER STATE_DIR
"""

from __future__ import annotations

import asyncio
import random
import sys

from streams import App

INPUT, OUTPUT = "payments", "sums"


def application(broker: str, state_dir: str) -> App:
    """Each record comes out as the sum of its key so far, with the number of records of its partition."""
    app = App(
        "waiting",
        broker=broker,
        state_dir=state_dir,
        processing_guarantee="exactly_once_v2",
        commit_interval_ms=40,
        session_timeout_ms=6_000,
        heartbeat_interval_ms=500,
    )
    payments = app.topic(INPUT, key=str, value=int, partitions=2)
    out = app.topic(OUTPUT, key=str, value=list[int], partitions=2)
    sums = app.table("sums-by-key", key=str, value=int, default=int)
    seen = app.table("seen", key=str, value=list[int], default=list)

    @app.agent(payments, to=out, concurrency=8)
    async def add(key: str, value: int) -> list[int]:
        before = sums[key]
        await asyncio.sleep(random.uniform(0, 0.004))
        sums[key] = before + value
        numbers = seen["all"]
        numbers.append(value)
        seen["all"] = numbers[-1:]
        seen[key] = [*seen[key], value]
        await asyncio.sleep(0)
        return [sums[key], len(seen[key])]

    return app


if __name__ == "__main__":
    application(*sys.argv[1:]).run()

"""Question and answer with a running application, on the real broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams import App, ConfigError, StreamsError
from streams.pytest_plugin import RunningBroker


@pytest.mark.broker
def test_each_question_gets_its_own_answer(streams_broker: RunningBroker, tmp_path: Path) -> None:
    """Through an agent and a function; what is not answered says so in time."""
    app = App("asking", broker=streams_broker.url, commit_interval_ms=50, state_dir=str(tmp_path))
    questions = app.topic("asking-questions", key=str, value=int, partitions=2)
    halves = app.topic("asking-halves", key=str, value=float, partitions=2)
    answers = app.topic("asking-answers", key=str, value=str)

    @app.agent(questions, concurrency=3, to=halves)
    async def halve(value: int) -> float | None:
        return value / 2 if value else None

    @app.process(halves, to=answers)
    def told(half: float) -> str:
        return f"it is {half}"

    with app.running(), app.connect() as connection:
        assert app.ask(questions, 1, reply=answers) == "it is 0.5"  # nothing has made that topic yet
        assert [connection.ask(questions, n, reply=answers, key=str(n)) for n in (3, 5)] == ["it is 1.5", "it is 2.5"]
        assert app.ask(questions, 7, reply=answers) == "it is 3.5"
        with pytest.raises(StreamsError, match="no answer within 0.3 s: does the application run"):
            connection.ask(questions, 0, reply=answers, timeout="300 ms")
        with pytest.raises(ConfigError, match="there is no topic 'asking-nothing'"):
            connection.ask(questions, 1, reply="asking-nothing")

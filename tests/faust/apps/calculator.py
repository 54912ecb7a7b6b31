"""Requests and replies: agents that answer, asked by a task and by a command; casts; a sink that is a function."""

import os

import faust


class Sum(faust.Record):
    left: int
    right: int


app = faust.App(
    "calculator",
    broker=os.environ.get("BROKER", "kafka://localhost:9092"),
    topic_partitions=1,
    reply_create_topic=True,
)
answers = app.topic("answers", key_type=str, value_type=int)
logged = app.topic("logged", value_type=int)


async def log(value):
    """A sink."""
    await logged.send(value=value)


@app.agent(value_type=Sum, sink=[log])
async def add(stream):
    async for each in stream:
        yield each.left + each.right


@app.agent(value_type=int, concurrency=3, sink=[answers])
async def square(stream):
    async for value in stream:
        yield value * value


@app.task
async def ask():
    """Ask once the worker runs, and tell."""
    await answers.send(key="ask", value=await add.ask(Sum(2, 3)))
    await answers.send(key="map", value=sum([value async for value in square.map([1, 2, 3])]))
    await answers.send(key="join", value=(await square.join([4, 5]))[1])
    await add.cast(Sum(20, 3))


@app.command(faust.cli.argument("left", type=int), faust.cli.argument("right", type=int))
async def plus(self, left: int, right: int):
    """Send a sum to the running workers."""
    await add.cast(Sum(left, right))
    self.say(f"sent {left} + {right}")


if __name__ == "__main__":
    app.main()

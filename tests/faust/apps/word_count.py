"""Counts words: one agent splits lines, another counts what it is sent, in a table."""

import os

import faust

app = faust.App(
    "word-count",
    broker=os.environ.get("BROKER", "kafka://localhost:9092"),
    store="rocksdb://",
    topic_partitions=2,
)
lines = app.topic("lines", value_type=str, value_serializer="raw")
words = app.topic("words", key_type=str, value_type=str)
results = app.topic("word-counts", key_type=str, value_type=int)
counts = app.Table("counts", default=int, key_type=str, value_type=int, help="How often each word came.")


@app.agent(lines)
async def split(stream):
    """Send each word on, with itself as key."""
    async for line in stream:
        for word in line.lower().split():
            await words.send(key=word, value=word)


@app.agent(words)
async def count(stream):
    """Count, and tell."""
    async for word in stream:
        counts[word] += 1
        await results.send(key=word, value=counts[word])


if __name__ == "__main__":
    app.main()

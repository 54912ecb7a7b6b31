"""Word count. Lines of text in, the number of times each word was seen out.

$ echo '{"value": "in and out and in"}' | python -m examples.small.word_count produce lines
$ python -m examples.small.word_count run --to-end
$ python -m examples.small.word_count consume counts
"""

from __future__ import annotations

import re

from streams import App

app = App("word-count")
lines = app.topic("lines", key=str, value=str)
counts = app.topic("counts", key=str, value=int)


def words(line: str) -> list[str]:
    return re.findall(r"[\w']+", line.lower())


(
    app.stream(lines)
    .flat_map_values(words)
    .group_by(lambda _, word: word, key=str)
    .count(name="words")
    .to_stream()
    .to(counts)
)

if __name__ == "__main__":
    app.main()

"""Sources outside of Kafka: files whose rows become records of a topic.

    app.write(rides, read_parquet("trips.parquet"), key="id", timestamp="picked_up_at")
    streams run taxi:app --input rides=trips.parquet

Rules: a file is read twice, first to check every row against the topic's types and then to write, so that a row that
does not fit leaves the topic as it was. Rows are read as they are needed; no file is held in memory. What a row lacks or
has too much is a ConfigError with file and place. Knows neither App nor command line.
"""

from streams.connect.file_source import FileSource
from streams.connect.inputs import Input, check, load, open_source, parse_inputs
from streams.connect.readers import read_csv, read_jsonl, read_parquet

__all__ = [
    "FileSource",
    "Input",
    "check",
    "load",
    "open_source",
    "parse_inputs",
    "read_csv",
    "read_jsonl",
    "read_parquet",
]

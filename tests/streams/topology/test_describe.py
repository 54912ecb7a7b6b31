"""Descriptions, equal to Kafka's to the letter."""

import json
from pathlib import Path

import pytest

from tests.oracle.cases import topology_of

RECORDED = [
    json.loads(line) for line in (Path(__file__).parent / "recorded_descriptions.jsonl").read_text().splitlines()
]


@pytest.mark.parametrize("case", RECORDED, ids=[f"recorded-{number}" for number in range(len(RECORDED))])
def test_random_programs_are_described_as_by_kafka(case):
    """Programs drawn at random, described by Kafka Streams 4.3.1, half of them optimized."""
    assert topology_of(case).describe() == case["describe"]


def test_a_word_count(builder, build):
    """The text of a small program: repartition, count, sink."""
    words = builder.stream("lines", key=str, value=str).flat_map_values(str.split, value=str)
    words.group_by(lambda key, word: word, key=str).count(name="counts").to_stream().to("counts")
    assert build().describe() == (
        "Topologies:\n"
        "   Sub-topology: 0\n"
        "    Source: KSTREAM-SOURCE-0000000000 (topics: [lines])\n"
        "      --> KSTREAM-FLATMAPVALUES-0000000001\n"
        "    Processor: KSTREAM-FLATMAPVALUES-0000000001 (stores: [])\n"
        "      --> KSTREAM-KEY-SELECT-0000000002\n"
        "      <-- KSTREAM-SOURCE-0000000000\n"
        "    Processor: KSTREAM-KEY-SELECT-0000000002 (stores: [])\n"
        "      --> counts-repartition-filter\n"
        "      <-- KSTREAM-FLATMAPVALUES-0000000001\n"
        "    Processor: counts-repartition-filter (stores: [])\n"
        "      --> counts-repartition-sink\n"
        "      <-- KSTREAM-KEY-SELECT-0000000002\n"
        "    Sink: counts-repartition-sink (topic: counts-repartition)\n"
        "      <-- counts-repartition-filter\n"
        "\n"
        "  Sub-topology: 1\n"
        "    Source: counts-repartition-source (topics: [counts-repartition])\n"
        "      --> KSTREAM-AGGREGATE-0000000003\n"
        "    Processor: KSTREAM-AGGREGATE-0000000003 (stores: [counts])\n"
        "      --> KTABLE-TOSTREAM-0000000007\n"
        "      <-- counts-repartition-source\n"
        "    Processor: KTABLE-TOSTREAM-0000000007 (stores: [])\n"
        "      --> KSTREAM-SINK-0000000008\n"
        "      <-- KSTREAM-AGGREGATE-0000000003\n"
        "    Sink: KSTREAM-SINK-0000000008 (topic: counts)\n"
        "      <-- KTABLE-TOSTREAM-0000000007\n"
        "\n"
    )


def test_a_global_table_uses_up_a_number(builder, build):
    """A global store has a number among the sub-topologies, and its own form."""
    builder.global_table("zones", key=str, value=str)
    builder.stream("trips").for_each(lambda key, value: None)
    assert (
        build()
        .describe()
        .startswith(
            "Topologies:\n"
            "   Sub-topology: 0 for global store (will not generate tasks)\n"
            "    Source: KSTREAM-SOURCE-0000000001 (topics: [zones])\n"
            "      --> KTABLE-SOURCE-0000000002\n"
            "    Processor: KTABLE-SOURCE-0000000002 (stores: [zones-STATE-STORE-0000000000])\n"
            "      --> none\n"
            "      <-- KSTREAM-SOURCE-0000000001\n"
            "  Sub-topology: 1\n"
        )
    )


def test_topics_by_pattern_and_by_chooser(builder, build):
    """A pattern stands for the topics it will match, a function for the topic it will choose."""

    def route(key, value, record):
        return "a"

    import re

    builder.stream(re.compile("trips-.*")).to(route)
    text = build().describe()
    assert "(topics: trips-.*)" in text
    assert "(extractor class: test_topics_by_pattern_and_by_chooser.<locals>.route)" in text

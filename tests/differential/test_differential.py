"""Random programs give the same here and on Kafka Streams; and the parts that find out do what they say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apache_kafka.libraries import KafkaMissingError
from tests.differential.cases import case_of
from tests.differential.comparison import KAFKAS_OWN_FAILURES, OUR_SENTENCES, compare, difference
from tests.differential.kafka import Kafka
from tests.differential.recording import recorded
from tests.differential.shrinking import shrunk
from tests.oracle import functions
from tests.oracle.cases import answered

RECORDED = sorted((Path(__file__).parent.parent / "oracle" / "cases").glob("*.json"))


@pytest.fixture(scope="module")
def kafka() -> Iterator[Kafka]:
    try:
        with Kafka() as process:
            yield process
    except KafkaMissingError as missing:
        pytest.skip(str(missing))


def test_what_kafka_does_not_answer_is_not_tried_here():
    """Programs that double their values with each record take all memory there is."""
    assert compare({"error": "no answer within 120 s", "topology": "not looked at"}) is None


def small_case(**config: Any) -> dict[str, Any]:
    """A count by key."""
    topology: list[dict[str, Any]] = [
        {"op": "stream", "id": "s", "topic": "in"},
        {"op": "groupByKey", "id": "g", "from": "s"},
        {"op": "count", "id": "c", "from": "g", "store": "counts"},
        {"op": "toStream", "id": "o", "from": "c"},
        {"op": "to", "from": "o", "topic": "out"},
    ]
    steps = [{"in": ["in", key, "v", time]} for time, key in enumerate("abcab")]
    return {
        "id": "small",
        "config": config,
        "types": {"in": ["string", "string"]},
        "topology": topology,
        "steps": steps,
    }


@pytest.mark.kafka
def test_random_cases_agree_with_kafka(kafka: Kafka) -> None:
    """Outputs, descriptions and refusals; `python -m tests.differential` runs thousands."""
    found = {answer["id"]: compare(answer) for answer in kafka.answer(map(case_of, range(1, 61)))}
    assert {seed: difference for seed, difference in found.items() if difference} == {}


@pytest.mark.kafka
def test_the_recorder_gives_what_was_recorded(kafka: Kafka) -> None:
    """The recorded cases are Kafka's, word by word."""
    cases = [json.loads(path.read_text()) for path in RECORDED]
    fed = [[{name: step[name] for name in step if name != "out"} for step in case["steps"]] for case in cases]
    bare = [{**case, "steps": steps, "describe": ""} for case, steps in zip(cases, fed, strict=True)]
    assert list(kafka.answer(bare)) == cases


def test_a_seed_names_a_case() -> None:
    """The same case at every draw, and another one for another seed."""
    assert case_of(7) == case_of(7)
    assert case_of(7)["topology"] != case_of(8)["topology"]


@pytest.mark.parametrize("seed", range(100, 140))
def test_drawn_cases_run_here(seed: int) -> None:
    """Or are refused with a sentence of ours: no random program fails by accident."""
    error = answered(case_of(seed)).get("error")
    assert error is None or error.startswith(OUR_SENTENCES)


def test_differences_are_told() -> None:
    """By the first step that differs, with what both put out."""
    ours = answered(small_case())
    theirs = json.loads(json.dumps(ours))
    assert difference(theirs, ours) is None
    theirs["steps"][3]["out"][0][2] = 1
    found = difference(theirs, ours)
    assert found is not None
    assert found.text.splitlines() == [
        'step 3: ["in", "a", "v", 3]',
        '  Kafka: [["out", "a", 1, 3]]',
        '  ours:  [["out", "a", 2, 3]]',
    ]


def test_dropped_records_are_compared() -> None:
    """How many there were in all; Kafka does not count those that a repartition takes for want of a key."""
    case = small_case()
    case["steps"] += [{"in": ["in", None, "v", 9]}, {"in": ["in", "a", None, 10]}]
    ours = answered(case)
    assert ours["dropped"] == 2
    found = difference({**ours, "dropped": 1}, ours)
    assert found is not None
    assert found.text == "Kafka dropped 1 records, ours 2"
    case["topology"][1:2] = [{"op": "groupBy", "id": "g", "from": "s", "fn": "value"}]
    assert answered(case)["dropped"] == 0


def test_functions_that_raise_cost_their_record() -> None:
    """Where the texts of the arguments have a length that is a multiple of 5, and the handler says to go on."""
    case = small_case(processing_on_error="continue")
    case["topology"][1:1] = [{"op": "mapValues", "id": "m", "from": "s", "fn": "raising identity"}]
    case["topology"][2]["from"] = "m"
    case["steps"] += [{"in": ["in", "a", value, 9]} for value in ("four", "three")]
    answer = answered(case)
    assert [[row[1:3] for row in step["out"]] for step in answer["steps"][-3:]] == [[["b", 2]], [], [["a", 3]]]
    assert "error" in answered({**case, "config": {}})


def test_some_cases_have_them() -> None:
    """And go on with all of them: that is drawn apart, so that the other cases stay what they were."""
    cases = list(map(case_of, range(200)))
    raising = [case for case in cases if functions.RAISING in str(case["topology"])]
    assert raising
    assert all(case["config"]["processing_on_error"] == "continue" for case in raising)


def test_some_cases_transform() -> None:
    """Values, by transformers and processors that give what the functions would have given."""
    cases = [case for case in map(case_of, range(200)) if "transformValues" in str(case["topology"])]
    assert cases
    case = small_case()
    case["topology"][1:1] = [{"op": "transformValues", "id": "m", "from": "s", "fn": "identity"}]
    case["topology"][2]["from"] = "m"
    case["topology"][4:4] = [{"op": "transformValues", "id": "t", "from": "c", "fn": "identity"}]
    case["topology"][5]["from"] = "t"
    outputs = [step["out"] for step in answered(case)["steps"]]
    assert outputs == [step["out"] for step in answered(small_case())["steps"]]


def test_some_cases_find_their_times() -> None:
    """In their records, also such as no record can have."""
    cases = [case for case in map(case_of, range(200)) if "extractor" in str(case["topology"])]
    assert cases
    case = small_case()
    case["topology"][0]["extractor"] = "plus:-2"
    answer = answered(case)
    assert [[row[3] for row in step["out"]] for step in answer["steps"]] == [[], [], [0], [1], [2]]
    assert answer["dropped"] == 2


def test_some_cases_choose_topics_and_write_letters() -> None:
    """For each record; letters where something raises, and punctuators that end where there are punctuators."""
    cases = list(map(case_of, range(400)))
    sinks = [each for case in cases for each in case["topology"] if "route" in each]
    assert {each["op"] for each in sinks} == {"to"}
    buried = [case for case in cases if "errors_dead_letter_queue_topic_name" in case["config"]]
    assert buried
    assert all(case["config"]["processing_on_error"] == "continue" for case in buried)
    assert {each["do"] for case in cases for each in case["topology"] if "times" in each} <= {"later", "tick"}


def test_letters_of_records_that_were_held_back_are_counted() -> None:
    """Kafka has the bytes that they were read from, ours what is in hand; where nothing is held back, they are compared."""
    case = small_case(cache_max_bytes=0, processing_on_error="continue", errors_dead_letter_queue_topic_name="dead")
    case["topology"][1:1] = [{"op": "mapValues", "id": "m", "from": "s", "fn": "raising identity"}]
    case["topology"][2]["from"] = "m"
    case["steps"] += [{"in": ["in", "a", "four", 9]}]
    ours = answered(case)
    (letter,) = ours["steps"][-1]["out"]
    assert letter[:3] == ["dead", b"a".hex(), b"four".hex()]
    theirs = json.loads(json.dumps(ours))
    theirs["steps"][-1]["out"][0][2] = b"read".hex()
    assert difference(theirs, ours) is not None
    held_back = {"op": "suppress", "id": "z", "from": "c", "until": "timeLimit", "ms": 1}
    assert difference({**theirs, "topology": [*case["topology"], held_back]}, ours) is None
    theirs["steps"][-1]["out"].clear()
    assert difference({**theirs, "topology": [*case["topology"], held_back]}, ours) is not None


def test_some_cases_wait() -> None:
    """For topics without records, by a clock that moves."""
    cases = [case for case in map(case_of, range(200)) if "max_task_idle_ms" in case["config"]]
    assert cases
    assert all(case["steps"][-1] == {"clock": 1_000} for case in cases)


def test_a_refusal_of_ours_is_a_difference_unless_kafka_refuses_too() -> None:
    """And a failure by accident is one in any case."""
    runs = answered(small_case())
    refused = {**runs, "error": "TopologyError: no"}
    assert difference(runs, refused) is not None
    assert difference({**runs, "error": "TopologyException: no"}, refused) is None
    accident = difference({**runs, "error": "TopologyException: no"}, {**runs, "error": "KeyError: 'x'"})
    assert accident is not None
    assert accident.kind == "accident KeyError"


def test_what_kafka_loses_by_a_failure_of_its_own_is_no_difference() -> None:
    """Whether that ends the program, or costs a record because the handler of errors says to go on."""
    ours = answered(small_case())
    theirs = json.loads(json.dumps(ours))
    theirs["steps"][3]["out"] = []
    for failure, excused in ((KAFKAS_OWN_FAILURES[0], True), ("NullPointerException: of another kind", False)):
        assert (difference({**theirs, "continued_after": [f"Error: {failure}"]}, ours) is None) is excused


def test_shrinking_keeps_what_makes_a_case_fail() -> None:
    """Of a case that fails for its count and its second b, little else is left."""

    def fails(case: dict[str, Any]) -> bool:
        keys = [step["in"][1] for step in case["steps"]]
        return any(each["op"] == "count" for each in case["topology"]) and keys.count("b") > 1

    case = shrunk(small_case(cache_max_bytes=1000, topology_optimization="all"), fails)
    assert [each["op"] for each in case["topology"]] == ["stream", "count"]
    assert [step["in"][1] for step in case["steps"]] == ["b", "b"]
    assert case["config"] == {"cache_max_bytes": 0}


def test_a_bounded_store_keeps_its_name() -> None:
    """Of a case that fails for its bound, the name stays: Kafka has no such store without one."""

    def fails(case: dict[str, Any]) -> bool:
        return any("maxEntries" in each for each in case["topology"])

    case = small_case()
    case["topology"][2]["maxEntries"] = 2
    assert [each["store"] for each in shrunk(case, fails)["topology"] if each["op"] == "count"] == ["counts"]


def test_a_recorded_case_reads_back() -> None:
    """The file holds the case, with its operations and steps line by line."""
    case = answered(small_case())
    text = recorded(case)
    read = json.loads(text)
    assert {name: read[name] for name in ("topology", "steps", "describe")} == {
        name: case[name] for name in ("topology", "steps", "describe")
    }
    assert len(text.splitlines()) == len(case["topology"]) + len(case["steps"]) + 14

"""The words of on_error, from Python and from text."""

import pytest
from msgspec.structs import replace

from streams import App, ConfigError, TopologyError, dead_letter, retry
from streams.config import StreamsConfig
from streams.on_error import CONTINUE, FAIL, Decision, OnError, on_error_of


def test_text_and_objects_say_the_same() -> None:
    """What Python says with functions, a command line says in words."""
    assert on_error_of("fail") == FAIL == OnError()
    assert on_error_of("continue") == CONTINUE
    assert on_error_of("dead_letter:rides.dlq") == dead_letter("rides.dlq")
    assert str(dead_letter(App("a").topic("rides.dlq"))) == "dead_letter:rides.dlq"


@pytest.mark.parametrize("text", ["skip", "dead_letter", "dead_letter:"])
def test_other_text_is_refused(text: str) -> None:
    """The error names the setting and what was expected."""
    with pytest.raises(ConfigError, match="on_error: .*expected"):
        StreamsConfig.of("app", command_line={"on_error": text}, environment={})


def test_a_wrong_policy_of_a_step_is_told_where_it_is_given() -> None:
    """The step is named."""
    with pytest.raises(TopologyError, match="PRICE: on_error: expected"):
        App("a").stream("rides").map_values(lambda value: value, name="PRICE").on_error(7)


def test_pauses_double_up_to_the_longest() -> None:
    """As many as times, in ms."""
    policy = retry(TimeoutError, times=4, first="100 ms", longest="300 ms", then="continue")
    assert policy.decision is Decision.CONTINUE
    assert policy.retry is not None
    assert list(policy.retry.pauses_ms()) == [100, 200, 300, 300]


def test_a_retry_needs_errors_and_an_end() -> None:
    """Each mistake is told."""
    with pytest.raises(TypeError, match="classes of exceptions"):
        retry()
    with pytest.raises(ValueError, match="whole number of at least 1, got 0"):
        retry(TimeoutError, times=0)
    with pytest.raises(ValueError, match="retry: times: expected a whole number of at least 1, got '5'"):
        retry(TimeoutError, times="5")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cannot be another retry"):
        retry(TimeoutError, then=retry(OSError))


def test_kafkas_own_setting_has_letters_of_what_is_skipped_or_failed_for() -> None:
    """errors.dead.letter.queue.topic.name: what skips goes on with a letter, what fails writes one first."""
    patient = retry(TimeoutError, times=2, then="continue")
    made = StreamsConfig.of(
        "app",
        {
            "on_error": dead_letter("other"),
            "deserialization_on_error": "fail",
            "processing_on_error": patient,
            "errors_dead_letter_queue_topic_name": "dlq",
        },
        environment={},
    )
    failing = made.deserialization_on_error
    assert (failing.decision, failing.topic, str(failing)) == (Decision.FAIL, "dlq", "fail")
    assert made.processing_on_error == replace(dead_letter("dlq"), retry=patient.retry)
    assert made.production_on_error == dead_letter("other")

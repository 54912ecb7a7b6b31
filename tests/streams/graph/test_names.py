"""Kafka's generated names."""

import pytest

from streams.errors import TopologyError
from streams.graph.names import Names, checked_name, is_generated


def test_processors_and_stores_share_one_counter():
    """Kafka numbers processors and stores of a program with one ten-digit counter."""
    names = Names()
    assert names.processor("KSTREAM-SOURCE-") == "KSTREAM-SOURCE-0000000000"
    assert names.store("KSTREAM-AGGREGATE-") == "KSTREAM-AGGREGATE-STATE-STORE-0000000001"
    assert names.processor("KSTREAM-AGGREGATE-") == "KSTREAM-AGGREGATE-0000000002"


def test_a_users_name_burns_a_number_too():
    """A named step leaves a gap, so that naming one step does not rename those behind it."""
    names = Names()
    assert names.named("mine", "KSTREAM-FILTER-", "-left") == "mine-left"
    assert names.processor("KSTREAM-FILTER-") == "KSTREAM-FILTER-0000000001"


@pytest.mark.parametrize("name", ["", ".", "..", "with space", "ü", "a/b", "x" * 250, 7])
def test_names_that_cannot_be_part_of_a_topic_are_refused(name):
    """Names become topics, so Kafka's rules for topics hold."""
    with pytest.raises(TopologyError, match="the name of a store: expected"):
        checked_name(name, "the name of a store")


def test_which_names_kafka_takes_for_generated():
    """Repartitions of generated names number their processors; a cogroup's store does not look generated to Kafka."""
    assert is_generated("KSTREAM-MAP-0000000002")
    assert is_generated("KSTREAM-AGGREGATE-STATE-STORE-0000000002")
    assert not is_generated("COGROUPKSTREAM-AGGREGATE-STATE-STORE-0000000002")
    assert not is_generated("KSTREAM-MAP-0000000002-repartition")
    assert not is_generated("mine")

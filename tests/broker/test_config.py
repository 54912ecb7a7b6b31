"""The settings table: Kafka's names, typed values, and messages that help."""

import pytest

from broker.config import SETTINGS, TOPIC_DEFAULTS, BrokerConfig, parse_listener, protocol_of
from broker.errors import ConfigError
from broker.log.config import TOPIC_SETTINGS, LogConfig


def test_names_are_kafkas() -> None:
    """A field's Kafka name has dots for underscores, and its text becomes a value of its type."""
    config = BrokerConfig.from_mapping({"num.partitions": "8", "auto.create.topics.enable": "false"})
    assert (config.num_partitions, config.auto_create_topics_enable) == (8, False)
    assert config.changed() == {"num.partitions": 8, "auto.create.topics.enable": False}


def test_every_default_passes_its_own_check() -> None:
    """Defaults lie in their ranges and survive being written and read."""
    for setting in SETTINGS.values():
        assert setting.parse(setting.shown(setting.default)) == setting.default
        assert setting.doc.endswith(".")


def test_topic_defaults_follow_the_broker() -> None:
    """Topic settings take the broker's values, and the two tables agree where nothing is set."""
    assert set(TOPIC_DEFAULTS) <= set(TOPIC_SETTINGS)
    assert set(TOPIC_DEFAULTS.values()) <= set(SETTINGS)
    assert LogConfig.from_mapping(BrokerConfig().topic_defaults()) == LogConfig()
    config = BrokerConfig.from_mapping({"log.retention.ms": "5", "log.cleanup.policy": "compact,delete"})
    log_config = LogConfig.from_mapping(config.topic_defaults())
    assert (log_config.retention_ms, log_config.cleanup_policy) == (5, ("compact", "delete"))


def test_unknown_name_suggests() -> None:
    """The message names the nearest setting."""
    with pytest.raises(ConfigError, match=r"did you mean 'log\.retention\.ms'"):
        BrokerConfig.from_mapping({"log.retentions.ms": "1"})


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost:9092", ("localhost", 9092)),
        ("PLAINTEXT://host:1", ("host", 1)),
        ("[::1]:0", ("::1", 0)),
        (":9092", ("0.0.0.0", 9092)),
    ],
)
def test_listeners(text: str, address: tuple[str, int]) -> None:
    """HOST:PORT, Kafka's URLs, IPv6 in brackets, and every interface."""
    assert parse_listener(text) == address


@pytest.mark.parametrize("text", ["localhost", "localhost:", "localhost:99999", "host:port"])
def test_listeners_that_are_none(text: str) -> None:
    """The message shows what a listener looks like."""
    with pytest.raises(ConfigError, match="HOST:PORT"):
        parse_listener(text)


def test_protocols_of_listeners() -> None:
    """Kafka's four; a listener without one is talked to in the clear, and another word is none."""
    listeners = ("localhost:1", "SSL://localhost:1", "SASL_SSL://:1")
    assert [protocol_of(text) for text in listeners] == ["PLAINTEXT", "SSL", "SASL_SSL"]
    with pytest.raises(ConfigError, match="must be one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL, not 'TLS'"):
        protocol_of("TLS://localhost:1")

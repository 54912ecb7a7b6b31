"""What the pipeline's topics are made with."""

from examples.taxi.topics import onlooker
from examples.taxi.topology import analytics


def test_rides_of_any_year_are_kept() -> None:
    """A broker deletes by the time of records, and a second run continues what the first left: nothing may go by age."""
    for name, topic in onlooker()._new_topics.items():
        assert {"retention.ms": "-1"}.items() <= topic.config.items() or topic.config["cleanup.policy"] == "compact", (
            name
        )
    (changelog,) = analytics().build().changelog_topics.values()
    assert int(changelog.config["retention.ms"]) > 50 * 365 * 86_400_000

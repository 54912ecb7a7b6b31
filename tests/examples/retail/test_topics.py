"""What the topics of shop and suppliers are made with."""

from examples.retail.topology import app


def test_lines_of_any_year_are_kept() -> None:
    """A broker deletes by the time of records: no topic, and no changelog of windows, may lose what is old."""
    assert {topic.config["retention.ms"] for topic in app._new_topics.values()} == {"-1"}
    kept = [topic.config.get("retention.ms") for topic in app.build().changelog_topics.values()]
    assert all(ms is None or int(ms) > 50 * 365 * 86_400_000 for ms in kept)
    assert any(kept)

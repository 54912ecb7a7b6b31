"""A short run of the fuzzer; `python -m tests.broker.fuzz` goes on as long as one likes."""

import pytest

from tests.broker.fuzz.campaign import Campaign

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]


def test_three_thousand_requests(tmp_path) -> None:
    """Random and damaged requests of every API disturb neither the broker nor its other clients."""
    outcome = Campaign(tmp_path, seed=3).run(3_000)
    assert outcome.sent == 3_000
    assert outcome.answered > 500
    assert outcome.closed > 20

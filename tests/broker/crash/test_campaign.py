"""A few rounds of the crash campaign; `python -m tests.broker.crash` runs as many as one likes."""

import pytest

from tests.broker.crash.campaign import Campaign
from tests.broker.crash.writers import Writer

pytestmark = [pytest.mark.broker, pytest.mark.crash]


def test_three_rounds(tmp_path) -> None:
    """Writers, transactions, a group and a follower find every promise kept over kills; a false promise is noticed."""
    campaign = Campaign(tmp_path, seed=7)
    try:
        assert len(list(campaign.run(3))) == 3
        campaign.broker.start()
        writer = campaign.parties[0]
        assert isinstance(writer, Writer)
        writer.acknowledged[0, 1 << 40] = 1
        with pytest.raises(AssertionError, match="was acknowledged"):
            writer.check(campaign.broker.address)
    finally:
        campaign.broker.stop()

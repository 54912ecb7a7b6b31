"""What holds for all tests."""

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# A busy machine makes examples slow; that says nothing about the code under test.
settings.register_profile("headrace", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("headrace")

# Processes that tests start would each compile all of our modules anew, which takes longer than most of them run.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(autouse=True)
def log_levels_stay() -> Iterator[None]:
    """A program that is run within a test may make loggers quiet; those after it hear them as before."""
    before, disabled = _levels(), logging.root.manager.disable
    yield
    logging.disable(disabled)
    for logger, level in _levels().items():
        if level != (wanted := before.get(logger, logging.NOTSET)):
            logger.setLevel(wanted)


def _levels() -> dict[logging.Logger, int]:
    made = logging.root.manager.loggerDict.values()
    return {each: each.level for each in (logging.root, *made) if isinstance(each, logging.Logger)}

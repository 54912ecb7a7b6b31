"""What holds for all tests."""

import os

from hypothesis import HealthCheck, settings

# A busy machine makes examples slow; that says nothing about the code under test.
settings.register_profile("headrace", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("headrace")

# Processes that tests start would each compile all of our modules anew, which takes longer than most of them run.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

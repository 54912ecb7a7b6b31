"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# A busy machine makes examples slow; that says nothing about the code under test.
settings.register_profile("headrace", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("headrace")

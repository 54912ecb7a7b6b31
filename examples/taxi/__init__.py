"""Taxi rides through four programs: rides, transaction, email and analytics."""

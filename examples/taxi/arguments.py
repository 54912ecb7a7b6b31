"""What numbers on the command line must be."""

from __future__ import annotations

import argparse


def positive(text: str) -> int:
    """How many. Raises: ArgumentTypeError."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def per_second(text: str) -> float:
    """How many per second. Raises: ArgumentTypeError."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number per second above 0, got {text!r}")
    return number

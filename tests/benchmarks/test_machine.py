"""What a result says of the machine it was made on."""

from benchmarks.machine import calibration_ns, describe, difference


def test_a_machine_is_like_itself() -> None:
    """Whatever is at work on it; the commit and the speed of the moment are not the machine."""
    here = describe()
    assert difference(here, {**here, "commit": "another", "calibration_ns": 1.0}) == ""


def test_the_difference_of_two_machines_is_told() -> None:
    """Result files from before a property was recorded have it unknown."""
    here = describe()
    assert difference({**here, "cores": 64}, {**here, "cores": 2}) == "cores 64 instead of 2"
    older = {name: value for name, value in here.items() if name != "cpu"}
    assert difference(here, older) == f"cpu {here['cpu']} instead of unknown"


def test_the_fixed_loop_takes_time() -> None:
    """One look is enough for a figure."""
    assert calibration_ns(times=1) > 0

"""What a function returns is read from annotations and from attribute paths, and from nothing riskier."""

from collections.abc import Iterator

import msgspec

from streams.serdes.inference import UNKNOWN, field_type, returned_type


class Zone(msgspec.Struct):
    borough: str

    @property
    def initial(self) -> str:
        return self.borough[0]


class Ride(msgspec.Struct):
    zone: Zone
    fare: float


def test_annotation_wins() -> None:
    """A function's return annotation is its type."""

    def many(ride: Ride) -> Iterator[Zone]:
        yield ride.zone

    assert returned_type(many) == Iterator[Zone]


def test_attribute_path_of_a_lambda() -> None:
    """A lambda that reads fields returns the field's type."""
    assert returned_type(lambda key, ride: ride.zone.borough, [str, Ride]) is str
    assert returned_type(lambda ride: ride.fare, [Ride]) is float
    assert returned_type(lambda key, ride: key, [int, Ride]) is int
    assert returned_type(lambda ride: ride.zone.initial, [Ride]) is str


def test_tuple_of_paths() -> None:
    """A tuple of fields is a tuple type."""
    assert returned_type(lambda key, ride: (ride.zone.borough, ride.fare), [str, Ride]) == tuple[str, float]


def test_anything_else_is_unknown() -> None:
    """Calls, operators, constants and unknown fields say nothing, and nothing is called."""
    called: list[object] = []
    for function in (
        lambda ride: called.append(ride),
        lambda ride: ride.fare * 2,
        lambda ride: ride.nothing,
        lambda ride: 5,
        lambda ride: ride.fare if ride.zone else None,
    ):
        assert returned_type(function, [Ride]) is UNKNOWN
    assert not called


def test_classes_return_themselves() -> None:
    """A class used as a function makes its own instances."""
    assert returned_type(Zone) is Zone
    assert field_type(Ride, "zone") is Zone
    assert field_type(dict[str, int], "x") is UNKNOWN


def test_what_a_lambda_calls_tells_its_type():
    """A class gives itself, an annotated function what it says, whether global or from an outer function."""

    def scaled(fare: float, by: int) -> float:
        return fare * by

    assert returned_type(lambda ride: Ride(ride.fare, 1), [Ride]) is Ride
    assert returned_type(lambda ride: Ride(fare=1.0), [Ride]) is Ride
    assert returned_type(lambda ride: scaled(ride.fare, 2), [Ride]) is float
    assert returned_type(lambda ride: str(ride.fare), [Ride]) is str
    assert returned_type(lambda ride: (ride.fare, str(7)), [Ride]) == tuple[float, str]
    assert returned_type(lambda ride: unknown_name(ride), [Ride]) is UNKNOWN  # noqa: F821  looked up, not found
    assert returned_type(lambda ride: ride.copy(), [Ride]) is UNKNOWN

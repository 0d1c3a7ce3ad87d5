"""What must be there, said where it is used."""

from typing import TypeVar

T = TypeVar("T")


def not_none(value: T | None) -> T:
    """`value`; AssertionError where it is None."""
    assert value is not None, "None where a value is expected"
    return value

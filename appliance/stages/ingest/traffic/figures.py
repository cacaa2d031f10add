"""Figures as rows write them: rounded half up, no idle zeros, always with their unit."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

Number = int | float | Decimal | Fraction

_LARGEST_PLAIN = Decimal(10) ** 15


def plain(value: Number, decimals: int = 2) -> str:
    """``12.5`` for 12.50, ``3`` for 3.0; rounded half up as it is done by hand, not half to even."""
    if isinstance(value, Fraction):
        exact = Decimal(value.numerator) / Decimal(value.denominator)
    else:
        # A float is what it prints as: 2.675 is meant, not the binary fraction beside it.
        exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    if abs(exact) < _LARGEST_PLAIN:
        exact = exact.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)
    text = f"{exact:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def seconds(value: Number, decimals: int = 2) -> str:
    """A time."""
    return f"{plain(value, decimals)} s"


def metres(value: Number) -> str:
    """A length of less than a kilometre, or one that is to be read to the metre."""
    return f"{plain(value)} m"


def kilometres(value_in_metres: Number) -> str:
    """A long length, given in metres."""
    return f"{plain(_exact(value_in_metres) / 1000)} km"


def kilometres_per_hour(value_in_metres_per_second: Number) -> str:
    """A speed, given in m/s."""
    return f"{plain(_exact(value_in_metres_per_second) * Fraction(18, 5), 1)} km/h"


def flow(value: Number) -> str:
    """Passenger car units per hour, whole ones."""
    return f"{plain(value, 0)} pcu/h"


def vehicles_per_hour(value: Number) -> str:
    """Vehicles per hour, whole ones."""
    return f"{plain(value, 0)} veh/h"


def percent(share: Number) -> str:
    """A share of 1."""
    return f"{plain(_exact(share) * 100, 1)}%"


def ratio(value: Number) -> str:
    """A figure without a unit, to the third decimal: a flow ratio, a degree of saturation, a split."""
    return plain(value, 3)


def added(terms: Iterable[Number]) -> str:
    """``40 + 3 + 37``."""
    return " + ".join(plain(term) for term in terms)


def _exact(value: Number) -> Fraction:
    return Fraction(repr(value)) if isinstance(value, float) else Fraction(value)

"""Quantities as a policy writes them, and the exact numbers that code works with.

Money is written as a decimal string in whole units and held as ``int`` base units; durations are
written ``30s`` and held as ``int`` milliseconds; ratios are exact fractions. Floats are refused,
because YAML would round them before we see them.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

_DURATION = re.compile(r"^(\d+)(ms|s|m|h|d)$")
_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

MICRO = 1_000_000
"""Values in the unit of account are held in millionths of it."""


def parse_duration_ms(value: object) -> int:
    """``"30s"`` -> 30000. Raises ValueError for anything but a whole number with one of ms, s, m,
    h, d.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value  # already parsed: models are re-validated when a policy is scaled
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        message = "write a duration as a whole number with its unit, such as 250ms, 30s, 5m"
        raise ValueError(message)
    return int(match[1]) * _MILLISECONDS[match[2]]


def parse_decimal(value: object) -> Decimal:
    """``"1.5"`` -> Decimal("1.5").

    Raises ValueError for floats, negatives and anything that is not a finite decimal string.
    """
    if isinstance(value, Decimal):
        return value
    if isinstance(value, str):
        try:
            number = Decimal(value)
        except InvalidOperation:
            number = Decimal("NaN")
        if number.is_finite() and number >= 0:
            return number
    message = 'write a plain decimal in quotes, zero or more, such as "1.5"'
    raise ValueError(message)


def parse_fraction(value: object) -> Fraction:
    """``"0.3"`` or ``"1/3"`` -> exact Fraction.

    Raises ValueError for floats, negatives and nonsense.
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, str):
        try:
            ratio = Fraction(value)
        except (ValueError, ZeroDivisionError):
            ratio = Fraction(-1)
        if ratio >= 0:
            return ratio
    message = 'write an exact ratio in quotes, zero or more, such as "0.25" or "1/3"'
    raise ValueError(message)


def parse_level(value: object) -> Fraction:
    """A level of an indicator.

    An exact ratio, or a duration such as ``"30s"``, which becomes seconds.
    """
    if isinstance(value, str) and _DURATION.match(value):
        return Fraction(parse_duration_ms(value), 1_000)
    return parse_fraction(value)


DurationMs = Annotated[int, BeforeValidator(parse_duration_ms)]
Amount = Annotated[Decimal, BeforeValidator(parse_decimal), PlainSerializer(str, return_type=str)]
Ratio = Annotated[Fraction, BeforeValidator(parse_fraction), PlainSerializer(str, return_type=str)]

Level = Annotated[Fraction, BeforeValidator(parse_level), PlainSerializer(str, return_type=str)]


def to_base_units(amount: Decimal, *, decimals: int) -> int:
    """Whole units to base units, exactly.

    Raises ValueError if the amount is finer than the asset.
    """
    scaled = Fraction(amount) * 10**decimals
    if scaled.denominator != 1:
        message = f"{amount} is finer than {decimals} decimals"
        raise ValueError(message)
    return int(scaled)

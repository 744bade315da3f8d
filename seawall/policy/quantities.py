"""Quantities as a policy file writes them, and the exact numbers that the code works with.

Money is written as a decimal string in whole units and held as ``int`` base units or ``Decimal``.
Durations are written ``30s`` and held as ``int`` milliseconds.
Ratios are exact fractions.
Floats are refused, because YAML would round them before this code sees them.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, Strict, ValidationInfo

_DURATION = re.compile(r"([0-9]{1,16})(ms|s|m|h|d)")
_DURATION_MS_MAX = 10**13  # about 317 years: every instant in microseconds fits in 64 bits
_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
# 36 decimals are the most that an asset may declare. The bounds keep every sum cheap: "84e99999"
# is a short text and a number of 100,000 digits.
_DECIMAL = re.compile(r"[0-9]{1,40}(\.[0-9]{1,36})?")
_QUOTIENT = re.compile(r"([0-9]{1,40})/([0-9]{1,40})")

MICRO = 1_000_000
"""Values in the unit of account are held in millionths of it."""

FROM_DUMP = {"from_dump": True}
"""Validation context for a policy that ``model_dump`` wrote: durations are integers there."""


def parse_duration_ms(value: object) -> int:
    """``"30s"`` -> 30000.

    Raises:
        ValueError: anything but a whole number with one of the units ms, s, m, h, d. A bare number
            is refused: ``12`` could mean seconds or milliseconds.
    """
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(
            "write a duration as a whole number with its unit: 250ms, 30s, 5m, 6h, 90d"
        )
    duration_ms = int(match[1]) * _MILLISECONDS[match[2]]
    if duration_ms > _DURATION_MS_MAX:
        raise ValueError("write a duration of at most 100000d")
    return duration_ms


def parse_decimal(value: object) -> Decimal:
    """``"1.5"`` -> Decimal("1.5").

    Raises:
        ValueError: floats, negatives, exponents, and more than 40 digits before or 36 after the
            point.
    """
    if isinstance(value, Decimal):
        return value
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return Decimal(value)
    raise ValueError(
        'write a plain decimal in quotes, zero or more, without an exponent, such as "1.5"'
    )


def parse_fraction(value: object) -> Fraction:
    """``"0.3"`` or ``"1/3"`` -> exact Fraction.

    Raises:
        ValueError: floats, negatives, exponents, a denominator of zero, and anything else.
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, str):
        if _DECIMAL.fullmatch(value):
            return Fraction(value)
        quotient = _QUOTIENT.fullmatch(value)
        if quotient is not None and int(quotient[2]):
            return Fraction(int(quotient[1]), int(quotient[2]))
    raise ValueError('write an exact ratio in quotes, zero or more, such as "0.25" or "1/3"')


def parse_level(value: object) -> Fraction:
    """A level of an indicator: an exact ratio, or a duration such as ``"30s"``, held as seconds.

    Raises:
        ValueError: neither of them.
    """
    if isinstance(value, str) and _DURATION.fullmatch(value):
        return Fraction(parse_duration_ms(value), 1_000)
    return parse_fraction(value)


def _validated_duration_ms(value: object, info: ValidationInfo) -> int:
    if (info.context or {}).get("from_dump") and type(value) is int:
        return value
    return parse_duration_ms(value)


def _plain(value: Decimal) -> str:
    return format(value, "f")


DurationMs = Annotated[int, BeforeValidator(_validated_duration_ms)]
Amount = Annotated[
    Decimal, BeforeValidator(parse_decimal), PlainSerializer(_plain, return_type=str)
]
Ratio = Annotated[Fraction, BeforeValidator(parse_fraction), PlainSerializer(str, return_type=str)]
Level = Annotated[Fraction, BeforeValidator(parse_level), PlainSerializer(str, return_type=str)]
Count = Annotated[int, Strict(), Field(le=2**53 - 1)]
"""A whole number without a unit, within JSON's exact integers (RFC 8259, section 6).

Neither ``"2"`` nor ``2.0`` nor ``true`` is one.
"""
Flag = Annotated[bool, Strict()]
"""``true`` or ``false``, and nothing that merely resembles them."""


def to_base_units(amount: Decimal, *, decimals: int) -> int:
    """Whole units to base units, exactly.

    Raises:
        ValueError: the amount is finer than the asset.
    """
    # Whole numbers: this is asked for with every claim, and fractions are ten times slower.
    numerator, denominator = amount.as_integer_ratio()
    scale: int = 10**decimals
    scaled, rest = divmod(numerator * scale, denominator)
    if rest:
        raise ValueError(f"{amount} is finer than {decimals} decimals")
    return scaled

"""Amounts between customers, who write decimals, and the books, which hold whole base units.

Integers of any size, because a float or a 64-bit column would lose a part of 18 decimals.
"""

from __future__ import annotations

import re

_PLAIN = re.compile(r"([0-9]{1,40})(?:\.([0-9]{1,40}))?")


def to_units(text: object, *, decimals: int) -> int | None:
    """The base units of a plain positive decimal; None if it is not one of this coin."""
    match = _PLAIN.fullmatch(text) if isinstance(text, str) else None
    if match is None or len(match[2] or "") > decimals:
        return None
    units = int(match[1]) * 10**decimals + int((match[2] or "").ljust(decimals, "0") or "0")
    return units or None


def to_text(units: int, *, decimals: int) -> str:
    """The shortest plain decimal of ``units``."""
    whole, rest = divmod(units, 10**decimals)
    fraction = f"{rest:0{decimals}d}".rstrip("0") if rest else ""
    return f"{whole}.{fraction}" if fraction else str(whole)

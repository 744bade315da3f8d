"""A sum: the limit that a policy promises, and the terms that must fit."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Kind = Literal["time", "capacity", "money", "logic"]
Relation = Literal["within", "below", "covers"]
"""``within``: the terms together must not exceed the limit; ``below``: nor reach it.

``covers``: they must reach it.
"""

_WORDS: dict[Relation, str] = {"within": "at most", "below": "below", "covers": "at least"}
_DIGITS = 3
_MS_PER_S = 1_000
_LONGER_MS = (("h", 3_600_000, 1), ("m", 60_000, 10))
"""Unit, its length, and how many of it read better than seconds."""


@dataclass(frozen=True, kw_only=True)
class Term:
    """One part of a sum, in the unit of the sum; ``detail`` says how the value is computed."""

    name: str
    value: Fraction
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Sum:
    """A limit and its terms.

    ``path`` is the place in the policy that states ``limit``; ``unit`` is ``ms``, an asset, ``/s``,
    or empty for a bare number; ``remedy`` says what to change if the sum does not hold.
    """

    kind: Kind
    name: str
    path: str
    relation: Relation
    limit: Fraction
    unit: str
    terms: tuple[Term, ...]
    remedy: str

    @property
    def total(self) -> Fraction:
        """The terms together."""
        return sum((term.value for term in self.terms), Fraction(0))

    @property
    def margin(self) -> Fraction:
        """What is left of the limit, or above it for ``covers``; negative if it does not hold."""
        return self.total - self.limit if self.relation == "covers" else self.limit - self.total

    @property
    def holds(self) -> bool:
        """Whether the promise can be kept."""
        return self.margin > 0 if self.relation == "below" else self.margin >= 0

    @property
    def bound(self) -> str:
        """The limit, as text."""
        return f"{_WORDS[self.relation]} {show(self.limit, self.unit)}"

    @property
    def addition(self) -> str:
        """The terms and their total, as text."""
        parts = " + ".join(
            f"{term.name} {show(term.value, self.unit)}{f' ({term.detail})' if term.detail else ''}"
            for term in self.terms
        )
        return f"{parts} = {show(self.total, self.unit)}"

    def __str__(self) -> str:
        return f"{self.name}, {self.bound}: {self.addition}"


def show(value: Fraction, unit: str) -> str:
    """``value`` as text: 1500 ms as 1.5s, an amount with its asset, a bare number as it is."""
    if unit != "ms":
        return f"{_decimal(value)} {unit}".rstrip() if unit != "/s" else f"{_decimal(value)}/s"
    if abs(value) < _MS_PER_S and value:
        return f"{_decimal(value)}ms"
    for letter, size, least in _LONGER_MS:
        if value and value % size == 0 and abs(value) >= least * size:
            return f"{_decimal(value / size)}{letter}"
    return f"{_decimal(value / _MS_PER_S)}s"


def _decimal(value: Fraction) -> str:
    """At most three digits after the point, rounded half to even."""
    scaled = round(value * 10**_DIGITS)
    whole, digits = divmod(abs(scaled), 10**_DIGITS)
    text = f"{whole}.{digits:0{_DIGITS}d}".rstrip("0").rstrip(".")
    return f"-{text}" if scaled < 0 else text

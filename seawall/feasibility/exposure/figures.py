"""A figure: an amount with where it comes from, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from decimal import Decimal

Basis = Literal["read", "declared", "derived", "not declared", "unknown"]
ZERO = Fraction(0)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """An amount, exact, in the unit of its row.

    Attributes:
        amount: None if it is not declared or unknown.
        basis: Read from a running stack, declared by the policy, or derived from others.
        source: A place in the policy, who was asked, what it follows from, or why there is none.
        age_ms: How old what was read is; of a derived one, the oldest that it follows from.
    """

    amount: Fraction | None
    basis: Basis
    source: str
    age_ms: int | None = None

    def __post_init__(self) -> None:
        if (self.amount is None) != (self.basis in ("not declared", "unknown")):
            raise ValueError(f"a figure that is {self.basis} cannot be {self.amount}")


def declared(amount: Decimal, path: str) -> Figure:
    """What the policy says at ``path``."""
    return Figure(amount=Fraction(amount), basis="declared", source=path)


def known(amount: Fraction, source: str) -> Figure:
    """What follows from the policy alone, as ``source`` says."""
    return Figure(amount=amount, basis="derived", source=source)


def read(amount: Fraction, source: str, *, age_ms: int) -> Figure:
    """What ``source`` said, so long ago."""
    return Figure(amount=amount, basis="read", source=source, age_ms=age_ms)


def not_declared(reason: str) -> Figure:
    """What the policy does not say."""
    return Figure(amount=None, basis="not declared", source=reason)


def unknown(reason: str) -> Figure:
    """What could not be read."""
    return Figure(amount=None, basis="unknown", source=reason)


def derived(amount_of: Callable[..., Fraction], *figures: Figure, source: str) -> Figure:
    """What ``amount_of`` makes of the amounts of ``figures``.

    If one of them is missing so is the result, for the same reason; unknown beats not declared.
    """
    for basis in ("unknown", "not declared"):
        for each in figures:
            if each.basis == basis:
                return each
    ages = [each.age_ms for each in figures if each.age_ms is not None]
    return Figure(
        amount=amount_of(*(each.amount for each in figures)),
        basis="derived",
        source=source,
        age_ms=max(ages, default=None),
    )

"""How one policy extends another.

Only addresses, amounts by one factor and durations by one factor may differ.

Scaling works on the plain YAML tree, guided by the types of the model, so that a new field is
scaled by its type and needs no entry in a list. A duration that does not divide into whole
milliseconds is refused rather than rounded.
"""

from __future__ import annotations

import typing
from decimal import Decimal, localcontext
from fractions import Fraction
from types import UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from seawall.errors import Problem
from seawall.policy.quantities import (
    Amount,
    DurationMs,
    Level,
    parse_decimal,
    parse_duration_ms,
    parse_fraction,
)

OVERRIDABLE = ("policy", "extends", "scale", "addresses")
"""Keys that a policy with ``extends`` may carry."""

_DIGITS = 160
"""Enough for an amount of 40 + 36 digits times a factor of as many."""

UNSCALED_AMOUNTS = ("reference_price",)
"""A price is a ratio between two amounts: scaling both does not change it."""


def forbidden_overrides(tree: dict[str, Any]) -> list[Problem]:
    """Every key of a derived policy that would change what the extended policy promises."""
    return [
        Problem(
            path=key,
            found="an override",
            remedy=(
                f"a policy with `extends` may only carry {', '.join(OVERRIDABLE)}; change the "
                "extended policy instead"
            ),
        )
        for key in tree
        if key not in OVERRIDABLE
    ]


def derive(
    tree: dict[str, Any], *, child: dict[str, Any], model: type[BaseModel]
) -> tuple[dict[str, Any], list[Problem]]:
    """``tree`` with the factors and addresses of ``child`` applied, and every problem found."""
    mappings, problems = _mappings_of(child, "scale", "addresses")
    factors, more = _factors(mappings["scale"])
    problems += more
    scaler = _Scaler(amounts=factors["amounts"], durations=factors["durations"])
    body = _walk(tree, model, "", scaler)
    problems += [*scaler.problems, *_set_addresses(body, mappings["addresses"])]
    own = {key: child[key] for key in ("policy", "extends") if key in child}
    return {**body, **own, **mappings}, problems


def _mappings_of(
    child: dict[str, Any], *keys: str
) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """The mappings that ``child`` has under ``keys``; one that is missing or wrong is empty."""
    found: dict[str, dict[str, Any]] = {}
    problems: list[Problem] = []
    for key in keys:
        value = child.get(key)
        found[key] = value if isinstance(value, dict) else {}
        if value is not None and not isinstance(value, dict):
            problems.append(Problem(path=key, found=repr(value), remedy="write a mapping"))
    return found, problems


def _factors(scale: dict[str, Any]) -> tuple[dict[str, Fraction], list[Problem]]:
    """The two factors; 1 stands for one that is wrong."""
    factors: dict[str, Fraction] = {}
    problems: list[Problem] = []
    for kind in ("amounts", "durations"):
        written = scale.get(kind, "1")
        factors[kind] = Fraction(1)
        try:
            factor = parse_fraction(written)
        except ValueError as error:
            problem = Problem(path=f"scale.{kind}", found=repr(written), remedy=str(error))
            problems.append(problem)
            continue
        if factor > 0:
            factors[kind] = factor
        else:
            remedy = "write a factor above zero"
            problems.append(Problem(path=f"scale.{kind}", found=repr(written), remedy=remedy))
    return factors, problems


def _set_addresses(body: dict[str, Any], addresses: dict[str, Any]) -> list[Problem]:
    """Put each address into its cold wallet, in place."""
    problems: list[Problem] = []
    wallets = body.get("wallets")
    for name, address in addresses.items():
        wallet = wallets.get(name) if isinstance(wallets, dict) else None
        if isinstance(wallet, dict) and "address" in wallet:
            wallet["address"] = address
        else:
            remedy = "name a cold wallet of the extended policy"
            problems.append(Problem(path=f"addresses.{name}", found=repr(address), remedy=remedy))
    return problems


class _Scaler:
    """Scales single values; a malformed one is left unchanged for the model to report."""

    def __init__(self, *, amounts: Fraction, durations: Fraction) -> None:
        self._amounts = amounts
        self._durations = durations
        self.problems: list[Problem] = []

    def amount(self, value: Any, path: str) -> Any:
        """An amount in whole units, exactly."""
        try:
            scaled = Fraction(parse_decimal(value)) * self._amounts
        except ValueError:
            return value
        with localcontext(prec=_DIGITS):
            decimal = Decimal(scaled.numerator) / Decimal(scaled.denominator)
        if Fraction(decimal) != scaled:
            self._refuse(value, path, self._amounts, "choose a factor that divides it exactly")
        return format(decimal, "f")

    def duration(self, value: Any, path: str) -> Any:
        """A duration, in whole milliseconds."""
        try:
            scaled = parse_duration_ms(value) * self._durations
        except ValueError:
            return value
        if scaled.denominator != 1:
            self._refuse(
                value, path, self._durations, "choose a factor that gives whole milliseconds"
            )
        return f"{int(scaled)}ms"

    def level(self, value: Any, path: str) -> Any:
        """A level: a duration is scaled, a ratio is not."""
        try:
            parse_duration_ms(value)
        except ValueError:
            return value
        return self.duration(value, path)

    def _refuse(self, value: Any, path: str, factor: Fraction, remedy: str) -> None:
        self.problems.append(Problem(path=path, found=f"{value} x {factor}", remedy=remedy))


def _walk(value: Any, annotation: Any, path: str, on: _Scaler) -> Any:
    """``value``, of type ``annotation``, with ``on`` applied to amounts, durations and levels."""
    if annotation is DurationMs:
        return on.duration(value, path)
    if annotation is Level:
        return on.level(value, path)
    if annotation is Amount:
        return value if path.rpartition(".")[2] in UNSCALED_AMOUNTS else on.amount(value, path)
    if get_origin(annotation) in (UnionType, typing.Union):
        options = [option for option in get_args(annotation) if option is not type(None)]
        return value if value is None or len(options) != 1 else _walk(value, options[0], path, on)
    if (
        isinstance(annotation, type)
        and issubclass(annotation, BaseModel)
        and isinstance(value, dict)
    ):
        hints = typing.get_type_hints(annotation, include_extras=True)
        names = {
            (field.alias or name): hints[name] for name, field in annotation.model_fields.items()
        }
        return {
            key: _walk(item, names.get(key), f"{path}.{key}".lstrip("."), on)
            for key, item in value.items()
        }
    if get_origin(annotation) is dict and isinstance(value, dict):
        return {
            key: _walk(item, get_args(annotation)[1], f"{path}.{key}", on)
            for key, item in value.items()
        }
    if get_origin(annotation) is tuple and isinstance(value, list):
        return [
            _walk(item, get_args(annotation)[0], f"{path}.{index}", on)
            for index, item in enumerate(value)
        ]
    return value

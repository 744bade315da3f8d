"""Cron expressions of EventBridge Scheduler, checked before anything is deployed; pure.

Six fields: minutes, hours, day of month, month, day of week, year (EventBridge Scheduler user
guide, Schedule types: Cron-based schedules).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from seawall.errors import PolicyError, Problem
from seawall.policy import Policy

_FIELDS = ("minutes", "hours", "day of month", "month", "day of week", "year")
_MONTHS = {
    "JAN": 1,
    "FEB": 2,
    "MAR": 3,
    "APR": 4,
    "MAY": 5,
    "JUN": 6,
    "JUL": 7,
    "AUG": 8,
    "SEP": 9,
    "OCT": 10,
    "NOV": 11,
    "DEC": 12,
}
_DAYS = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}
_RANGES: Mapping[str, tuple[int, int, Mapping[str, int]]] = {
    "minutes": (0, 59, {}),
    "hours": (0, 23, {}),
    "day of month": (1, 31, {}),
    "month": (1, 12, _MONTHS),
    "day of week": (1, 7, _DAYS),
    "year": (1970, 2199, {}),
}
_CRON = re.compile(r"cron\((.*)\)")


def refuse_bad_schedules(policy: Policy) -> None:
    """Raise :class:`PolicyError` with every game day whose schedule AWS would refuse."""
    problems = [
        Problem(path=f"gamedays.{index}.schedule", found=repr(day.schedule), remedy=wrong)
        for index, day in enumerate(policy.gamedays)
        if (wrong := problem_of(day.schedule)) is not None
    ]
    if problems:
        raise PolicyError(policy.policy, problems)


def problem_of(expression: str) -> str | None:
    """What to write instead of a wrong cron expression; None if it is right."""
    match = _CRON.fullmatch(expression)
    if match is None:
        return "write cron(minutes hours day-of-month month day-of-week year)"
    fields = match[1].split()
    if len(fields) != len(_FIELDS):
        return f"write six fields ({', '.join(_FIELDS)}), not {len(fields)}"
    for name, text in zip(_FIELDS, fields, strict=True):
        wrong = _problem_of_field(name, text)
        if wrong is not None:
            return wrong
    if (fields[2] == "?") == (fields[4] == "?"):
        return "write ? for exactly one of day of month and day of week"
    return None


def _problem_of_field(name: str, text: str) -> str | None:
    if text == "?":
        return None if name in ("day of month", "day of week") else f"{name} cannot be ?"
    for item in text.split(","):
        if not _is_item(name, item):
            low, high, _ = _RANGES[name]
            return f"{name} cannot be {item!r}; write numbers from {low} to {high}"
    if "#" in text and "," in text:
        return f"{name} takes one # and nothing beside it"
    return None


def _is_item(name: str, item: str) -> bool:
    if name == "day of month" and (
        item in ("L", "LW") or re.fullmatch(r"([1-9]|[12][0-9]|3[01])W", item)
    ):
        return True
    if name == "day of week":
        if item == "L":
            return True
        day, mark, nth = item.partition("#")
        if mark:
            return _number(name, day) is not None and nth in ("1", "2", "3", "4", "5")
        if item.endswith("L") and _number(name, item[:-1]) is not None:
            return True
    base, slash, step = item.partition("/")
    if slash and not (step.isdecimal() and int(step) > 0):
        return False
    low, dash, high = base.partition("-")
    if dash:
        first, last = _number(name, low), _number(name, high)
        return first is not None and last is not None and first <= last
    return base == "*" or _number(name, base) is not None


def _number(name: str, text: str) -> int | None:
    low, high, names = _RANGES[name]
    number = names.get(text, int(text) if text.isdecimal() else -1)
    return number if low <= number <= high else None

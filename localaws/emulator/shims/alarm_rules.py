"""The rule of a composite alarm: a Boolean expression over the states of other alarms; pure.

CloudWatch API reference, PutCompositeAlarm, AlarmRule: ``ALARM("a")``, ``OK(b)``,
``INSUFFICIENT_DATA(arn)``, TRUE, FALSE, AND, OR, NOT and parentheses; NOT binds strongest, then
AND, then OR. A name is bare or in double quotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from seawall.errors import CallerError

_TOKEN = re.compile(
    r'\s*(?:(ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:"([^"]+)"|([^\s()"]+))\s*\)|(AND|OR|NOT|TRUE|FALSE|\(|\)))'
)


class AlarmRuleError(CallerError):
    """The rule of a composite alarm is no expression."""


def holds(rule: str, state_of: Callable[[str], str]) -> bool:
    """Whether ``rule`` is true; ``state_of`` gives the state of an alarm by its name or ARN.

    Raises :class:`AlarmRuleError`.
    """
    return _Parser(_tokens(rule), state_of).whole()


def alarms_in(rule: str) -> list[str]:
    """Names and ARNs of the alarms that ``rule`` asks about. Raises :class:`AlarmRuleError`."""
    return [name for kind, name in _tokens(rule) if name and kind]


def _tokens(rule: str) -> list[tuple[str, str]]:
    """(state, alarm) for a question about an alarm, (word, "") for everything else."""
    found, at, text = [], 0, rule.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            message = f"the alarm rule is not understood from here on: {text[at : at + 40]}"
            raise AlarmRuleError(message)
        state, quoted, bare, word = match.groups()
        found.append((state, quoted or bare) if state else (word, ""))
        at = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]], state_of: Callable[[str], str]) -> None:
        self._tokens, self._state_of, self._at = tokens, state_of, 0

    def whole(self) -> bool:
        value = self._either()
        if self._at != len(self._tokens):
            message = "the alarm rule goes on after its end"
            raise AlarmRuleError(message)
        return value

    def _next(self, *words: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] in {
            (word, "") for word in words
        }:
            self._at += 1
            return True
        return False

    def _either(self) -> bool:
        value = self._both()
        while self._next("OR"):
            value = self._both() or value
        return value

    def _both(self) -> bool:
        value = self._one()
        while self._next("AND"):
            value = self._one() and value
        return value

    def _one(self) -> bool:
        if self._next("NOT"):
            return not self._one()
        if self._next("("):
            value = self._either()
            if not self._next(")"):
                message = "a parenthesis of the alarm rule is not closed"
                raise AlarmRuleError(message)
            return value
        if self._at >= len(self._tokens):
            message = "the alarm rule ends too early"
            raise AlarmRuleError(message)
        kind, name = self._tokens[self._at]
        self._at += 1
        if name:
            return self._state_of(name) == kind
        if kind in ("TRUE", "FALSE"):
            return kind == "TRUE"
        message = f"the alarm rule has {kind} where a condition should stand"
        raise AlarmRuleError(message)

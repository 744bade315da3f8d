"""An override: a person lets named refusals pass, with a reason and an end; pure.

Each resource is named; there is no wildcard.

who: jane.doe@venue.example
justification: >
  Retiring the old birch wallet: emptied in TX 0x..., balance checked by two, ticket OPS-4711.
expires: 2030-01-31T18:00:00Z
covers:
  - {rule: signing-key-replaced, urn: "urn:pulumi:production::seawall::...::treasury-birch-hot"}
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from seawall.errors import UsageError
from seawall.formats.documents import parse_yaml

LIFE_MAX = timedelta(days=7)
"""Long enough for a weekend and a review; an override that is needed longer is written anew."""
JUSTIFICATION_CHARACTERS_MIN = 30
_WORDS_MIN = 5
_DISTINCT_WORDS_MIN = 4
_PLACEHOLDER = re.compile(
    r"\b(to"
    r"do|tbd|tba|fix"
    r"me|xx+|lorem|ipsum|foo|bar|baz|asdf\w*|qwerty\w*|blah|placeholder|"
    r"insert reason|your reason|justification here|reason here|none|n/a)\b|<[^>]*>|\{\{",
    re.IGNORECASE,
)
_NOT_A_PERSON = frozenset(
    {
        "me",
        "us",
        "admin",
        "root",
        "user",
        "somebody",
        "someone",
        "anyone",
        "nobody",
        "unknown",
        "test",
        "ci",
        "bot",
        "who",
    }
)
_URN = re.compile(r"urn:pulumi:[^:*?\s]+::[^:*?\s]+::[^\s*?]+::[^*?\n]+")
_SPAN = re.compile(r"([0-9]+)(m|h|d)")
_SPAN_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Cover(BaseModel):
    """A resource that an override covers, for one rule or for all rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    urn: str
    rule: str | None = None

    @field_validator("urn")
    @classmethod
    def _names_one_resource(cls, value: str) -> str:
        if not _URN.fullmatch(value):
            raise ValueError("name one resource by its whole URN, without wildcards")
        return value

    def matches(self, rule: str, urn: str) -> bool:
        """Tell whether it covers the refusal of ``urn`` by ``rule``."""
        return self.urn == urn and self.rule in (None, rule)


class Override(BaseModel):
    """The decision of a person, with its reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    who: str
    justification: str
    expires: datetime
    covers: Annotated[tuple[Cover, ...], Field(min_length=1)]

    @field_validator("who")
    @classmethod
    def _is_a_person(cls, value: str) -> str:
        value = value.strip()
        if len(value) < len("a b") or value.lower() in _NOT_A_PERSON or _PLACEHOLDER.search(value):
            raise ValueError("name the person who decides")
        return value

    @field_validator("justification")
    @classmethod
    def _is_a_reason(cls, value: str) -> str:
        text = " ".join(value.split())
        words = re.findall(r"[^\W\d_]{2,}", text.lower())
        if (
            len(text) < JUSTIFICATION_CHARACTERS_MIN
            or len(words) < _WORDS_MIN
            or len(set(words)) < _DISTINCT_WORDS_MIN
        ):
            raise ValueError(
                f"say why in at least {JUSTIFICATION_CHARACTERS_MIN} characters"
                f" and {_WORDS_MIN} words"
            )
        if found := _PLACEHOLDER.search(text):
            raise ValueError(f"{found.group()!r} is a placeholder, not a reason")
        return text

    @field_validator("expires")
    @classmethod
    def _has_a_zone(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("write the time with its zone, such as 2030-01-31T18:00:00Z")
        return value

    def expired(self, now: datetime) -> bool:
        """Tell whether its time is over."""
        return now >= self.expires

    def covers_finding(self, rule: str, urn: str) -> bool:
        """Tell whether it lets the refusal of ``urn`` by ``rule`` pass."""
        return any(cover.matches(rule, urn) for cover in self.covers)


def read_override(text: str, *, source: str, now: datetime) -> Override:
    """Read the override in a YAML or JSON text.

    Raises:
        UsageError: with every problem at once.
    """
    return _checked(parse_yaml(text, source=source), source=source, now=now)


def make_override(
    *, who: str, justification: str, expires: str, covers: Iterable[str], now: datetime
) -> Override:
    """Make the override that a command's options describe.

    Args:
        who: the person who decides.
        justification: the reason.
        expires: a time, or a span from ``now`` such as `4h`.
        covers: each `URN` or `RULE@URN`.
        now: the present time.

    Raises:
        UsageError: with every problem at once.
    """
    span = _SPAN.fullmatch(expires)
    until = (
        (now + timedelta(**{_SPAN_UNITS[span[2]]: int(span[1])})).isoformat() if span else expires
    )
    listed = []
    for cover in covers:
        rule, found, urn = cover.partition("@urn:")
        listed.append({"rule": rule, "urn": f"urn:{urn}"} if found else {"urn": cover})
    document = {"who": who, "justification": justification, "expires": until, "covers": listed}
    return _checked(document, source="the override", now=now)


def _checked(document: object, *, source: str, now: datetime) -> Override:
    try:
        override = Override.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in each['loc']) or 'it'}: "
            f"{each['msg'].removeprefix('Value error, ')}"
            for each in error.errors()
        )
        raise UsageError(
            f"{source} is no override: {problems}",
            remedy="see docs/runbooks/infrastructure-change.md",
        ) from error
    if override.expires - now > LIFE_MAX:
        raise UsageError(
            f"{source} would hold until {override.expires.isoformat()}",
            remedy=f"let it expire within {LIFE_MAX.days} days",
        )
    return override

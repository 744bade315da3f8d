"""Outcomes of checks (PASS, FAIL, UNKNOWN), findings, and checks as data.

Many outcomes combine into one: FAIL beats UNKNOWN beats PASS, and nothing at all is UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from seawall.conventions.evidence import EVERY_PORT, Port
from seawall.errors import ExitCode
from seawall.scorecard.producers import PRODUCED_BY, PRODUCERS, Producer
from seawall.scorecard.run import FILES, PORT_OF, PORTS

if TYPE_CHECKING:
    from seawall.policy import Drill, Function
    from seawall.scorecard.facts import Facts


class Outcome(StrEnum):
    """What a check found; only PASS opens a gate."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a process that ends with this outcome."""
        return {
            Outcome.PASS: ExitCode.PASS,
            Outcome.FAIL: ExitCode.FAIL,
            Outcome.UNKNOWN: ExitCode.UNKNOWN,
        }[self]


def combine(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome of many checks together."""
    found = set(outcomes)
    for outcome in (Outcome.FAIL, Outcome.UNKNOWN, Outcome.PASS):
        if outcome in found:
            return outcome
    return Outcome.UNKNOWN


NO_GROUND = "the evidence is not complete"
"""The reason of a finding that does not count because other evidence is missing."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found; ``details`` are examples of what was wrong."""

    outcome: Outcome
    measured: str
    target: str
    reason: str
    details: tuple[str, ...] = ()


def passed(*, measured: str, target: str, reason: str, details: Iterable[str] = ()) -> Finding:
    """A finding with evidence for it."""
    return Finding(
        outcome=Outcome.PASS,
        measured=measured,
        target=target,
        reason=reason,
        details=tuple(details),
    )


def failed(*, measured: str, target: str, reason: str, details: Iterable[str] = ()) -> Finding:
    """A finding with evidence against it."""
    return Finding(
        outcome=Outcome.FAIL,
        measured=measured,
        target=target,
        reason=reason,
        details=tuple(details),
    )


def unknown(
    *, target: str, reason: str, measured: str = "not measured", details: Iterable[str] = ()
) -> Finding:
    """A finding without enough evidence."""
    return Finding(
        outcome=Outcome.UNKNOWN,
        measured=measured,
        target=target,
        reason=reason,
        details=tuple(details),
    )


def violations(
    found: list[str],
    *,
    checked: int,
    what: str,
    reason: str,
    worst: str | None = None,
    details: Iterable[str] = (),
    doubts: Sequence[str] = (),
) -> Finding:
    """FAIL if something wrong was ``found``, UNKNOWN with doubts or if nothing was checked.

    Else PASS. A FAIL shows the first, the worst and the last example.

    Args:
        found: A sentence per violation, in order of time.
        checked: How many things were checked.
        what: The name of those things, in the plural.
        reason: The reason of a PASS.
        worst: One of ``found``, if one is worse than the others.
        details: Further details, for PASS and FAIL.
        doubts: Why not all is known that could be wrong.
    """
    target = f"0 wrong of all {what}"
    if not found and doubts:
        return unknown(
            target=target,
            measured=f"0 wrong of {checked:,} {what} that are known",
            reason=doubts[0],
            details=doubts[1:],
        )
    if not found and checked == 0:
        return unknown(target=target, reason=f"there are no {what} to check", measured="no samples")
    if not found:
        return passed(
            measured=f"0 wrong of {checked:,} {what}", target=target, reason=reason, details=details
        )
    examples = {"first": found[0], "worst": worst, "last": found[-1] if len(found) > 1 else None}
    return failed(
        measured=f"{len(found):,} wrong of {checked:,} {what}",
        target=target,
        reason=found[0],
        details=(
            *(f"{label}: {text}" for label, text in examples.items() if text is not None),
            *details,
            *(f"not all is known: {doubt}" for doubt in doubts),
        ),
    )


_ORDERS = tuple(FILES[name] for name in PORTS["orders"])


def every_drill(drill: Drill) -> bool:
    """For a question that every drill asks."""
    del drill
    return True


@dataclass(frozen=True, kw_only=True)
class Check:
    """One readiness question as data, and the pure function that answers it.

    Attributes:
        proves_alone: The rows which show a violation prove it, even if other evidence is missing.
        belongs: Whether a drill asks this question; one that does not is not judged by it.
        adapts_to: Ports that it reads where they are offered, and can do without.
        numbered: Whether payouts must carry the venue's own number of the request.
        operation: Of the drill contract; a venue that does not offer it cannot be asked.
        function: Of the policy's tiers; a policy that guarantees it in no tier does not ask.
        play_money: Whether it is tried only where all money is play money.
        steerable: Whether a person's order could have caused what it finds; then it reads them.
        believes: By producer whose lie alone would make it pass: which lie, and who else might
            notice it.
    """

    id: str
    question: str
    motivation: str
    evidence: tuple[str, ...]
    remediation: str
    answer: Callable[[Facts], Finding]
    proves_alone: bool = False
    belongs: Callable[[Drill], bool] = every_drill
    adapts_to: frozenset[Port] = frozenset()
    numbered: bool = False
    operation: str | None = None
    function: Function | None = None
    play_money: bool = False
    steerable: bool = False
    believes: Mapping[Producer, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Let one that orders could steer read them where they are offered."""
        if self.steerable and "orders" not in self.adapts_to:
            object.__setattr__(self, "evidence", (*self.evidence, *_ORDERS))
            object.__setattr__(self, "adapts_to", self.adapts_to | {"orders"})

    @property
    def producers(self) -> tuple[Producer, ...]:
        """Who writes its evidence."""
        found = {producer for name in self.evidence for producer in PRODUCED_BY[name]}
        return tuple(producer for producer in PRODUCERS if producer in found)

    @property
    def needs(self) -> tuple[Port, ...]:
        """The ports without which it cannot be claimed: those that its evidence comes from."""
        found = {PORT_OF[name] for name in self.evidence if name in PORT_OF} - self.adapts_to
        if self.numbered:
            found.add("numbered_payouts")
        return tuple(port for port in EVERY_PORT if port in found)

    @property
    def category(self) -> str:
        """The part of the id before the dot."""
        return self.id.partition(".")[0]


def check(
    identity: str,
    *,
    question: str,
    motivation: str,
    evidence: tuple[str, ...],
    remediation: str,
    proves_alone: bool = False,
    belongs: Callable[[Drill], bool] = every_drill,
    adapts_to: tuple[Port, ...] = (),
    numbered: bool = False,
    play_money: bool = False,
    steerable: bool = False,
    believes: Mapping[Producer, str] | None = None,
) -> Callable[[Callable[[Facts], Finding]], Check]:
    """Return a decorator that makes a function the answer of the :class:`Check` ``identity``."""

    def wrap(answer: Callable[[Facts], Finding]) -> Check:
        return Check(
            id=identity,
            question=question,
            motivation=motivation,
            evidence=evidence,
            remediation=remediation,
            answer=answer,
            proves_alone=proves_alone,
            belongs=belongs,
            adapts_to=frozenset(adapts_to),
            numbered=numbered,
            play_money=play_money,
            steerable=steerable,
            believes=believes or {},
        )

    return wrap

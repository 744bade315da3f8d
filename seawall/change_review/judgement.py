"""Judge whether a planned change may be applied; pure.

Refused beats unknown beats allowed. A refusal can be overridden, one resource at a time. An
override has no effect on doubts about the preview, on a change that the engine itself refuses, or
on a journal whose chain is broken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from seawall.change_review.exposure import Exposure, declared_addresses, exposure_of
from seawall.change_review.freeze import Freeze
from seawall.change_review.override import Override
from seawall.change_review.preview import Change, Preview
from seawall.change_review.rules import NOT_UNDERSTOOD, TABLE, Rule, not_understood
from seawall.change_review.rules.keys import KEY
from seawall.errors import ExitCode
from seawall.policy import Policy


class ReviewOutcome(Enum):
    """Whether the change may go ahead."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    UNKNOWN = "unknown"

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the process."""
        return {
            ReviewOutcome.ALLOWED: ExitCode.PASS,
            ReviewOutcome.REFUSED: ExitCode.FAIL,
            ReviewOutcome.UNKNOWN: ExitCode.UNKNOWN,
        }[self]


FREEZE = Rule(
    id="change-freeze",
    kinds=frozenset(),
    checks=(),
    consequence="A change in the middle of an incident hides its cause,"
    " and can take away what keeps the venue running.",
    instead="Wait until the tier is normal and the incident is closed;"
    " override only the change that ends the incident.",
    source="this kit: design, change freeze",
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One refusal: a rule, a resource and the evidence.

    ``unknown``: it is refused because something is not known.
    """

    rule: Rule
    change: Change
    evidence: tuple[str, ...]
    exposure: Exposure | None
    advice: str
    unknown: bool = False
    overridden: bool = False


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The outcome and all that led to it.

    ``faults``: reasons for refusal that no override can let pass; ``doubts``: reasons why the
    preview may not be the whole truth; ``notes``: what a reviewer should also know.
    """

    preview: Preview
    policy: Policy
    freeze: Freeze
    findings: tuple[Finding, ...]
    doubts: tuple[str, ...]
    faults: tuple[str, ...]
    notes: tuple[str, ...]
    override: Override | None
    changed: int

    @property
    def outcome(self) -> ReviewOutcome:
        """Whether the change may go ahead."""
        standing = [finding for finding in self.findings if not finding.overridden]
        if self.faults or any(not finding.unknown for finding in standing):
            return ReviewOutcome.REFUSED
        return ReviewOutcome.UNKNOWN if standing or self.doubts else ReviewOutcome.ALLOWED

    @property
    def overridden(self) -> tuple[Finding, ...]:
        """The refusals that the override lets pass."""
        return tuple(finding for finding in self.findings if finding.overridden)


def judge(
    preview: Preview,
    *,
    policy: Policy,
    freeze: Freeze,
    override: Override | None,
    now: datetime,
    faults: Iterable[str] = (),
    exposures: Mapping[str, Exposure],
) -> Judgement:
    """Judge every step of ``preview``.

    Args:
        preview: the planned change.
        policy: the policy that the stack is declared from.
        freeze: whether changes are frozen now.
        override: the refusals that a person lets pass, if any.
        now: the present time; an expired override covers nothing.
        faults: reasons against any change that are known already.
        exposures: the money behind each resource, by URN.
    """
    notes: list[str] = []
    in_force = override if override is not None and not override.expired(now) else None
    if override is not None and in_force is None:
        notes.append(
            f"the override of {override.who} expired at {override.expires.isoformat()};"
            " it covers nothing"
        )
    findings = [
        _covered(finding, in_force)
        for change in preview.changes
        for finding in _findings(change, preview, freeze, exposures)
    ]
    if in_force is not None:
        notes += [
            f"the override covers {cover.rule or 'everything'} on {cover.urn},"
            " which was not refused"
            for cover in in_force.covers
            if not any(cover.matches(finding.rule.id, finding.change.urn) for finding in findings)
        ]
    return Judgement(
        preview=preview,
        policy=policy,
        freeze=freeze,
        findings=tuple(findings),
        doubts=preview.doubts,
        faults=(*faults, *_engine_refusals(preview)),
        notes=tuple(notes),
        override=override,
        changed=sum(change.changes for change in preview.changes),
    )


def exposures_of(
    preview: Preview, policy: Policy, *, before: Policy | None = None
) -> dict[str, Exposure]:
    """Return the money behind each resource, by URN.

    ``before`` is the policy in force until now, if the change brings another one.
    """
    addresses = declared_addresses(preview.outputs)
    found = {
        change.urn: exposure_of(change, before or policy, addresses, also=policy)
        for change in preview.changes
        if change.custom
    }
    return {urn: exposure for urn, exposure in found.items() if exposure is not None}


def _findings(
    change: Change, preview: Preview, freeze: Freeze, exposures: Mapping[str, Exposure]
) -> Iterable[Finding]:
    for rule in TABLE:
        evidence = rule.broken_by(change, preview)
        if evidence:
            yield _finding(rule, change, evidence, exposures, advice=_advice(rule, change, preview))
    strange = not_understood(change)
    if strange:
        yield _finding(NOT_UNDERSTOOD, change, strange, exposures)
    if change.changes and freeze.state != "clear":
        yield _finding(FREEZE, change, freeze.reasons, exposures, unknown=freeze.state == "unknown")


def _finding(
    rule: Rule,
    change: Change,
    evidence: Iterable[str],
    exposures: Mapping[str, Exposure],
    *,
    advice: str = "",
    unknown: bool = False,
) -> Finding:
    return Finding(
        rule=rule,
        change=change,
        evidence=tuple(evidence),
        exposure=exposures.get(change.urn) if rule.touches_money else None,
        advice=advice or rule.instead,
        unknown=unknown,
    )


def _advice(rule: Rule, change: Change, preview: Preview) -> str:
    """Return what to do instead of ``change``.

    A key that is deleted under one name and made under another was probably renamed. An alias of
    the engine keeps it.
    """
    if change.kind == KEY and change.op == "delete":
        for other in preview.changes:
            if other.kind == KEY and other.op == "create" and _alike(change, other):
                return (
                    f"It would be made again as {other.name}, with another address. "
                    "If this is a new name, place or provider for the same key, add "
                    f'`aliases=["{change.urn}"]` to it.'
                )
    return rule.instead


def _alike(gone: Change, made: Change) -> bool:
    """Tell whether two keys have the same inputs, apart from those that carry the name."""
    parts = ("customerMasterKeySpec", "keyUsage", "multiRegion", "region")
    same = all((gone.before or {}).get(part) == (made.after or {}).get(part) for part in parts)
    return same and gone.tags.get("bucket") == made.tags.get("bucket")


def _covered(finding: Finding, override: Override | None) -> Finding:
    if override is None or not override.covers_finding(finding.rule.id, finding.change.urn):
        return finding
    return Finding(**{**vars(finding), "overridden": True})


def _engine_refusals(preview: Preview) -> list[str]:
    """Return why the engine would refuse to apply the change.

    It may have stopped there, and the preview then lacks the steps that follow.
    """
    if not preview.protected:
        return []
    names = [
        f"{urn.rpartition('::')[2]} ({urn.split('::')[2].rpartition('$')[2]})"
        if "::" in urn
        else urn
        for urn in preview.protected
    ]
    return [
        "the engine itself refuses, and may not show what else would change: protected are "
        + ", ".join(names)
    ]

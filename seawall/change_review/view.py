"""Render a judgement for a terminal, for a pull request and as JSON; pure.

Names and values come from the change under review. So all text in markdown is escaped and control
characters are masked: the author of a change must not be able to forge its review.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from seawall.change_review.exposure import AssetExposure, Exposure, money, units
from seawall.change_review.judgement import FREEZE, Finding, Judgement, ReviewOutcome
from seawall.change_review.rules import TABLE

_NAMED_MAX = 4
"""Resources named for one refusal that many share; the JSON names all."""
_RANK = {rule.id: number for number, rule in enumerate(TABLE)}
"""Position in the table, which begins with what cannot be undone."""
_MARKDOWN = re.compile(r"([\\`*_\[\]#|~@])")
_BLANK = re.compile(r"\s+")


def sentence(judgement: Judgement) -> str:
    """Say the outcome in one line."""
    stack, changed = judgement.preview.stack, judgement.changed
    planned = f"{changed} of {len(judgement.preview.changes)} resources of {stack} would change"
    standing = [finding for finding in judgement.findings if not finding.overridden]
    if judgement.outcome is ReviewOutcome.ALLOWED:
        passed = judgement.overridden
        return (
            f"{planned}; {len(passed)} refusals are overridden by {judgement.override.who}"
            if passed and judgement.override
            else (f"{planned}; nothing speaks against it")
        )
    if judgement.outcome is ReviewOutcome.UNKNOWN:
        why = [*judgement.doubts, *(each for finding in standing for each in finding.evidence)]
        return f"{planned}; it cannot be judged: {why[0]}"
    rules = sorted({finding.rule.id for finding in standing if not finding.unknown})
    return f"{planned}; refused: {', '.join(rules) or judgement.faults[0]}"


def lines(judgement: Judgement) -> Iterator[str]:
    """Render for a terminal, with unprintable characters masked."""
    return (
        "".join(each if each.isprintable() else "?" for each in line) for line in _lines(judgement)
    )


def _lines(judgement: Judgement) -> Iterator[str]:
    yield f"{judgement.outcome.value.upper()}  {sentence(judgement)}"
    for kind, texts in (
        ("fault", judgement.faults),
        ("doubt", judgement.doubts),
        ("note", judgement.notes),
    ):
        yield from (f"{kind}: {_BLANK.sub(' ', text)}" for text in texts)
    for findings in _grouped(judgement.findings):
        first = findings[0]
        yield ""
        yield f"{_mark(first)} {first.rule.id}: {_who(findings)}"
        yield from (f"    {each}" for each in first.evidence)
        yield f"    so: {first.rule.consequence}"
        yield from (
            f"    exposure: {_exposure_line(exposure)}" for exposure in _exposures(findings)
        )
        yield f"    instead: {first.advice}"
        yield f"    source: {first.rule.source}"
        yield from (f"    urn: {finding.change.urn}" for finding in findings[:_NAMED_MAX])
    yield ""
    for exposure in _exposures(judgement.findings):
        yield from _holding_lines(exposure)
    yield f"freeze: {'; '.join(source.says for source in judgement.freeze.sources)}"


def markdown(judgement: Judgement) -> str:
    """Render for a pull request.

    First the outcome, then a table, then what each refusal means and what to do instead.
    """
    parts = [
        f"### seawall review: {judgement.outcome.value.upper()}",
        "",
        f"{_escaped(sentence(judgement))}.",
        "",
    ]
    for kind, texts in (
        ("Cannot be overridden", judgement.faults),
        ("In doubt", judgement.doubts),
        ("Note", judgement.notes),
    ):
        parts += [f"- **{kind}**: {_escaped(text)}" for text in texts]
    groups = list(_grouped(judgement.findings))
    if groups:
        parts += [
            "",
            "| | resource | rule | what would change | exposure |",
            "|---|---|---|---|---|",
        ]
        parts += [_row(findings) for findings in groups]
        parts += ["", *_explained(groups)]
    parts += [
        "",
        f"_Freeze: {_escaped('; '.join(source.says for source in judgement.freeze.sources))}._",
    ]
    if any(not finding.overridden for finding in judgement.findings):
        parts.append(
            "_How to read this and how to override it: docs/runbooks/infrastructure-change.md._"
        )
    return "\n".join(parts) + "\n"


def document(judgement: Judgement) -> dict[str, Any]:
    """Render as JSON; amounts and values are decimal strings of integers."""
    return {
        "outcome": judgement.outcome.value,
        "exit_code": int(judgement.outcome.exit_code),
        "sentence": sentence(judgement),
        "stack": judgement.preview.stack,
        "policy": {"name": judgement.policy.policy, "digest": judgement.policy.digest},
        "preview_digest": judgement.preview.digest,
        "changed": judgement.changed,
        "resources": len(judgement.preview.changes),
        "faults": list(judgement.faults),
        "doubts": list(judgement.doubts),
        "notes": list(judgement.notes),
        "freeze": {
            "state": judgement.freeze.state,
            "sources": [vars(source) for source in judgement.freeze.sources],
        },
        "override": judgement.override.model_dump(mode="json")
        if judgement.override is not None
        else None,
        "findings": [_found(finding) for finding in judgement.findings],
    }


def _found(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule.id,
        "urn": finding.change.urn,
        "op": finding.change.op,
        "status": "overridden"
        if finding.overridden
        else "unknown"
        if finding.unknown
        else "refused",
        "evidence": list(finding.evidence),
        "consequence": finding.rule.consequence,
        "instead": finding.advice,
        "source": finding.rule.source,
        "change_digest": finding.change.digest,
        "exposure": _exposure(finding.exposure),
    }


def _exposure(exposure: Exposure | None) -> dict[str, Any] | None:
    if exposure is None:
        return None
    live = exposure.live_value_micro
    return {
        "scope": exposure.scope,
        "name": exposure.name,
        "owner": exposure.owner,
        "unit_of_account": exposure.unit,
        "addresses": dict(exposure.addresses),
        "maximum_value_micro": str(exposure.maximum_value_micro) if exposure.holdings else None,
        "live_value_micro": str(live) if live is not None else None,
        "live_unknown_because": None if live is not None else exposure.why_unknown,
        "holdings": [
            {
                "wallet": each.wallet,
                "network": each.network,
                "asset": each.asset,
                "maximum": str(each.maximum),
                "live": str(each.live.amount)
                if each.live is not None and each.live.amount is not None
                else None,
            }
            for each in exposure.holdings
        ],
    }


def _grouped(findings: Iterable[Finding]) -> Iterator[list[Finding]]:
    """Group findings that say the same of many resources; refusals first, the freeze last."""

    def order(finding: Finding) -> tuple[bool, int, int, str, tuple[str, ...], str]:
        value = finding.exposure.maximum_value_micro if finding.exposure is not None else 0
        rank = _RANK.get(finding.rule.id, len(_RANK)) + (finding.rule is FREEZE)
        return finding.overridden, rank, -value, finding.rule.id, finding.evidence, finding.advice

    ordered = sorted(findings, key=order)
    for _, same in groupby(ordered, key=order):
        yield list(same)


def _mark(finding: Finding) -> str:
    return "overridden" if finding.overridden else "unknown" if finding.unknown else "refused"


def _label(finding: Finding) -> str:
    kind = finding.change.kind
    return f"{finding.change.name} ({kind.removeprefix('aws:').partition(':')[2] or kind})"


def _who(findings: list[Finding]) -> str:
    named = ", ".join(_label(finding) for finding in findings[:_NAMED_MAX])
    more = len(findings) - _NAMED_MAX
    return f"{named} and {more} more" if more > 0 else named


def _exposures(findings: Iterable[Finding]) -> list[Exposure]:
    """Return each exposure once, the largest first."""
    found = {
        (finding.exposure.scope, finding.exposure.name): finding.exposure
        for finding in findings
        if finding.exposure is not None
    }
    return sorted(found.values(), key=lambda exposure: -exposure.maximum_value_micro)


def _exposure_line(exposure: Exposure) -> str:
    owner = f", owner {exposure.owner}" if exposure.owner else ""
    return f"{exposure.scope} {exposure.name}{owner}: {_at_most(exposure)}; now {_now(exposure)}"


def _holding_lines(exposure: Exposure) -> Iterator[str]:
    for wallet in exposure.wallets:
        held = [each for each in exposure.holdings if each.wallet == wallet]
        where = exposure.addresses.get(wallet, "address not known")
        network = held[0].network if held else "?"
        yield f"{wallet} on {network} ({where}): {', '.join(_holding(each) for each in held)}"


def _holding(each: AssetExposure) -> str:
    now = (
        units(each.live.amount, each.decimals, each.asset)
        if each.live is not None and each.live.amount is not None
        else "unknown"
    )
    return f"at most {units(each.maximum, each.decimals, each.asset)}, now {now}"


def _at_most(exposure: Exposure) -> str:
    if not exposure.holdings:
        return f"unknown, for the policy declares no such {exposure.scope} any more"
    return f"at most {money(exposure.maximum_value_micro, exposure.unit)}"


def _now(exposure: Exposure) -> str:
    return _live_value(exposure) or f"unknown ({exposure.why_unknown})"


def _live_value(exposure: Exposure) -> str | None:
    live = exposure.live_value_micro
    return money(live, exposure.unit) if live is not None else None


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", html.escape(_BLANK.sub(" ", text), quote=False))


def _row(findings: list[Finding]) -> str:
    first, exposures = findings[0], _exposures(findings)
    exposed = "; ".join(
        f"{exposure.name}: {_at_most(exposure)}, now {_live_value(exposure) or 'unknown'}"
        for exposure in exposures
    )
    cells = (
        _mark(first),
        _who(findings),
        first.rule.id,
        "; ".join(first.evidence),
        exposed or "no money directly",
    )
    return f"| {' | '.join(_escaped(cell) for cell in cells)} |"


def _explained(groups: list[list[Finding]]) -> Iterator[str]:
    explained: set[tuple[str, str]] = set()
    for findings in groups:
        first = findings[0]
        if (first.rule.id, first.advice) in explained:
            continue
        explained.add((first.rule.id, first.advice))
        yield (
            f"- **{first.rule.id}**: {_escaped(first.rule.consequence)}"
            f" _Instead_: {_escaped(first.advice)} _Source_: {_escaped(first.rule.source)}."
        )
    exposures = _exposures([finding for findings in groups for finding in findings])
    for exposure in exposures:
        parts = (_exposure_line(exposure), *_holding_lines(exposure))
        yield f"- {'; '.join(_escaped(each) for each in parts)}."

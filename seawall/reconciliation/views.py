"""A reconciliation for people, and as JSON for machines; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from seawall.policy import Policy
from seawall.reconciliation.contradictions import Contradiction, Doubt, Notice
from seawall.reconciliation.payouts import STAGES
from seawall.reconciliation.result import ComparisonLine, Kept, Reconciliation, Total
from seawall.scorecard.outcome import Outcome
from seawall.scorecard.report.terminal import STYLE

UNITS = {
    "amounts": "base units of the asset, as decimal text",
    "read_at": "Unix seconds",
    "blocks": "number and hash; final when they were read",
}
"""What the numbers of the document are."""
_TOP_UP_STAGES = {
    "requested": "requested",
    "taken_back": "taken back, never signed",
    "open": "slotted, not signed",
    "signed": "signed, not broadcast",
    "broadcast": "broadcast, not final",
    "included": "broadcast, not final",
    "not_posted": "moved and final, not posted yet",
    "posted": "moved and posted",
    "final": "moved and posted",
    "not_seen": "posted, its movement could not be seen",
    "contradicted": "contradicted",
    "released": "may leave for another network",
    "in_transit": "left one network, not in the other yet",
    "approved": "approved, not with the custodian",
    "sent": "with the custodian, not arrived",
    "arrived": "moved and posted",
    "refused": "refused, never moved",
    "expired": "expired, never sent",
    "held": "held until people have looked",
    "resolved": "explained by people",
}
_APPROVAL_STAGES = _TOP_UP_STAGES | {
    "open": "not being carried out",
    "slotted": "slotted, not signed",
    "not_posted": "executed and final, not posted yet",
    "posted": "executed and posted",
    "final": "executed and posted",
    "not_seen": "executed on record, that could not be seen",
}
NO_ASSET = "(recipient)"
"""Where an approval moves nothing: it names whom a reserve refills."""


def sentence(found: Reconciliation) -> str:
    """Say the outcome in one line."""
    counted = _counted(found.comparisons)
    if found.outcome is Outcome.FAIL:
        many = "" if found.contradictions.count == 1 else "s"
        return f"{found.contradictions.count} contradiction{many}; {counted}"
    if found.outcome is Outcome.UNKNOWN:
        unknown = [each for each in found.comparisons if each.outcome is Outcome.UNKNOWN]
        [payouts] = [each for each in found.comparisons if each.name == "payouts"]
        missing = "there are no payments and no withdrawals to compare"
        if not payouts.claimed:
            missing = "payments and withdrawals are not both offered"
        why = unknown[0].reason if unknown else missing
        return f"not known: {why}; {counted}"
    total = sum(each.count for stages in found.stages.values() for each in stages.values())
    return f"every base unit is explained: {total:,} withdrawals; {counted}"


def _counted(lines: Sequence[ComparisonLine]) -> str:
    """How many comparisons prove what they say, and what became of those that claim nothing."""
    proven = sum(each.outcome is Outcome.PASS for each in lines)
    parts = [f"{proven} of {len(lines)} comparisons are proven"]
    unclaimed = sum(not each.claimed for each in lines)
    if unclaimed:
        parts.append(f"{unclaimed} {'is' if unclaimed == 1 else 'are'} not claimed")
    empty = sum(each.claimed and each.outcome is None for each in lines)
    if empty:
        parts.append(f"{empty} had nothing to compare")
    return ", ".join(parts)


# --- for machines


def document(found: Reconciliation) -> dict[str, Any]:
    """For machines: amounts are text, because they are longer than what JSON's numbers keep."""
    return {
        "version": 1,
        "units": UNITS,
        "stack": found.stack,
        "outcome": str(found.outcome),
        "exit_code": int(found.outcome.exit_code),
        "sentence": sentence(found),
        "read_at": found.read_at,
        "networks": [
            {
                "network": name,
                "block": found.pins[name].number if name in found.pins else None,
                "block_hash": found.pins[name].hash if name in found.pins else None,
                "read_until": sight.until,
                "complete": sight.complete,
            }
            for name, sight in sorted(found.sights.items())
        ],
        "comparisons": [_comparison(each) for each in found.comparisons],
        "assets": [
            {
                "network": each.network,
                "asset": each.asset,
                "opening_funding": None if each.opening is None else str(each.opening),
                "surpluses": str(each.surpluses),
                "posted_by_people": str(each.other),
                "paid_out": str(each.left),
                "expected": str(each.expected),
                "on_chain": str(each.on_chain),
                "difference": str(each.difference),
            }
            for each in found.assets
        ],
        "wallets": [
            {
                "network": each.network,
                "bucket": each.bucket,
                "wallet": each.wallet,
                "asset": each.asset,
                "in_ledger": str(each.booked),
                "expected": str(each.expected),
                "on_chain": str(each.on_chain),
                "difference": str(each.difference),
                "listed": each.listed,
            }
            for each in found.wallets
        ],
        "withdrawals": [
            {
                "network": network,
                "asset": asset,
                "stage": str(stage),
                "count": total.count,
                "amount": str(total.amount),
            }
            for (network, asset), stages in sorted(found.stages.items())
            for stage, total in stages.items()
        ],
        "top_ups": [
            {
                "network": network,
                "asset": asset,
                "stage": stage,
                "count": total.count,
                "amount": str(total.amount),
            }
            for (network, asset), stages in sorted(found.top_ups.items())
            for stage, total in stages.items()
        ],
        "approvals": [
            {
                "network": network,
                "asset": asset or None,
                "stage": stage,
                "count": total.count,
                "amount": str(total.amount),
            }
            for (network, asset), stages in sorted(found.approvals.items())
            for stage, total in stages.items()
        ],
        "contradictions": [_listed(each) for each in found.contradictions.each],
        "contradictions_count": found.contradictions.count,
        "doubts": [
            {"comparison": each.comparison, "text": each.text} for each in found.doubts.each
        ],
        "doubts_count": found.doubts.count,
        "notices": [_listed(each) for each in found.notices.each],
        "notices_count": found.notices.count,
    }


def _comparison(line: ComparisonLine) -> dict[str, Any]:
    return {
        "comparison": line.name,
        "says": line.question,
        "claimed": line.claimed,
        "outcome": None if line.outcome is None else str(line.outcome),
        "checked": line.checked,
        "reason": line.reason,
    }


def _listed(each: Contradiction | Notice) -> dict[str, Any]:
    return {
        "name": each.name,
        "text": each.text,
        "network": each.network,
        "asset": each.asset,
        "amount": None if each.amount is None else str(each.amount),
        "ids": dict(each.ids),
        "remedy": each.remedy,
    }


# --- for people


def panel(found: Reconciliation, policy: Policy) -> Group:
    """For a person at a terminal: totals, then every exception, then the outcome."""
    at = datetime.fromtimestamp(found.read_at, UTC)
    shown: list[RenderableType] = [
        Text(f"{found.stack}: records read at {at:%Y-%m-%d %H:%M:%S} UTC"),
        Text(""),
    ]
    if found.sights:
        shown += [_networks(found), Text("")]
    if found.assets:
        shown += [_assets(found, policy), Text("")]
    if found.stages:
        shown += [_stages("withdrawals", found.stages, dict(STAGES), policy), Text("")]
    if found.top_ups:
        shown += [_stages("top-ups", found.top_ups, _TOP_UP_STAGES, policy), Text("")]
    if found.approvals:
        named = {
            (network, asset or NO_ASSET): stages
            for (network, asset), stages in found.approvals.items()
        }
        shown += [_stages("approvals", named, _APPROVAL_STAGES, policy), Text("")]
    shown += [_comparisons(found.comparisons), Text("")]
    exceptions = [
        *_exceptions("FAIL", Outcome.FAIL, found.contradictions),
        *_doubts(found.doubts),
        *_exceptions("look", None, found.notices),
    ]
    if exceptions:
        shown += [*exceptions, Text("")]
    outcome = (str(found.outcome), STYLE[found.outcome])
    return Group(*shown, Text.assemble(outcome, f"  {sentence(found)}"))


def in_units(amount: int, decimals: int) -> str:
    """``amount`` base units as whole units, exactly."""
    sign, digits = ("-" if amount < 0 else ""), str(abs(amount)).rjust(decimals + 1, "0")
    whole, part = digits[: len(digits) - decimals], digits[len(digits) - decimals :].rstrip("0")
    return f"{sign}{int(whole):,}{'.' if part else ''}{part}"


def _amount(amount: int | None, asset: str, policy: Policy) -> str:
    """An amount in whole units, where the policy knows the asset."""
    if amount is None:
        return "not claimed"
    declared = policy.assets.get(asset)
    return f"{amount:,}" if declared is None else in_units(amount, declared.decimals)


def _table(title: str, left: tuple[str, ...], right: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, pad_edge=False, title=title, title_justify="left", title_style="bold")
    for heading in left:
        table.add_column(heading, overflow="fold")
    for heading in right:
        table.add_column(heading, overflow="fold", justify="right")
    return table


def _networks(found: Reconciliation) -> Table:
    table = _table("networks", ("network", "compared at", "block", "payments read until"))
    for name, sight in sorted(found.sights.items()):
        pin = found.pins.get(name)
        until = "the statement's end" if sight.until is None else str(sight.until)
        table.add_row(
            Text(name),
            "a statement" if pin is None else str(pin.number),
            Text("" if pin is None else pin.hash),
            until,
        )
    return table


def _assets(found: Reconciliation, policy: Policy) -> Table:
    table = _table(
        "money in wallets, in whole units",
        ("network", "asset"),
        (
            "opening funding",
            "+ surpluses",
            "+ by people",
            "- paid out",
            "= explained",
            "on the chain",
            "difference",
        ),
    )
    for each in found.assets:
        amounts = (
            each.opening,
            each.surpluses,
            each.other,
            each.left,
            each.expected,
            each.on_chain,
        )
        table.add_row(
            Text(each.network),
            Text(each.asset),
            *(_amount(amount, each.asset, policy) for amount in amounts),
            _amount(each.difference, each.asset, policy),
            style=STYLE[Outcome.FAIL] if each.difference else None,
        )
    return table


def _stages(
    title: str,
    found: Mapping[tuple[str, str], Mapping[Any, Total]],
    words: Mapping[Any, str],
    policy: Policy,
) -> Table:
    table = _table(title, ("network", "asset", "how far"), ("count", "amount"))
    order = list(words)
    for (network, asset), stages in sorted(found.items()):
        for stage, total in sorted(stages.items(), key=lambda each: order.index(each[0])):
            amount = _amount(total.amount, asset, policy)
            names = (Text(network), Text(asset), words[stage])
            table.add_row(*names, f"{total.count:,}", amount)
    return table


def _comparisons(comparisons: Iterable[ComparisonLine]) -> Table:
    table = _table("what was compared", ("comparison", "result"), ())
    table.add_column("compared", justify="right")
    table.add_column("it says that, or why not", overflow="fold")
    for each in comparisons:
        result = "nothing to compare" if each.claimed else "not claimed"
        if each.outcome is not None:
            result = str(each.outcome)
        table.add_row(
            each.name.replace("_", " "),
            Text(result, style="" if each.outcome is None else STYLE[each.outcome]),
            f"{each.checked:,}" if each.claimed else "",
            Text(each.reason or each.question),
        )
    return table


def _exceptions(
    word: str, outcome: Outcome | None, kept: Kept[Contradiction] | Kept[Notice]
) -> Iterable[Text]:
    for each in kept.each:
        ids = ", ".join(f"{name} {value}" for name, value in each.ids.items())
        yield Text.assemble(
            (word, "bold" if outcome is None else STYLE[outcome]),
            f"  {each.name}: {each.text}{f' ({ids})' if ids else ''}",
        )
        yield Text(f"      -> {each.remedy}")
    if kept.count > len(kept.each):
        yield Text(f"{word}  and {kept.count - len(kept.each):,} more")


def _doubts(kept: Kept[Doubt]) -> Iterable[Text]:
    for each in kept.each:
        yield Text.assemble(
            ("UNKNOWN", STYLE[Outcome.UNKNOWN]),
            f"  {each.comparison.replace('_', ' ')}: {each.text}",
        )
    if kept.count > len(kept.each):
        yield Text(f"UNKNOWN  and {kept.count - len(kept.each):,} more")

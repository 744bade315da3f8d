"""The check of the decisions' journal, which the venue chains by hashes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict

from seawall.errors import EvidenceError
from seawall.formats.journal import chain_breaks
from seawall.scorecard.facts import Facts
from seawall.scorecard.hot_wallets import swept_from
from seawall.scorecard.outcome import Finding, check, passed, violations
from seawall.scorecard.sources import Doubts


@check(
    "safety.journal_chain",
    question="Is the decisions' journal unbroken, with an entry for every decision?",
    motivation="A journal that can be edited proves nothing afterwards.",
    evidence=(
        "records/journal.csv",
        "records/mode_log.csv",
        "records/topups.csv",
        "records/surpluses.csv",
        "records/orders.csv",
    ),
    adapts_to=("surpluses", "orders"),
    remediation=(
        "Compare the journal with the evidence bucket's copy; find who decided without writing why."
    ),
    believes={"venue": "a journal that was written again from its start"},
)
def journal_chain(facts: Facts) -> Finding:
    """Every hash follows from the entry before, and each decision has its entry.

    Decisions are flips, top-ups, sweeps, surpluses, and people's orders and the ends that they put
    to them.

    The hashes are computed from the entries themselves.
    """
    doubts = Doubts()
    named, unread = _named_in_journal(facts, doubts)
    found = doubts.ask(lambda: _breaks(facts)) or []
    made: dict[str, Counter[str]] = {}
    for kinds, source in _made(facts).items():
        counted = doubts.ask(source)
        if counted is not None:
            made |= dict(zip(kinds, counted, strict=True))
    for kind, decisions in made.items():
        # An entry that cannot be read may be the one that is missed.
        found += [
            f"{kind} {each} is not in the journal"
            for each in sorted((decisions - named[kind]).elements())
            if not unread
        ]
        found += [
            f"the journal has {kind} {each}, which was not made as often"
            for each in sorted((named[kind] - decisions).elements())
        ]
    count = sum(decisions.total() for decisions in made.values())
    if not count and not found and not doubts:
        return passed(
            measured="no decision",
            target="0 wrong of all decisions",
            reason="no tier changed, nothing was topped up or came, and the journal says no more",
        )
    return violations(
        found,
        checked=max(count, len(found)),
        what="decisions",
        reason="every hash follows from the one before, every decision has its entry",
        doubts=doubts.reasons,
    )


_KINDS = ("flip", "topup", "sweep", "surplus", "order", "end of")


def _named_in_journal(facts: Facts, doubts: Doubts) -> tuple[dict[str, Counter[str]], bool]:
    """What the journal's entries say was decided, by kind, and whether one cannot be read."""
    named: dict[str, Counter[str]] = {kind: Counter() for kind in _KINDS}
    unread = False
    for row in facts.run.decisions:
        try:
            body = json.loads(row.body)
            if (row.writer, row.kind) == ("mode-controller", "flip"):
                named["flip"][f"{body.get('epoch')} to {body.get('tier')}"] += 1
            elif row.writer == "treasury" and row.kind in ("topup", "sweep"):
                fields = (row.kind, "amount", "asset", "to")
                named[row.kind][_top_up(*map(body.get, fields))] += 1
            elif (row.writer, row.kind) == ("treasury", "surplus"):
                fields = ("amount", "asset", "wallet", "block")
                named["surplus"][_surplus(*map(body.get, fields))] += 1
            elif (row.writer, row.kind) == ("venue-operator", "order"):
                fields = ("order", "network", "tier", "operator")
                named["order"][_order(*map(body.get, fields))] += 1
            elif (row.writer, row.kind) == ("venue-operator", "order ended"):
                named["end of"][_order_end(body.get("order"), body.get("operator"))] += 1
        except (ValueError, AttributeError, RecursionError) as error:
            unread = True
            doubts.note(f"records/journal.csv: a body is none: {error}")
    return named, unread


def _breaks(facts: Facts) -> list[str]:
    """The breaks of each writer's chain. Raises :class:`EvidenceError` for a hash that is none."""
    found: list[str] = []
    doubts = Doubts()
    for writer in dict.fromkeys(row.writer for row in facts.run.decisions):
        try:
            found += chain_breaks(
                {
                    **asdict(row),
                    "previous_hash": bytes.fromhex(row.previous_hash),
                    "hash": bytes.fromhex(row.hash),
                }
                for row in facts.run.decisions
                if row.writer == writer
            )
        except (ValueError, AttributeError, RecursionError) as error:
            doubts.note(f"records/journal.csv: a hash or a body is none: {error}")
    if not found and doubts:
        raise EvidenceError(doubts.reasons[0])
    return found


def _made(facts: Facts) -> dict[tuple[str, ...], Callable[[], tuple[Counter[str], ...]]]:
    """By the kinds of decisions that a file has: how often each was made, by that file."""
    found: dict[tuple[str, ...], Callable[[], tuple[Counter[str], ...]]] = {
        ("flip",): lambda: (Counter(f"{flip.epoch} to {flip.tier}" for flip in facts.run.flips),),
        ("topup", "sweep"): lambda: _moved_between_wallets(facts),
    }
    if facts.offers("surpluses"):
        found["surplus",] = lambda: (
            Counter(
                _surplus(row.amount, row.asset, row.wallet, row.block_number)
                for row in facts.run.surpluses
            ),
        )
    if facts.offers("orders"):
        found["order", "end of"] = lambda: (
            Counter(
                _order(row.kind, row.network, row.tier, row.operator) for row in facts.run.orders
            ),
            Counter(
                _order_end(row.id, row.ended_by)
                for row in facts.run.orders
                if row.ended_at is not None or row.ended_by is not None
            ),
        )
    return found


def _moved_between_wallets(facts: Facts) -> tuple[Counter[str], Counter[str]]:
    """Top-ups and sweeps on record, in words."""
    top_ups: Counter[str] = Counter()
    sweeps: Counter[str] = Counter()
    for row in facts.run.top_ups:
        counted = top_ups if swept_from(facts.run.policy, row) is None else sweeps
        counted[_top_up(row.id, row.amount, row.asset, row.to_wallet)] += 1
    return top_ups, sweeps


def _top_up(identity: object, amount: object, asset: object, wallet: object) -> str:
    """A top-up or sweep in words, the same for the journal and for the table."""
    return f"{identity} of {amount} {asset} to {wallet}"


def _surplus(amount: object, asset: object, wallet: object, block: object) -> str:
    """A surplus in words, likewise."""
    return f"of {amount} {asset} in {wallet} at block {block}"


def _order(kind: object, network: object, tier: object, operator: object) -> str:
    """An order in words, likewise."""
    return f"{kind} {tier or network or 'on all networks'} by {operator}"


def _order_end(order: object, operator: object) -> str:
    """The end of an order in words, likewise."""
    return f"order {order} by {operator}"


CHECKS = (journal_chain,)

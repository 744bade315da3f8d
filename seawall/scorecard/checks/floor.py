"""Was there always enough left in the hot wallets for what the mode promises?"""

from __future__ import annotations

from collections import Counter

from seawall.scorecard.facts import Facts
from seawall.scorecard.holdings import hot_at, moves
from seawall.scorecard.outcome import Finding, check, violations
from seawall.scorecard.readers import Instant


@check(
    "safety.floor_held",
    question="Did every claim leave the hot wallet its minimum, or at least nothing less than zero while protected?",
    motivation="The minimum is what protected mode pays small withdrawals from until a refill comes.",
    evidence=(
        "records/slots.csv",
        "records/withdrawals.csv",
        "records/topups.csv",
        "chain/balances.csv",
        "chain/payouts.csv",
        "policy.json",
    ),
    remediation="Look at the settler's selection: the float it reads and the floor it keeps.",
)
def floor_held(facts: Facts) -> Finding:
    """What each claim left.

    The wallet's balance at first by its chain, plus top-ups posted, less all claims until then.
    """
    policy = facts.run.policy
    protected = {span.epoch for span in facts.tiers if span.tier == "protected"}
    left = Counter(hot_at(facts, Instant(0)))
    found = []
    checked = 0
    for move in moves(facts):
        for asset, amount in move.amounts.items():
            left[move.wallet, asset] += amount
            if move.claim is None:
                continue
            checked += 1
            minimum = policy.base_units(asset, policy.wallets[move.wallet].holdings[asset].minimum)
            floor = 0 if move.claim.mode_epoch in protected else minimum
            if left[move.wallet, asset] < floor:
                found.append(
                    f"nonce {move.claim.nonce} of {move.wallet} left {left[move.wallet, asset]} {asset}, its floor was {floor}"
                )
    return violations(
        found,
        checked=checked,
        what="claims",
        reason="every claim left at least the floor of its mode",
    )


CHECKS = (floor_held,)

"""Checks of the ledger: does it balance, is nothing overdrawn, do the chains hold what it says?"""

from __future__ import annotations

from collections import Counter

from seawall.scorecard.facts import Facts
from seawall.scorecard.outcome import Finding, check, unknown, violations
from seawall.scorecard.sources import Doubts

_HELD = ("hot", "reserve", "cold")
_OWED = ("customer", "reserved", "inventory", "own", "unidentified", "escrow")


@check(
    "safety.ledger_sums_zero",
    question="Does the ledger sum to zero, per network and asset and per posting?",
    motivation="A ledger that does not balance has lost or invented money.",
    evidence=("records/ledger.csv", "records/ledger_faults.json"),
    remediation="Stop payouts; find the posting that does not balance.",
    proves_alone=True,
    believes={"venue": "a ledger of its own making"},
)
def ledger_sums_zero(facts: Facts) -> Finding:
    """Sums of the exported balances, and the database's count over all postings and balances."""
    sums: Counter[tuple[str, str]] = Counter()
    doubts = Doubts()
    for line in doubts.ask(lambda: facts.run.ledger) or ():
        sums[line.network, line.asset] += line.balance
    found = [
        f"{network} {asset} sums to {total}"
        for (network, asset), total in sorted(sums.items())
        if total
    ]
    faults = doubts.ask(lambda: facts.run.ledger_faults)
    if faults is not None and faults.unbalanced_postings:
        found.append(f"{faults.unbalanced_postings} postings do not sum to zero")
    if faults is not None and faults.balance_mismatches:
        found.append(f"{faults.balance_mismatches} balances differ from their entries")
    return violations(
        found,
        checked=len(sums),
        what="sums",
        reason="every asset sums to zero on every network",
        doubts=doubts.reasons,
    )


@check(
    "safety.no_negative",
    question="Is nothing available negative?",
    motivation="An overdraft pays one customer with another's money.",
    evidence=("records/ledger.csv", "records/ledger_faults.json"),
    remediation="Stop payouts; find the reservation that overdrew.",
    proves_alone=True,
    believes={"venue": "a ledger of its own making"},
)
def no_negative(facts: Facts) -> Finding:
    """No account that is held or owed, and no customer's balance, has the wrong sign."""
    doubts = Doubts()
    lines = doubts.ask(lambda: facts.run.ledger) or ()
    found = [
        f"{line.bucket} {line.network} {line.asset} {line.kind} is {line.balance}"
        for line in lines
        if (line.kind in _HELD and line.balance < 0) or (line.kind in _OWED and line.balance > 0)
    ]
    faults = doubts.ask(lambda: facts.run.ledger_faults)
    if faults is not None and faults.negative_balances:
        found.append(f"{faults.negative_balances} customers' balances are negative")
    return violations(
        found,
        checked=len(lines),
        what="accounts",
        reason="nothing is overdrawn",
        doubts=doubts.reasons,
    )


@check(
    "safety.hot_reconciles",
    question="Do the chains hold what the ledger says, per bucket, network and asset?",
    motivation=(
        "The ledger is a claim about the chain; this proves it. What the chain lacks is lost; what "
        "it has more may have come from outside just now, or is a payout that was not made."
    ),
    evidence=("records/ledger.csv", "chain/balances.csv"),
    remediation="Reconcile before paying on: the difference is money in the wrong place.",
    believes={"networks": "balances that are not there"},
)
def hot_reconciles(facts: Facts) -> Finding:
    """Ledger and chain have the same hot, reserve and cold balance of every bucket.

    Less on the chain is a FAIL. More is UNKNOWN as long as the ledger does not have it, too: the
    venue books what comes from outside, but not in the instant in which it comes.
    """
    wallets = facts.run.policy.wallets
    chain: Counter[tuple[str, str, str, str]] = Counter()
    for held in facts.run.chain_balances:
        wallet = wallets.get(held.wallet)
        if wallet is not None:
            chain[wallet.bucket, held.network, held.asset, wallet.wallet_class] += held.balance
    ledger = {
        (line.bucket, line.network, line.asset, line.kind): line.balance
        for line in facts.run.ledger
        if line.kind in _HELD
    }
    lacking: list[str] = []
    beyond: list[str] = []
    for key in sorted(chain.keys() | ledger.keys()):
        booked, on_chain = ledger.get(key, 0), chain.get(key, 0)
        if on_chain != booked:
            found = lacking if on_chain < booked else beyond
            found.append(f"{' '.join(key)}: ledger {booked}, chain {on_chain}")
    if beyond and not lacking:
        return unknown(
            target="0 wrong of all balances",
            measured=f"{len(beyond):,} of {len(chain):,} balances are more than the ledger has",
            reason=f"{beyond[0]}: it came from outside and is not booked yet, or was not paid",
        )
    return violations(
        lacking,
        checked=len(chain),
        what="balances",
        reason="ledger and chain agree to the base unit",
        details=beyond,
    )


CHECKS = (ledger_sums_zero, no_negative, hot_reconciles)

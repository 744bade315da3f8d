"""The payout of a withdrawal, seen outside the venue: on a network, or by a rail's statement.

Each network and each rail is a source of its own: one that is not known well enough leaves what
another has paid as it is.
"""

from __future__ import annotations

from seawall.errors import EvidenceError
from seawall.scorecard.chain_rows import Payout
from seawall.scorecard.facts import Facts, once
from seawall.scorecard.rows import Key


def payment_of(facts: Facts, identity: str) -> Payout | None:
    """The payout of a withdrawal; None if there is none.

    It has the network, asset, destination and amount of the request, and pays no other. Where
    payouts carry the venue's number of the request, it also has the number that the venue says.
    Else requests that share all four are paid in the order in which they were acknowledged. Over a
    rail every request has a destination of its own.

    Raises :class:`EvidenceError` if its network or rail is not known well enough.
    """
    over = _asked_over(facts).get(identity)
    if over in facts.run.policy.paying_rails():
        for doubt in facts.stated.doubts_of(over):
            raise EvidenceError(doubt)
        facts.require_stated({over})
        return _settled(facts).get(identity)
    for network, paid in _by_network(facts).items():
        if over not in (None, network):
            continue
        if isinstance(paid, str):
            raise EvidenceError(paid)
        if identity in paid:
            return paid[identity]
    return None


def by_statement(facts: Facts) -> str:
    """Words to add about networks of this drill whose payouts no node has shown; empty if none.

    A statement is the word of whoever wrote it, and that may be the venue.
    """
    used = {demand.network for demand in facts.demands} & facts.run.policy.networks.keys()
    told = sorted(used - {*facts.chains})
    return f"; on {', '.join(told)} by a statement, which no node was asked about" if told else ""


@once
def _asked_over(facts: Facts) -> dict[str, str]:
    """By id of a request of the flood: its network or rail."""
    return {each.id: each.network for each in facts.run.arrivals}


@once
def _settled(facts: Facts) -> dict[str, Payout]:
    by_key = {each.key: each for each in reversed(facts.stated.settled()) if facts.since(each)}
    return {
        row.id: by_key[key]
        for row in facts.run.arrivals
        if (key := (row.network, row.asset, row.destination.lower(), row.amount)) in by_key
    }


@once
def _by_network(facts: Facts) -> dict[str, dict[str, Payout] | str]:
    """By network: its payouts by withdrawal, or why they are not known."""
    found: dict[str, dict[str, Payout] | str] = {}
    for network in facts.run.policy.networks:
        try:
            found[network] = _on(facts, network)
        except EvidenceError as error:
            found[network] = str(error)
    return found


def _on(facts: Facts, network: str) -> dict[str, Payout]:
    payouts = [each for each in facts.run.payouts if each.network == network and facts.since(each)]
    if facts.offers("numbered_payouts"):
        return _by_number(facts, payouts)
    waiting: dict[Key, list[str]] = {}
    for identity in sorted(facts.promised, key=lambda each: facts.promised[each]):
        if (demand := facts.demand_of(identity)) is not None:
            waiting.setdefault(demand.key, []).append(identity)
    found = {}
    for payout in sorted(payouts, key=facts.paid_at):
        if waiting.get(payout.key):
            found[waiting[payout.key].pop(0)] = payout
    return found


def _by_number(facts: Facts, payouts: list[Payout]) -> dict[str, Payout]:
    """By id of a request: the payout of the number that the venue says it has.

    The number is the venue's word: it leads to a payment, and makes none of another one.
    """
    rows = facts.run.withdrawals if facts.offers("withdrawals") else facts.run.followed
    left = {(payout.seq, payout.key): payout for payout in payouts}
    found = {}
    for row in rows:
        demand = facts.demand_of(row.id)
        if demand is not None and (payout := left.pop((row.seq, demand.key), None)) is not None:
            found[row.id] = payout
    return found

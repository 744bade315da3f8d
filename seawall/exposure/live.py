"""Reads what a running stack has: wallets, funds at providers, and what customers wait for.

Wallets are read on their networks at the newest final block, from the observers' node; funds from
the providers themselves; who waits from the venue's ledger. What the policy alone says stays
declared: limits, credit lines, the window of cold, and when top-ups come.

The ledger is read first: what it no longer reserves was paid in a block that was final before, so
no payment is counted as still there.

A source that cannot be read, or whose answer is old, makes its figures unknown; the others are
read all the same.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import httpx

from seawall.errors import EvidenceError
from seawall.evidence.chain import ChainSource, Reach
from seawall.evidence.ports import (
    chain_sources,
    finality_s_max,
    offers_of,
    read_source,
    records_of,
    source_file,
)
from seawall.evidence.statements import balances_of
from seawall.feasibility.exposure import Observed
from seawall.feasibility.exposure.figures import Figure, read, unknown
from seawall.formats.deployment import Deployment
from seawall.policy import Policy
from seawall.reconciliation.chain import PinnedNetwork
from seawall.scorecard.readers import read_table
from seawall.scorecard.rows import LedgerLine
from seawall.scorecard.run import FILES

_NODE_S_MAX = 20.0
_RESERVED = "reserved"
"""The kind of the ledger's accounts that owe what was asked for and is not paid yet."""
_Amounts = dict[tuple[str, str], Figure]


def observe(
    deployment: Deployment,
    policy: Policy,
    *,
    now_s: Callable[[], float],
    report: Callable[[str], None],
) -> Observed:
    """What there is now.

    Args:
        deployment: Says where networks, providers and records are read.
        policy: Names wallets, rails and assets.
        now_s: The present in Unix seconds.
        report: Gets lines for people while it works.

    Raises :class:`UsageError` for a deployment file that makes no sense.
    """
    offered = "ledger" in offers_of(deployment, policy)
    report("reading what customers wait for")
    waiting = _waiting(deployment, policy, offered=offered, now_s=now_s)
    holdings: _Amounts = {}
    with httpx.Client(timeout=_NODE_S_MAX, trust_env=False) as client:
        sources = {each.network: each for each in chain_sources(deployment, policy, Reach())}
        for network in policy.networks:
            report(f"reading {network}")
            source = sources.get(network)
            holdings |= (
                _none_of(policy, network, f"the deployment file names no payouts of {network}")
                if source is None
                else _holdings(deployment, policy, client, source, now_s=now_s)
            )
    funds = dict(_funds(deployment, policy, report=report))
    return Observed(holdings=holdings, funds=funds, waiting=waiting, at_s=now_s())


# --- wallets


def _holdings(
    deployment: Deployment,
    policy: Policy,
    client: httpx.Client,
    source: ChainSource,
    *,
    now_s: Callable[[], float],
) -> _Amounts:
    """What the wallets of a network hold in its newest final block."""
    name = source.network
    network = PinnedNetwork(client, source, chain_id=deployment.networks[name].chain_id)
    try:
        pin = network.pin()
        held = network.holdings(pin)
        age_s = now_s() - network.made_at(pin)
    except EvidenceError as error:
        return _none_of(policy, name, str(error))
    most_s = finality_s_max(policy, name)
    if abs(age_s) > most_s:
        when = f"{age_s:.0f} s old" if age_s > 0 else f"{-age_s:.0f} s in the future"
        return _none_of(
            policy,
            name,
            f"the newest final block of {name}, {pin.number}, is {when}; more than {most_s:g} s"
            " says nothing about now",
        )
    found = _none_of(policy, name, "")
    for wallet, asset in found:
        amount = held.get((wallet, asset))
        found[wallet, asset] = (
            unknown(f"networks.{name}.payouts does not say where {asset} of {wallet} is")
            if amount is None
            else read(
                _whole(policy, asset, amount),
                f"{name} at its final block {pin.number}",
                age_ms=max(0, round(age_s * 1_000)),
            )
        )
    return found


def _none_of(policy: Policy, network: str, reason: str) -> _Amounts:
    """Every wallet of ``network`` as one that is not known."""
    return {
        (name, asset): unknown(reason)
        for name, wallet in policy.wallets.items()
        if wallet.network == network
        for asset in wallet.holdings
    }


# --- providers


def _funds(
    deployment: Deployment, policy: Policy, *, report: Callable[[str], None]
) -> Iterator[tuple[tuple[str, str, str], Figure]]:
    """What each provider says that it would still pay, by rail, side and asset."""
    for name, rail in policy.paying_rails().items():
        providers = deployment.rails.get(name)
        if providers is None:
            reason = f"rails.{name} of the deployment file is not there"
            for side in ("primary", "standby"):
                yield from (((name, side, asset), unknown(reason)) for asset in rail.funding)
            continue
        for side, provider in providers:
            who = f"the {side} provider of {name}"
            report(f"asking {who}")
            try:
                available: Mapping[str, str] = balances_of(who, provider).available
            except EvidenceError as error:
                reason = str(error)
                yield from (((name, side, asset), unknown(reason)) for asset in rail.funding)
                continue
            for asset in rail.funding:
                amount = available.get(asset)
                yield (
                    (name, side, asset),
                    unknown(f"{who} does not say what it has of {asset}")
                    if amount is None
                    else read(_whole(policy, asset, int(amount)), who, age_ms=0),
                )


# --- who waits


def _waiting(
    deployment: Deployment, policy: Policy, *, offered: bool, now_s: Callable[[], float]
) -> _Amounts:
    """What the ledger owes to customers who have asked for it, by network and asset."""

    def nobody_knows(figure: Figure) -> _Amounts:
        return dict.fromkeys(_stressed(policy), figure)

    if not offered:
        return nobody_knows(unknown("the deployment offers no ledger: it is not known who waits"))
    try:
        lines, age_s = _ledger(deployment, now_s=now_s)
        owed = _owed(lines)
    except EvidenceError as error:
        return nobody_knows(unknown(str(error)))
    most_s = _ledger_s_max(policy)
    if age_s > most_s:
        reason = (
            f"the ledger is {age_s:.0f} s old; more than {most_s:g} s says nothing about who waits"
            " now (let a command print it: evidence.ledger.command)"
        )
        return nobody_knows(unknown(reason))
    return {
        (network, asset): read(
            _whole(policy, asset, owed[network, asset]),
            "what the ledger reserves for withdrawals",
            age_ms=max(0, round(age_s * 1_000)),
        )
        for network, asset in _stressed(policy)
    }


def _stressed(policy: Policy) -> list[tuple[str, str]]:
    return [
        (network, asset) for network, assets in policy.stress.outflow.items() for asset in assets
    ]


def _ledger_s_max(policy: Policy) -> float:
    """How old the ledger may be: as old as the books of those who pay, when they are compared."""
    paying = [each.reconciliation_every for each in policy.buckets.values() if each.pays]
    return min(paying, default=0) / 1_000


def _ledger(
    deployment: Deployment, *, now_s: Callable[[], float]
) -> tuple[tuple[LedgerLine, ...], float]:
    """The lines of the ledger, and their age in seconds."""
    source = deployment.evidence.get("ledger")
    with tempfile.TemporaryDirectory(prefix="seawall-exposure-") as name:
        folder = Path(name)
        as_of_s = now_s()
        if source is not None:
            if source.file is not None:
                as_of_s = _written_at(source_file(source, FILES["ledger"]))
            read_source(
                "ledger",
                source,
                folder=deployment.folder or deployment.path.parent,
                into=folder,
                started_at=0.0,
                ended_at=now_s(),
                of_drill=False,
            )
        else:
            records = records_of(deployment)
            assert records is not None
            records.export(folder / "records")
        return read_table(folder / FILES["ledger"], LedgerLine), now_s() - as_of_s


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError as error:
        raise EvidenceError(f"{path} cannot be read: {error.strerror}") from error


def _owed(lines: tuple[LedgerLine, ...]) -> Counter[tuple[str, str]]:
    """Base units by network and asset."""
    owed: Counter[tuple[str, str]] = Counter()
    for line in lines:
        if line.kind == _RESERVED:
            owed[line.network, line.asset] -= line.balance
    if not any(line.kind == _RESERVED for line in lines):
        raise EvidenceError(
            f"the ledger has no account of the kind {_RESERVED!r}: nobody has ever withdrawn, or it"
            " calls that otherwise"
        )
    wrong = [place for place, amount in owed.items() if amount < 0]
    if wrong:
        network, asset = wrong[0]
        raise EvidenceError(f"the ledger reserves less than nothing of {asset} on {network}")
    return owed


def _whole(policy: Policy, asset: str, base_units: int) -> Fraction:
    return Fraction(base_units, 10 ** policy.assets[asset].decimals)

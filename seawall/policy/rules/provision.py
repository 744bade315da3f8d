"""Rules for what is provisioned before a shock.

Stacks do not share an account; the two sides of a rail or served name differ; every signing bucket
has a share of the quota; stress is declared for all that pays; backups last; a quorum of distinct
people can be reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from seawall.errors import Problem
from seawall.policy.quantities import MICRO

if TYPE_CHECKING:
    from seawall.policy.model import ApprovalLane, Policy

_MS_PER_S = 1_000
_COPIES_MIN = 2
"""One backup that is being replaced and one to fall back on."""


def provision(policy: Policy) -> Iterator[Problem]:
    """Every fault of accounts, rails, served names, signing shares, stress and backups."""
    yield from _accounts(policy)
    yield from _rails(policy)
    yield from _served(policy)
    yield from _shares(policy)
    yield from _stress(policy)
    yield from _copies(policy)


def _accounts(policy: Policy) -> Iterator[Problem]:
    if not policy.accounts:
        yield Problem(path="accounts", found="none", remedy="name the account of every stack")
    owners: dict[str, str] = {}
    for stack, account in policy.accounts.items():
        owner = owners.setdefault(account, stack)
        if owner != stack:
            remedy = f"give every stack an account of its own; {owner} has it already"
            yield Problem(path=f"accounts.{stack}", found=account, remedy=remedy)


def _rails(policy: Policy) -> Iterator[Problem]:
    hosts: dict[str, str] = {}
    for name, rail in policy.rails.items():
        path = f"rails.{name}"
        if rail.primary == rail.standby:
            remedy = "name another standby: what fails once must not fail twice"
            yield Problem(path=f"{path}.standby", found=repr(rail.standby), remedy=remedy)
        for side in ("primary", "standby"):
            url = getattr(rail.endpoints, side)
            where = f"{path}.endpoints.{side}"
            owner = hosts.setdefault(urlsplit(url).netloc, where)
            if owner != where:
                remedy = f"reach it at a host of its own; {owner} has this one"
                yield Problem(path=where, found=url, remedy=remedy)
        if rail.kind == "network":
            yield from _network_rail(policy, name)
        yield from _paid_over(policy, name)
    for network in policy.networks:
        if network not in policy.rails or policy.rails[network].kind != "network":
            remedy = f"declare a rail {network} of kind network, so that it has a standby"
            yield Problem(path="rails", found=f"none of kind network for {network}", remedy=remedy)


def _network_rail(policy: Policy, name: str) -> Iterator[Problem]:
    rail, path = policy.rails[name], f"rails.{name}"
    for side in ("primary", "standby"):
        region = getattr(policy.regions, side)
        if getattr(rail, side) != region:
            remedy = f"write {region}: a network's sides are the signing regions"
            yield Problem(path=f"{path}.{side}", found=repr(getattr(rail, side)), remedy=remedy)
    if rail.asynchronous:
        remedy = "leave it out: a node answers at once, and blocks say the rest"
        yield Problem(path=f"{path}.asynchronous", found="true on a network", remedy=remedy)
    if rail.credit_line:
        remedy = 'write "0": a chain advances nothing'
        yield Problem(path=f"{path}.credit_line", found=str(rail.credit_line), remedy=remedy)
    if rail.pays:
        remedy = "leave it out: what a network pays lies in wallets"
        yield Problem(path=f"{path}.funding", found="funds on a network", remedy=remedy)


def _paid_over(policy: Policy, name: str) -> Iterator[Problem]:
    rail, path = policy.rails[name], f"rails.{name}"
    for asset, amount in rail.funding.items():
        if asset not in policy.assets:
            continue  # another rule's
        where = f"{path}.funding.{asset}"
        try:
            units = policy.base_units(asset, amount)
        except ValueError as error:
            yield Problem(path=where, found=str(amount), remedy=str(error))
            continue
        if policy.value_micro(asset, units) < rail.payout_value_max * MICRO:
            remedy = "keep at least rails.<name>.payout_value_max there, else one payout uses it up"
            yield Problem(path=where, found=f"{amount} {asset}", remedy=remedy)
    small = policy.limits.small_withdrawal_value_max
    if rail.pays and rail.payout_value_max < small:
        yield Problem(
            path=f"{path}.payout_value_max",
            found=str(rail.payout_value_max),
            remedy=f"write at least {small}, so that every small withdrawal can be paid",
        )
    if rail.pays and not rail.settles_within:
        yield Problem(
            path=f"{path}.settles_within",
            found="none",
            remedy="say by when the provider settles or returns what it has accepted",
        )


def _served(policy: Policy) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for key, served in policy.served.items():
        path = f"served.{key}"
        for part in ("name", "primary", "standby"):
            host = getattr(served, part)
            where = f"{path}.{part}"
            owner = owners.setdefault(host, where)
            if owner != where:
                remedy = f"name another host; {owner} has this one"
                yield Problem(path=where, found=repr(host), remedy=remedy)
        if served.name != served.zone and not served.name.endswith(f".{served.zone}"):
            remedy = f"name the zone that it is in; {served.zone} cannot hold it"
            yield Problem(
                path=f"{path}.zone", found=f"{served.zone} for {served.name}", remedy=remedy
            )


def _shares(policy: Policy) -> Iterator[Problem]:
    total = sum(policy.signing.shares.values())
    if total > 1:
        remedy = (
            "keep the sum at or below 1: a share that other buckets may use up protects no bucket"
        )
        yield Problem(
            path="signing.shares", found=f"shares that sum to {float(total):g}", remedy=remedy
        )
    for bucket in sorted({wallet.bucket for wallet in policy.signing_wallets().values()}):
        if bucket in policy.buckets and not policy.signing.shares.get(bucket):
            remedy = "give it a share above zero: it has keys that sign"
            yield Problem(path=f"signing.shares.{bucket}", found="nothing", remedy=remedy)


def _stress(policy: Policy) -> Iterator[Problem]:
    paying = {
        (wallet.network, asset)
        for wallet in policy.wallets.values()
        if wallet.wallet_class == "hot"
        and wallet.bucket in policy.buckets
        and policy.buckets[wallet.bucket].pays
        for asset in wallet.holdings
    }
    asked = {
        (network, asset)
        for network, assets in policy.stress.outflow.items()
        for asset in assets
        if network in policy.networks and asset in policy.networks[network].assets
    }
    for network, asset in sorted(paying - asked):
        remedy = "say what customers may take out of it in one cycle"
        yield Problem(path=f"stress.outflow.{network}.{asset}", found="nothing", remedy=remedy)
    for network, asset in sorted(asked - paying):
        remedy = "leave it out, or declare a hot wallet that pays it"
        yield Problem(
            path=f"stress.outflow.{network}.{asset}",
            found="an outflow that no wallet pays",
            remedy=remedy,
        )


def _copies(policy: Policy) -> Iterator[Problem]:
    backup = policy.backup
    if backup.keep < _COPIES_MIN * backup.every:
        remedy = f"keep backups for at least {_COPIES_MIN} times backup.every"
        yield Problem(
            path="backup.keep",
            found=f"{backup.keep} ms with one every {backup.every} ms",
            remedy=remedy,
        )
    if backup.evidence_keep < backup.keep:
        remedy = "keep evidence at least as long as backups: it explains what they hold"
        yield Problem(
            path="backup.evidence_keep",
            found=f"{backup.evidence_keep} ms, backups {backup.keep} ms",
            remedy=remedy,
        )
    review = policy.approvals.emergency.review_within
    if backup.evidence_keep < review:
        remedy = "keep evidence until the review of an emergency is due"
        yield Problem(
            path="backup.evidence_keep",
            found=f"{backup.evidence_keep} ms, review {review} ms",
            remedy=remedy,
        )


def approvals(policy: Policy) -> Iterator[Problem]:
    """Every fault of the two lanes.

    The emergency lane may be faster only because its cap is lower.
    """
    routine, emergency = policy.approvals.routine, policy.approvals.emergency
    yield from _lane(policy, "routine", routine)
    yield from _lane(policy, "emergency", emergency)
    path = "approvals.emergency"
    if emergency.review_within % _MS_PER_S:
        yield _no_whole_seconds(f"{path}.review_within", emergency.review_within)
    if emergency.window < routine.window:
        yield Problem(
            path=f"{path}.window",
            found=f"{emergency.window} ms, routine {routine.window} ms",
            remedy="let it last as long as the routine lane's: a short window caps nothing",
        )
    if emergency.value_max >= routine.value_max:
        yield Problem(
            path=f"{path}.value_max",
            found=f"{emergency.value_max}, routine {routine.value_max}",
            remedy=(
                "cap it below the routine lane: who may move as much with less is never routine "
                "again"
            ),
        )
    if emergency.cooling > routine.cooling:
        yield Problem(
            path=f"{path}.cooling",
            found=f"{emergency.cooling} ms, routine {routine.cooling} ms",
            remedy="keep it at or below the routine delay, else it is no fast lane",
        )


def _lane(policy: Policy, name: str, lane: ApprovalLane) -> Iterator[Problem]:
    path = f"approvals.{name}"
    people: dict[str, str] = {}
    for role in lane.approvers:
        email = policy.roles[role].email.lower() if role in policy.roles else role
        other = people.setdefault(email, role)
        if other != role or lane.approvers.count(role) > 1:
            yield Problem(
                path=f"{path}.approvers",
                found=f"{role}, the same person as {other}"
                if other != role
                else f"{role} more than once",
                remedy="name distinct people: one person's two signatures are one",
            )
    if lane.needed == 1:
        yield Problem(
            path=f"{path}.needed",
            found="1",
            remedy="need 2 or more: one person's signature is no quorum",
        )
    if lane.cooling >= policy.approvals.expires_after:
        yield Problem(
            path="approvals.expires_after",
            found=f"{policy.approvals.expires_after} ms, {name} cooling {lane.cooling} ms",
            remedy="make it longer than the delay, else nothing that is approved is ever done",
        )
    for field, duration in (("cooling", lane.cooling), ("window", lane.window)):
        if duration % _MS_PER_S:
            yield _no_whole_seconds(f"{path}.{field}", duration)
    if lane.needed > len(people):
        yield Problem(
            path=f"{path}.needed",
            found=f"{lane.needed} of {len(people)}",
            remedy="name more approvers or need fewer: this quorum can never be reached",
        )


def _no_whole_seconds(path: str, found: int) -> Problem:
    return Problem(
        path=path,
        found=f"{found} ms",
        remedy="write whole seconds: the contract reads them off its blocks",
    )

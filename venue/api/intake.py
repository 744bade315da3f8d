"""Intake's decisions, apart from any I/O.

What becomes of each request of a batch, given what is committed.

Requests are judged in the order in which they arrived. A replay has its first outcome; the rest is
admitted by the tier and then by the balance, so one overdraft refuses itself and nobody else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seawall.controls.admission import admit, functions_of_withdrawal, size_of, within_limit
from seawall.formats.drill_contract import (
    Refusal,
    RefusalCode,
    Size,
    WithdrawalRequest,
    WithdrawalState,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from seawall.policy import Policy, Tier
    from venue.api.directory import Directory

_ADDRESS = re.compile(r"^0x[0-9a-fA-F]{40}$")
_NOBODY = "0x" + "0" * 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Reservation:
    """A well-formed withdrawal request with the accounts that it moves."""

    id: UUID
    customer_id: int
    bucket: str
    source_network: str
    network: str
    asset: str
    amount: int
    value_micro: int
    size: Size
    destination: str
    source_account: int
    source_clearing: int
    clearing: int
    reserved_account: int

    @property
    def cross_rail(self) -> bool:
        """Whether the money comes from another network than it leaves by."""
        return self.source_network != self.network

    @property
    def content(self) -> tuple[int, str, str, str, int, str]:
        """What a replay must repeat to be one."""
        return (
            self.customer_id,
            self.source_network,
            self.network,
            self.asset,
            self.amount,
            self.destination,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Committed:
    """A withdrawal that an earlier transaction reserved."""

    seq: int
    content: tuple[int, str, str, str, int, str]
    state: WithdrawalState
    size: Size
    deferred: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Accept:
    """Reserve it; ``reason`` tells the customer why it is paid later, if it is."""

    reason: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Replay:
    """It has an outcome already.

    ``original`` is None if that is the one of an earlier request of this very batch.
    """

    original: Committed | None


IntakeDecision = Accept | Replay | Refusal
STATUS_OF: dict[RefusalCode, int] = {
    "unauthorized": 401,
    "malformed": 400,
    "not_found": 404,
    "insufficient_balance": 422,
    "insufficient_inventory": 422,
    "over_limit": 422,
    "unknown_asset": 422,
    "bad_address": 422,
    "id_reused": 409,
    "too_late": 409,
    "suspended": 503,
    "unavailable": 503,
}
"""HTTP status of each refusal."""

_REUSED = Refusal(code="id_reused", reason="This id was used for another request; make a new one.")
_OVERDRAFT = Refusal(code="insufficient_balance", reason="The balance does not cover the amount.")


async def reservation_of(
    policy: Policy,
    directory: Directory,
    own_addresses: frozenset[str],
    customer_id: int,
    request: WithdrawalRequest,
) -> Reservation | Refusal:
    """Check everything about ``request`` that needs no lock, so that a bad one never reaches the
    batch of others.

    ``own_addresses`` are the venue's, in lower case: a payment there would move money that the
    ledger says is gone.
    """
    source = request.source_network or request.network
    paying, receiving = (
        directory.house(source, request.asset),
        directory.house(request.network, request.asset),
    )
    account = (await directory.accounts_of(customer_id)).get((source, request.asset))
    if paying is None or receiving is None or account is None:
        return Refusal(
            code="unknown_asset",
            reason=f"{request.asset} is not paid from {source} to {request.network} here.",
        )
    if not _ADDRESS.match(request.destination) or request.destination == _NOBODY:
        return Refusal(
            code="bad_address", reason="The destination is no address that could be paid."
        )
    if request.destination.lower() in own_addresses:
        return Refusal(
            code="bad_address",
            reason="The destination belongs to the venue itself; name an address of yours.",
        )
    amount = int(request.amount)
    value_micro = policy.value_micro(request.asset, amount)
    if not within_limit(policy, value_micro):
        limit = policy.limits.withdrawal_value_max
        return Refusal(
            code="over_limit",
            reason=f"One request may be worth {limit} {policy.venue.unit_of_account} at most; split it.",
        )
    return Reservation(
        id=request.id,
        customer_id=customer_id,
        bucket=receiving.bucket,
        source_network=source,
        network=request.network,
        asset=request.asset,
        amount=amount,
        value_micro=value_micro,
        size=size_of(policy, value_micro),
        destination=request.destination.lower(),
        source_account=account,
        source_clearing=paying.clearing,
        clearing=receiving.clearing,
        reserved_account=receiving.reserved,
    )


def decide(
    policy: Policy,
    tier: Tier,
    reservations: Sequence[Reservation],
    *,
    committed: Mapping[UUID, Committed],
    available: Mapping[int, int],
) -> list[IntakeDecision]:
    """One decision per request, in order; ``available`` holds the locked balances by account."""
    left = dict(available)
    seen: dict[UUID, tuple[Reservation, IntakeDecision]] = {}
    decisions: list[IntakeDecision] = []
    for reservation in reservations:
        decision = _told_before(reservation, committed, seen) or _judge_new(
            policy, tier, reservation, left.get(reservation.source_account, 0)
        )
        if isinstance(decision, Accept):
            left[reservation.source_account] -= reservation.amount
        seen.setdefault(reservation.id, (reservation, decision))
        decisions.append(decision)
    return decisions


def _told_before(
    reservation: Reservation,
    committed: Mapping[UUID, Committed],
    seen: Mapping[UUID, tuple[Reservation, IntakeDecision]],
) -> IntakeDecision | None:
    """The first outcome of this id, if it has one.

    A refusal is not kept beyond its batch, so it is judged anew.
    """
    if reservation.id in committed:
        original = committed[reservation.id]
        return Replay(original=original) if original.content == reservation.content else _REUSED
    if reservation.id in seen:
        first, outcome = seen[reservation.id]
        if first.content != reservation.content:
            return _REUSED
        return Replay(original=None) if isinstance(outcome, Accept) else outcome
    return None


def _judge_new(
    policy: Policy, tier: Tier, reservation: Reservation, available: int
) -> Accept | Refusal:
    admission = admit(
        policy,
        tier,
        *functions_of_withdrawal(
            policy, reservation.value_micro, cross_rail=reservation.cross_rail
        ),
    )
    if admission.outcome == "suspended":
        return Refusal(code="suspended", reason=admission.reason or "")
    return _OVERDRAFT if available < reservation.amount else Accept(reason=admission.reason)

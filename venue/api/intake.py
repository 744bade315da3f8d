"""Intake: whether each withdrawal request of a batch is reserved or refused; no I/O.

Requests are decided in the order in which they arrived. A replay gets its first outcome. Any other
request must be admitted by the tier, have room in what its customer may ask for within the window,
and be covered by the balance. So each is refused alone, and does not affect the rest of its batch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seawall.controls.admission import admit, functions_of_withdrawal, size_of, within_limit
from seawall.controls.allowance import Asked, Full, full, leaving_micro, within_window
from seawall.formats.drill_contract import (
    Refusal,
    RefusalCode,
    Size,
    WithdrawalRequest,
    WithdrawalState,
)
from seawall.policy import MICRO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from seawall.policy import Policy, Rail, Tier
    from venue.api.directory import Directory

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_ACCOUNT = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{10,30}")
_ZERO_ADDRESS = "0x" + "0" * 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Reservation:
    """A well-formed withdrawal request with the accounts that it moves.

    ``customer_account`` is the customer's first account. Whatever the customer asks for, it is
    locked, so that no two transactions decide about one customer side by side.
    """

    id: UUID
    customer_id: int
    bucket: str
    source_network: str
    network: str
    asset: str
    amount: int
    value_micro: int
    destination: str
    customer_account: int
    source_account: int
    source_clearing: int
    clearing: int
    reserved_account: int

    @property
    def cross_rail(self) -> bool:
        """Whether a balance on one network pays for a payout on another."""
        return self.source_network != self.network

    @property
    def content(self) -> tuple[int, str, str, str, int, str]:
        """The fields that a replay must repeat unchanged."""
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
    """Reserve it; ``reason`` says to the customer why the payment is deferred, or is None.

    ``size`` is that of all that the customer withdraws within the window, up to this one.
    """

    size: Size
    reason: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Replay:
    """The id has an outcome already.

    ``original`` is None if the first request with this id is in the same batch.
    """

    original: Committed | None


IntakeDecision = Accept | Replay | Refusal
STATUS_OF: dict[RefusalCode, int] = {
    "unauthorized": 401,
    "malformed": 400,
    "not_found": 404,
    "insufficient_balance": 422,
    "insufficient_inventory": 422,
    "escrow_full": 422,
    "own_listing": 422,
    "below_minimum": 422,
    "over_limit": 422,
    "value_limit_reached": 429,
    "number_limit_reached": 429,
    "unknown_asset": 422,
    "bad_address": 422,
    "id_reused": 409,
    "too_late": 409,
    "suspended": 503,
    "price_out_of_bounds": 503,
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
    """Check everything about ``request`` that needs no lock.

    So a bad request never gets into a batch with others.

    Args:
        policy: The policy in force.
        directory: Accounts of customers and of the venue.
        own_addresses: The venue's own addresses, lower case. A payment to one of them would stay in
            the venue while the ledger says that it is gone.
        customer_id: Who asks.
        request: The request as it was received.
    """
    source = request.source_network or request.network
    paying, receiving = (
        directory.house(source, request.asset),
        directory.house(request.network, request.asset),
    )
    accounts = await directory.accounts_of(customer_id)
    account = accounts.get((source, request.asset))
    if paying is None or receiving is None or account is None:
        return Refusal(
            code="unknown_asset",
            reason=f"{request.asset} is not paid from {source} to {request.network} here.",
        )
    rail = policy.rails.get(request.network)
    destination = _destination(rail, own_addresses, request.destination)
    if isinstance(destination, Refusal):
        return destination
    amount = int(request.amount)
    if amount < policy.withdrawal_min(request.asset):
        return Refusal(
            code="below_minimum",
            reason=(
                f"The smallest withdrawal of {request.asset} is "
                f"{policy.assets[request.asset].withdrawal_min:f} {request.asset}; "
                "sending less would cost more than it is worth."
            ),
        )
    value_micro = policy.value_micro(request.asset, amount)
    if not within_limit(policy, value_micro):
        return Refusal(code="over_limit", reason=f"{_value_limit(policy)}; ask for less.")
    if rail is not None and rail.pays and value_micro > rail.payout_value_max * MICRO:
        return Refusal(
            code="over_limit",
            reason=(
                f"One payment over {request.network} may be worth {rail.payout_value_max} "
                f"{policy.venue.unit_of_account}; ask for less."
            ),
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
        destination=destination,
        customer_account=min(accounts.values()),
        source_account=account,
        source_clearing=paying.clearing,
        clearing=receiving.clearing,
        reserved_account=receiving.reserved,
    )


def _destination(rail: Rail | None, own_addresses: frozenset[str], asked: str) -> str | Refusal:
    """``asked`` as it is kept; over a processor it is an account at a bank."""
    if rail is not None and rail.kind == "processor":
        if not _ACCOUNT.fullmatch(asked):
            return Refusal(
                code="bad_address",
                reason="The destination is no account at a bank: two letters, two digits, and "
                "10 to 30 letters or digits.",
            )
        return asked
    if not _ADDRESS.fullmatch(asked) or asked == _ZERO_ADDRESS:
        return Refusal(
            code="bad_address", reason="The destination is no address that could be paid."
        )
    if asked.lower() in own_addresses:
        return Refusal(
            code="bad_address",
            reason="The destination belongs to the venue itself; name an address of yours.",
        )
    return asked.lower()


def decide(
    policy: Policy,
    tier: Tier,
    reservations: Sequence[Reservation],
    *,
    committed: Mapping[UUID, Committed],
    available: Mapping[int, int],
    asked: Mapping[int, Sequence[Asked]],
    now_us: int,
) -> list[IntakeDecision]:
    """One decision per request, in order.

    Args:
        policy: The policy in force.
        tier: The tier of the committed mode.
        reservations: The batch, in order of arrival.
        committed: What earlier transactions reserved, by the ids of the batch.
        available: The locked balances by account, base units.
        asked: What customers have asked for lately, by customer; older than the window is ignored.
        now_us: The present, by the clock of ``asked``.
    """
    left = dict(available)
    windows = {
        customer: within_window(policy, entries, now_us=now_us)
        for customer, entries in asked.items()
    }
    seen: dict[UUID, tuple[Reservation, IntakeDecision]] = {}
    decisions: list[IntakeDecision] = []
    for reservation in reservations:
        window = windows.setdefault(reservation.customer_id, [])
        this = Asked(
            at_us=now_us, value_micro=reservation.value_micro, cross_rail=reservation.cross_rail
        )
        decision = _first_outcome(reservation, committed, seen) or _admitted(
            policy, tier, window, this
        )
        if isinstance(decision, Accept):
            if left.get(reservation.source_account, 0) < reservation.amount:
                decision = _OVERDRAFT
            else:
                left[reservation.source_account] -= reservation.amount
                window.append(this)
        seen.setdefault(reservation.id, (reservation, decision))
        decisions.append(decision)
    return decisions


def _first_outcome(
    reservation: Reservation,
    committed: Mapping[UUID, Committed],
    seen: Mapping[UUID, tuple[Reservation, IntakeDecision]],
) -> IntakeDecision | None:
    """The first outcome of this id, or None.

    A refusal is not stored, so it counts within its batch only.
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


def _admitted(policy: Policy, tier: Tier, window: Sequence[Asked], this: Asked) -> Accept | Refusal:
    """Whether tier and limits admit a new request, ``this``, after what is in the window."""
    together = [*window, this]
    leaving = leaving_micro(together)
    transferred = leaving_micro(together, cross_rail=True) if this.cross_rail else None
    admission = admit(
        policy, tier, *functions_of_withdrawal(policy, leaving, transferred_micro=transferred)
    )
    if admission.outcome == "suspended":
        return Refusal(code="suspended", reason=admission.reason or "")
    reached = full(policy, window, value_micro=this.value_micro, now_us=this.at_us)
    if reached is not None:
        return _over(policy, reached)
    return Accept(size=size_of(policy, leaving), reason=admission.reason)


def _over(policy: Policy, reached: Full) -> Refusal:
    """Which limit is reached, and when there is room again, for the customer."""
    room = f"there is room for this request in {-(-reached.room_in_ms // 1_000)} s."
    if reached.limit == "value":
        return Refusal(
            code="value_limit_reached",
            reason=f"{_value_limit(policy)}, and that is used up; {room}",
        )
    return Refusal(
        code="number_limit_reached",
        reason=(
            f"You may ask for {policy.limits.withdrawals_max} withdrawals within "
            f"{_window(policy)}, cancelled ones included, and have; {room}"
        ),
    )


def _value_limit(policy: Policy) -> str:
    limit, unit = policy.limits.withdrawal_value_max, policy.venue.unit_of_account
    return (
        f"Your withdrawals within {_window(policy)} may be worth {limit} {unit} together, "
        "cancelled ones included"
    )


def _window(policy: Policy) -> str:
    return f"{policy.limits.window / 1_000:g} s"

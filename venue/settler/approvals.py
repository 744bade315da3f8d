"""Approvals: what people have signed is handed to a reserve's contract, and posted when it moved.

Each call is a slot like any other: on record before it is signed, signed because it is on record.
The contract decides whether the signatures are enough; what became of an approval is read from it
at finality.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from seawall.errors import InternalError
from seawall.ethereum.rpc import ChainView, ReceiptDisputedError
from seawall.ethereum.values import Receipt, uint256
from venue.contracts import approvals
from venue.contracts.approvals import CallName, State
from venue.crash_points import committing
from venue.database import Pool
from venue.settler.lanes import Slot
from venue.settler.posting import RAISE_FLOAT, mark_final

_AGAIN_S = 60
"""What reverted is tried again after so long: most likely a cap, which ends with its window."""
_HELD_AFTER: Mapping[CallName, frozenset[State]] = {
    "propose": frozenset({State.PROPOSED, State.EXECUTED, State.VETOED, State.REVIEWED}),
    "execute": frozenset({State.EXECUTED, State.REVIEWED}),
    "veto": frozenset({State.VETOED}),
    "review": frozenset({State.REVIEWED}),
}
"""In which states an approval can be once a call has done what it is for."""

_FIELDS = """r.id, r.kind, r.from_bucket, r.to_bucket, r.to_address, r.token, r.amount, r.use,
           r.not_before, r.expires, r.requester, r.asset"""
_DUE = f"""
    select {_FIELDS}, due.call
    from approval_requests r join approval_standing s on s.request_id = r.id
    cross join lateral (select extract(epoch from clock_timestamp()) as now_s) clock
    cross join lateral (
        select case
            when s.vetoes > 0 and not (s.executed or s.vetoed) then 'veto'
            when r.kind = 'fast_transfer' and s.executed and not s.reviewed
                 and s.reviews >= r.needed_for_review then 'review'
            when s.executed or s.vetoed or r.expires <= clock.now_s then null
            when s.proposed then case
                when s.ready_at <= clock.now_s and (r.to_class <> 'in_transit' or exists (
                    select 1 from rebalances b
                    where (b.id, b.state) = (r.id, 'released')
                      and b.go_until > clock_timestamp() + interval '1 s'
                )) then 'execute' end
            when s.approved then 'propose'
        end as call
    ) due
    where r.from_wallet = $1 and due.call is not null and not s.in_flight
      and coalesce(s.reverted_at < clock_timestamp() - $2 * interval '1 s', true)
    order by array_position(array['veto', 'review', 'propose', 'execute'], due.call), r.at
    limit 1"""
_ANY_DUE = f"select exists ({_DUE})"
_SIGNATURES = """
    select signature, finding from approval_signatures
    where (request_id, act) = ($1, $2)
    order by address collate "C" -- as numbers, which is how the contract wants them
    """
_CALL = "insert into approval_calls (slot_id, request_id, call) values ($1, $2, $3)"
_CALL_OF_SLOT = """
    select r.id, r.asset, r.amount, c.call from approval_calls c
    join approval_requests r on r.id = c.request_id where c.slot_id = $1"""
_END = """
    update approval_calls set outcome = $2, ready_at = $3, ended_at = clock_timestamp()
    where slot_id = $1 and outcome is null returning request_id"""
_RELEASE = """
    update approval_calls c set outcome = 'reverted', ended_at = clock_timestamp()
    from approval_requests r
    where c.slot_id = $1 and c.call = 'execute' and c.outcome is null and r.id = c.request_id
      and r.asset is not null and not exists (
        select 1 from unnest($2::text[], $3::numeric[]) as cap (asset, amount)
        where cap.asset = r.asset and r.amount <= cap.amount
    ) returning c.slot_id"""
_POST = """
    with posted as (
        insert into postings (kind, request_id, approval_id)
        select 'transfer', id, id from approval_requests where id = $1 and kind <> 'recipient'
        returning id, request_id
    ), entered as (
        insert into entries (posting_id, account_id, amount)
        select p.id, a.id, case when (a.bucket, a.kind) = (r.from_bucket, 'reserve')
                                then -r.amount else r.amount end
        from posted p join approval_requests r on r.id = p.request_id
        join accounts a on (a.network, a.asset) = (r.network, r.asset)
                       and (a.bucket, a.kind) in ((r.from_bucket, 'reserve'),
                                                  (r.to_bucket, r.to_class))
        returning 1
    )
    select (select count(*) from posted) as transfers, (select count(*) from entered) as entries"""
_TO = "select to_wallet, asset, amount from approval_requests where id = $1"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call that is due, or on its way: which approval, what for, and its calldata if it is due.

    ``moves`` is base units by asset that leave the reserve by it.
    """

    approval: UUID
    name: CallName
    data: bytes = b""
    gas_limit: int = 0
    moves: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a call at finality; ``ready_at`` of a proposal that was taken, Unix seconds.

    ``vetoed``: it reverted, because the approval was vetoed meanwhile, by whoever handed that in.
    """

    outcome: str
    ready_at: int | None = None


async def release(connection: Any, slot: Slot, caps: Mapping[str, int]) -> bool:
    """Let the execution of ``slot`` wait if it would fit into no window; whether it had to."""
    released = await connection.fetchval(_RELEASE, slot.id, list(caps), list(caps.values()))
    return released is not None


async def any_due(pool: Pool, wallet: str) -> bool:
    """Whether something about an approval is to be handed to the contract of ``wallet``."""
    return bool(await pool.fetchval(_ANY_DUE, wallet, _AGAIN_S))


async def due_call(connection: Any, wallet: str) -> Call | None:
    """The next call of the contract of ``wallet``; None if none is due.

    Vetoes come first, then reviews and proposals, each for the oldest request; an execution that
    waits for room keeps nothing else waiting.
    """
    row = await connection.fetchrow(_DUE, wallet, _AGAIN_S)
    if row is None:
        return None
    name: CallName = row["call"]
    approval = approvals.recorded(row)
    act = "approve" if name == "propose" else name
    signed = await connection.fetch(_SIGNATURES, row["id"], act)
    signatures = [each["signature"] for each in signed][: approvals.SIGNATURES_MAX]
    moves: dict[str, int] = {}
    if name == "propose":
        data = approvals.propose(approval, signatures)
        gas_limit = approvals.propose_gas_limit(len(signatures))
    elif name == "execute":
        data, gas_limit = approvals.execute(approval), approvals.EXECUTE_GAS_LIMIT
        moves = _moved(row)
    elif name == "veto":
        data, gas_limit = approvals.veto(approval.id, signatures[0]), approvals.VETO_GAS_LIMIT
    else:
        data = approvals.review(approval.id, signed[0]["finding"], signatures)
        gas_limit = approvals.review_gas_limit(len(signatures))
    return Call(approval=row["id"], name=name, data=data, gas_limit=gas_limit, moves=moves)


async def record_call(connection: Any, slot: Slot, call: Call) -> None:
    """Record what ``slot`` is for, in the transaction that opens it."""
    await connection.execute(_CALL, slot.id, call.approval, call.name)


def outcome_of(name: CallName, state: State, *, succeeded: bool) -> str | None:
    """What became of a call, by the approval's state at a later final block; None if neither fits.

    Vetoes and reviews may have been handed in by others as well: then ours reverted, and it is done
    all the same.
    """
    held = state in _HELD_AFTER[name]
    if succeeded:
        return "done" if held else None
    if held and name in {"veto", "review"}:
        return "done"
    if state is State.VETOED:
        return "vetoed"
    return None if held and name == "execute" else "reverted"


def _moved(row: Mapping[str, Any]) -> dict[str, int]:
    return {} if row["asset"] is None else {row["asset"]: int(row["amount"])}


async def read_outcome(view: ChainView, receipt: Receipt, *, call: Call, contract: str) -> Outcome:
    """What became of ``call`` of ``contract``, whose transaction has ``receipt``.

    Raises :class:`ReceiptDisputedError`, :class:`ViewLostError`.
    """
    await view.confirm(receipt)
    number = await view.read(contract, approvals.state(call.approval), uint256)
    state = State(number) if number in set(State) else None
    found = None if state is None else outcome_of(call.name, state, succeeded=receipt.succeeded)
    if found is None:
        raise ReceiptDisputedError(
            f"a {call.name} {'succeeded' if receipt.succeeded else 'reverted'}, and approval"
            f" {call.approval} is in state {number}"
        )
    ready_at = None
    if (call.name, found) == ("propose", "done"):
        ready_at = await view.read(contract, approvals.ready_at(call.approval), uint256)
    return Outcome(outcome=found, ready_at=ready_at)


@dataclass(frozen=True, kw_only=True)
class ApprovalPoster:
    """Writes what became of calls about approvals, and the transfers that were made."""

    pool: Pool

    async def call_of(self, slot: Slot) -> Call:
        """What ``slot`` is for, without its calldata."""
        row = await self.pool.fetchrow(_CALL_OF_SLOT, slot.id)
        if row is None:
            raise InternalError(f"slot {slot.id} has no approval")
        return Call(approval=row["id"], name=row["call"], moves=_moved(dict(row)))

    async def post(self, slot: Slot, call: Call, found: Outcome) -> bool:
        """Commit what became of ``call``; False if another settler committed it before.

        Raises :class:`InternalError` if the ledger has no accounts for a transfer.
        """
        async with committing(self.pool, "post") as connection:
            if not await mark_final(connection, slot):
                return False
            if await connection.fetchval(_END, slot.id, found.outcome, found.ready_at) is None:
                raise InternalError(f"slot {slot.id} ended twice")
            if (call.name, found.outcome) == ("execute", "done"):
                await self._post_transfer(connection, call)
        slot.state = "final"
        say = _log.info if found.outcome == "done" else _log.warning
        say("slot %s: %s of approval %s: %s", slot.id, call.name, call.approval, found.outcome)
        return True

    async def _post_transfer(self, connection: Any, call: Call) -> None:
        done = await connection.fetchrow(_POST, call.approval)
        expected = (1, 2) if call.moves else (0, 0)
        if (done["transfers"], done["entries"]) != expected:
            raise InternalError(
                f"approval {call.approval} moved {dict(call.moves)}, but the ledger would take"
                f" {dict(done)}"
            )
        if call.moves:
            row = await connection.fetchrow(_TO, call.approval)
            # A wallet that pays has a float; others have none, and nothing is raised.
            await connection.execute(RAISE_FLOAT, row["to_wallet"], row["asset"], row["amount"])

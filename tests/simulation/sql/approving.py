"""What the statements about approvals do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tests.simulation.sql.settling import account, book
from tests.simulation.store import Row, Stored, Transaction, statement
from venue.settler import approvals

_ORDER = ("veto", "review", "propose", "execute")
_FIELDS = (
    *("id", "kind", "from_bucket", "to_bucket", "to_address", "token", "amount", "use"),
    *("not_before", "expires", "requester", "asset"),
)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far a request has come, as the view ``approval_standing`` has it."""

    vetoes: int
    reviews: int
    approved: bool
    in_flight: bool
    done: frozenset[str]
    vetoed: bool
    ready_at: int | None
    reverted_at: float | None

    def due(self, request: Stored, now_s: float) -> str | None:
        """The call that is due, whatever is on its way."""
        ended = self.vetoed or "execute" in self.done
        if self.vetoes and not ended:
            return "veto"
        if (
            request["kind"] == "fast_transfer"
            and "execute" in self.done
            and "review" not in self.done
            and self.reviews >= request["needed_for_review"]
        ):
            return "review"
        if ended or request["expires"] <= now_s:
            return None
        if "propose" in self.done:
            assert self.ready_at is not None
            return "execute" if self.ready_at <= now_s else None
        return "propose" if self.approved else None


def standing(
    request: Stored, signatures: Iterable[Stored], calls: Iterable[Stored], *, approved: bool
) -> Standing:
    """How far ``request`` has come, by all signatures and calls."""
    acts = [each["act"] for each in signatures if each["request_id"] == request["id"]]
    own = [each for each in calls if each["request_id"] == request["id"]]
    return Standing(
        vetoes=acts.count("veto"),
        reviews=acts.count("review"),
        approved=approved,
        in_flight=any(each["outcome"] is None for each in own),
        done=frozenset(each["call"] for each in own if each["outcome"] == "done"),
        vetoed=any(
            each["outcome"] == "vetoed" or (each["call"], each["outcome"]) == ("veto", "done")
            for each in own
        ),
        ready_at=max(
            (each["ready_at"] for each in own if each["ready_at"] is not None), default=None
        ),
        reverted_at=max(
            (each["ended_at"] for each in own if each["outcome"] == "reverted"), default=None
        ),
    )


def _due(tx: Transaction, wallet: str, again_s: int) -> list[tuple[str, Stored]]:
    """Calls that are due, the next one first."""
    now_s, found = tx.database.clock(), []
    signatures, calls = tx.rows("approval_signatures"), tx.rows("approval_calls")
    for request in tx.rows("approval_requests"):
        approved = tx.get("approvals", request["id"]) is not None
        at = standing(request, signatures, calls, approved=approved)
        call = at.due(request, now_s)
        if "delay of an approval" in tx.without and at.done == {"propose"} and not at.vetoes:
            call = "execute"
        waits = at.in_flight and "one call of an approval" not in tx.without
        rests = at.reverted_at is not None and at.reverted_at >= now_s - again_s
        if request["from_wallet"] == wallet and call is not None and not (waits or rests):
            found.append((call, request))
    return sorted(found, key=lambda each: (_ORDER.index(each[0]), each[1]["at"]))


@statement(approvals._ANY_DUE)
async def any_due(tx: Transaction, wallet: str, again_s: int) -> Iterable[Row]:
    return [Row(exists=bool(_due(tx, wallet, again_s)))]


@statement(approvals._DUE)
async def due(tx: Transaction, wallet: str, again_s: int) -> Iterable[Row]:
    return [
        Row({name: request[name] for name in _FIELDS} | {"call": call})
        for call, request in _due(tx, wallet, again_s)[:1]
    ]


@statement(approvals._SIGNATURES)
async def signatures_of(tx: Transaction, request: UUID, act: str) -> Iterable[Row]:
    rows = [
        row
        for row in tx.rows("approval_signatures")
        if (row["request_id"], row["act"]) == (request, act)
    ]
    rows.sort(key=lambda row: row["address"])
    return [Row(signature=row["signature"], finding=row["finding"]) for row in rows]


@statement(approvals._CALL)
async def insert_call(tx: Transaction, slot: int, request: UUID, call: str) -> Iterable[Row]:
    row = {"slot_id": slot, "request_id": request, "call": call}
    row |= dict.fromkeys(("outcome", "ready_at", "ended_at"))
    await tx.insert("approval_calls", slot, row)
    return ()


@statement(approvals._CALL_OF_SLOT)
async def call_of_slot(tx: Transaction, slot: int) -> Iterable[Row]:
    row = tx.get("approval_calls", slot)
    request = None if row is None else tx.get("approval_requests", row["request_id"])
    if row is None or request is None:
        return ()
    return [
        Row({name: request[name] for name in ("id", "asset", "amount")} | {"call": row["call"]})
    ]


@statement(approvals._END)
async def end_call(tx: Transaction, slot: int, outcome: str, ready_at: int | None) -> Iterable[Row]:
    row = await tx.take("approval_calls", slot)
    if row is None or row["outcome"] is not None:
        return ()
    changes = {"outcome": outcome, "ready_at": ready_at, "ended_at": tx.database.clock()}
    tx.put("approval_calls", slot, row | changes)
    return [Row(request_id=row["request_id"])]


@statement(approvals._RELEASE)
async def release_execution(
    tx: Transaction, slot: int, assets: Sequence[str], amounts: Sequence[int]
) -> Iterable[Row]:
    caps = dict(zip(assets, amounts, strict=True))
    row = await tx.take("approval_calls", slot)
    if row is None or (row["call"], row["outcome"]) != ("execute", None):
        return ()
    request = tx.get("approval_requests", row["request_id"])
    assert request is not None
    if request["amount"] <= caps.get(request["asset"], -1):
        return ()
    changes: dict[str, Any] = {"outcome": "reverted", "ended_at": tx.database.clock()}
    tx.put("approval_calls", slot, row | changes)
    return [Row(slot_id=slot)]


@statement(approvals._POST)
async def post_transfer(tx: Transaction, request: UUID) -> Iterable[Row]:
    row = tx.get("approval_requests", request)
    assert row is not None
    amounts = {
        account(row | {"bucket": row["from_bucket"]}, "reserve"): -row["amount"],
        account(row | {"bucket": row["to_bucket"]}, row["to_class"]): row["amount"],
    }
    return [Row(transfers=1, entries=await book(tx, "transfer", {"request_id": request}, amounts))]


@statement(approvals._TO)
async def to_wallet(tx: Transaction, request: UUID) -> Iterable[Row]:
    row = tx.get("approval_requests", request)
    names = ("to_wallet", "asset", "amount")
    return [] if row is None else [Row({name: row[name] for name in names})]

"""Steps for the conformance tests: what a settler, a signer, the api or an operator does.

Each is done on one side of a :class:`~tests.testing.conformance.Pair`, by the venue's own classes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from seawall.controls.sizing import Caps
from seawall.controls.steady import SteadyClock
from seawall.errors import InternalError
from seawall.ethereum.values import Receipt
from seawall.policy import Policy
from venue.api import reservations
from venue.api.intake import Reservation
from venue.api.reservations import cancel_withdrawal, commit_batch
from venue.chain.transaction import raised
from venue.contracts.calls import NATIVE, cancel
from venue.operator import held as held_
from venue.operator.held import decide
from venue.settler import approvals as approvals_
from venue.settler import claims as claims_
from venue.settler import lease as lease_
from venue.settler import posting as posting_
from venue.settler import topups as topups_
from venue.settler.agreement import given_out
from venue.settler.approvals import ApprovalPoster, Call, Outcome
from venue.settler.claims import Claims
from venue.settler.held import Cancellation, Resolver
from venue.settler.lanes import Lane, Lanes, Slot, SlotProgress
from venue.settler.lease import SettlerLease
from venue.settler.posting import Poster, Settlement
from venue.signer.logs import SignLog
from venue.signer.protocol import Signed, SignRequest

if TYPE_CHECKING:
    from venue.database import Connection, Pool

NETWORK = "aster"
OVERWRITE = "update slots set raw = $2, tx_hash = $3 where id = $1"
FORCE = """
    update withdrawals set state = $2, slot_id = $3, held_because = null, reason = 'test'
    where id = $1"""
"""Two statements that nothing of the venue sends, because the schema must refuse them."""
FIRST = UUID(int=1)
"""The first withdrawal of the forbidden steps."""


@dataclass(kw_only=True)
class Side:
    """One of the two: the same classes on one kind of store."""

    pool: Pool
    log: Pool
    policy: Policy
    lanes: list[Lane]
    tokens: dict[str, str]
    accounts: dict[str, dict[str, Any]]
    topup: Callable[[UUID, str, int, bool], Awaitable[None]]
    write: Callable[[str, Mapping[str, Any]], Awaitable[None]]
    """Inserts a row about an approval, as the operator api does."""
    flip: Callable[[str], Awaitable[None]]
    beat: Callable[[], Awaitable[None]]
    rows: Callable[[], Awaitable[dict[str, Any]]]
    connection: Callable[[], AbstractAsyncContextManager[Connection]]
    slots: dict[int, Slot] = field(default_factory=dict)
    clock: SteadyClock = field(default_factory=SteadyClock)

    @property
    def claims(self) -> Claims:
        """Claims of the holder ``one``."""
        return Claims(
            pool=self.pool,
            policy=self.policy,
            network=NETWORK,
            holder="one",
            tokens=self.tokens,
            contracts={lane.wallet: lane.contract for lane in self.lanes},
        )

    @property
    def poster(self) -> Poster:
        """The poster."""
        return Poster(
            pool=self.pool,
            native=self.policy.networks[NETWORK].native,
            tokens=self.tokens,
            contracts={lane.wallet: lane.contract for lane in self.lanes},
            buckets={name: wallet.bucket for name, wallet in self.policy.wallets.items()},
        )

    @property
    def sign_log(self) -> SignLog:
        """The sign log of the region ``here``, with caps that nothing reaches."""
        ample = Caps(
            window_ms=1_000, transactions=10**6, amounts=dict.fromkeys(self.addresses, 10**40)
        )
        caps = {lane.wallet: ample for lane in self.lanes}
        return SignLog(records=self.pool, log=self.log, region="here", caps=caps)

    async def is_recorded(self, slot: Slot) -> bool:
        """Whether the signer has recorded the nonce of ``slot``, which it does at once."""
        return await self.pool.fetchval(claims_._OFFERED, slot.id) is True

    @property
    def addresses(self) -> tuple[str, ...]:
        """What calls name as tokens."""
        return (NATIVE, *self.tokens.values())

    @property
    def resolver(self) -> Resolver:
        """The resolver of held withdrawals."""
        native = self.policy.networks[NETWORK].native
        return Resolver(pool=self.pool, tokens={native: NATIVE} | self.tokens)


Step = Callable[[Side], Awaitable[Any]]


async def take(side: Side) -> None:
    await Lanes(pool=side.pool, holder="one", lanes=side.lanes).take()


def reserving(each: UUID, asset: str, amount: int) -> Step:
    """Intake of one withdrawal, by the code of the api."""

    async def reserve(side: Side) -> Any:
        wanted = Reservation(
            id=each,
            customer_id=1,
            bucket="customer",
            source_network=NETWORK,
            network=NETWORK,
            asset=asset,
            amount=amount,
            value_micro=side.policy.value_micro(asset, amount),
            destination=f"0x{each.int % 2**160:040x}",
            **side.accounts[asset],
        )
        async with side.connection() as connection:
            return await commit_batch(connection, side.policy, [wanted], clock=side.clock)

    return reserve


def topping(each: UUID, asset: str, amount: int, *, out: bool = False) -> Step:
    return lambda side: side.topup(each, asset, amount, out)


PEOPLE = tuple(f"0x{number:040x}" for number in (0xA1, 0xA2))
"""Addresses of two approvers."""
LATER = 10**12
"""A moment that is not yet, for every clock."""


def asking(each: UUID, kind: str, asset: str, *, expires: int) -> Step:
    """A transfer out of the reserve into the hot wallet, which two people have approved."""

    async def ask(side: Side) -> None:
        hot, reserve = side.lanes
        native = side.policy.networks[NETWORK].native
        await side.write(
            "approval_requests",
            {
                "id": each,
                "kind": kind,
                "network": NETWORK,
                "from_wallet": reserve.wallet,
                "to_wallet": hot.wallet,
                "from_bucket": "customer",
                "to_bucket": "customer",
                "to_class": "hot",
                "to_address": hot.contract,
                "asset": asset,
                "token": NATIVE if asset == native else side.tokens[asset],
                "amount": 1_000,
                "use": "test",
                "not_before": 1,
                "expires": expires,
                "operator": "ann",
                "requester": NATIVE,
                "needed": 2,
                "needed_for_review": 2,
                "digest": bytes(32),
            },
        )
        await side.write("approvals", {"id": each, "actor": "ann", "justification": "test"})
        for person in PEOPLE:
            await acting(each, "approve", person)(side)

    return ask


def acting(each: UUID, act: str, person: str) -> Step:
    """What one approver signs about an approval."""
    row = {
        "request_id": each,
        "act": act,
        "address": person,
        "operator": f"approver {person[-2:]}",
        "signature": bytes([int(person, 16)]) * 65,
        "finding": "as agreed" if act == "review" else None,
    }
    return lambda side: side.write("approval_signatures", row)


def claiming(kind: str) -> Step:
    async def claim(side: Side) -> Slot | None:
        payer, reserve = side.lanes
        claims = side.claims
        slot = await {
            "payout": lambda: claims.claim_payouts(payer, base_fee_wei=10**9),
            "topup": lambda: topups_.claim_topup(claims, reserve, base_fee_wei=10**9),
            "sweep": lambda: topups_.claim_sweep(claims, payer, base_fee_wei=10**9),
            "cancel": lambda: claims.claim_held(payer, base_fee_wei=10**9),
            "approval": lambda: claims.claim_approval(reserve, base_fee_wei=10**9),
        }[kind]()
        if slot is not None:
            side.slots[slot.id] = slot
        return slot

    return claim


def _on(number: int, do: Callable[[Side, Slot], Awaitable[Any]]) -> Step:
    return lambda side: do(side, side.slots[number])


def _signed_as(slot: Slot, salt: int) -> Signed:
    return Signed(
        raw=slot.intent.digest + bytes([salt]),
        tx_hash="0x" + (slot.intent.digest[:31] + bytes([salt])).hex(),
        region="here",
        digest=slot.intent.digest,
    )


def _request(slot: Slot, epoch: int) -> SignRequest:
    return SignRequest(
        wallet=slot.lane.wallet,
        chain_id=slot.lane.chain_id,
        address=slot.lane.address,
        nonce=slot.nonce,
        epoch=epoch,
        to=slot.to,
        value=slot.value,
        data=slot.data,
        gas_limit=slot.fees.gas_limit,
        max_fee_wei=slot.fees.max_fee_wei,
        priority_fee_wei=slot.fees.priority_fee_wei,
    )


async def _record(side: Side, slot: Slot) -> Any:
    return await side.sign_log.record(_request(slot, slot.lane.epoch))


async def _keep(side: Side, slot: Slot) -> Any:
    signed = _signed_as(slot, 1)
    log = side.sign_log
    return await log.keep(_request(slot, slot.lane.epoch), raw=signed.raw, tx_hash=signed.tx_hash)


async def _replace(side: Side, slot: Slot, salt: int) -> Any:
    """Higher fees for the same nonce: recorded by settler and signer, signed, stored by both."""
    progress = SlotProgress(pool=side.pool)
    dearer = raised(slot.fees, base_fee_wei=10**9)
    wanted = dearer and await progress.replacing(slot, dearer)
    if not wanted:
        return None
    request = _request(replace(slot, fees=wanted), slot.lane.epoch)
    kept: Any = None
    if await side.is_recorded(slot):
        await side.sign_log.record(request)
        raw = slot.intent.digest + wanted.max_fee_wei.to_bytes(16, "big")
        tx_hash = "0x" + (slot.intent.digest[:16] + wanted.max_fee_wei.to_bytes(16, "big")).hex()
        kept = await side.sign_log.keep(request, raw=raw, tx_hash=tx_hash)
        if salt == 1:
            await progress.replaced(slot, wanted, kept)
    return wanted, kept


async def _include(side: Side, slot: Slot, number: int) -> None:
    slot.mined_hash = slot.tx_hash
    receipt = Receipt(block_number=number, block_hash=f"0x{number:064x}", succeeded=True, logs=[])
    await SlotProgress(pool=side.pool).included([(slot, receipt)])


def _settling(
    shares: Mapping[str, float], random: Random
) -> Callable[[Side, Slot], Awaitable[Any]]:
    """Post a settlement in which each payment has one of the outcomes of ``shares``."""
    draws = [random.choices(list(shares), list(shares.values()))[0] for _ in range(250)]

    async def settle(side: Side, slot: Slot) -> Any:
        if slot.purpose == "cancel":
            held = await side.resolver.held(slot)
            sorted_: dict[str, list[int]] = {"cancelled": [], "paid": [], "untried": []}
            for each, draw in zip(held, draws, strict=False):
                where = {"paid": "cancelled", "unclear": "untried", "failed": "paid"}.get(
                    draw, "cancelled"
                )
                sorted_[where].append(each.item.seq)
            found = Cancellation(
                **{name: tuple(seqs) for name, seqs in sorted_.items()}, disputed=()
            )
            return await side.resolver.post(slot, held, found)
        if slot.purpose == "approval":
            return await _post_call(side, slot, draws)
        items = await side.poster.items(slot)
        outcomes: dict[str, list[int]] = {name: [] for name in shares}
        for item, draw in zip(items, draws, strict=False):
            outcomes[draw].append(item.seq)
        settlement = Settlement(**{name: tuple(seqs) for name, seqs in outcomes.items()})
        return await side.poster.post(slot, settlement)

    return settle


async def _post_call(side: Side, slot: Slot, draws: Sequence[str]) -> Any:
    """Post one of the outcomes that a call about an approval can have."""
    row = await side.pool.fetchrow(approvals_._CALL_OF_SLOT, slot.id)
    assert row is not None
    name = row["call"]
    call = Call(approval=row["id"], name=name, moves={row["asset"]: row["amount"]})
    done = draws[0] != "failed"
    outcome = "done" if done else "vetoed" if name == "execute" else "reverted"
    ready_at = (1 if draws[1] == "paid" else LATER) if done and name == "propose" else None
    poster = ApprovalPoster(pool=side.pool)
    return await poster.post(slot, call, Outcome(outcome=outcome, ready_at=ready_at))


_STEPS_OF_SLOT = ("record", "keep", "sign", "broadcast", "include", "post", "admit", "replace")
_NEXT = {
    "open": ("record", "keep", "sign", "sign", "admit"),
    "signed": ("broadcast",),
    "broadcast": ("include", "include", "replace"),
    "included": ("include", "post", "post"),
}
_IN_ORDER = 0.7
"""How often a slot takes its next step; else it is asked for any, which may be refused."""


@dataclass(kw_only=True)
class Draw:
    """Draws the next step from what is possible now."""

    random: Random
    number: int = 100

    def step(self, side: Side, rows: Mapping[str, Any]) -> tuple[str, Step]:
        """The next step, by its name."""
        random = self.random
        self.number += 1
        kinds = ["reserve", "reserve", "claim", "claim", "topup", "sweep", "flip", "lease"]
        kinds += ["given out", "cancel", "decide", "decide", "in flight"] + ["slot"] * 14
        kinds += ["ask", "act", "approval", "approval", "approval"]
        kind = random.choice(kinds)
        asset = random.choice(("USDX", side.policy.networks[NETWORK].native))
        each = self._withdrawal(rows)
        if kind == "slot" and side.slots:
            open_ = sorted(each for each, slot in side.slots.items() if slot.state != "final")
            return self._of_slot(side, random.choice(open_[:2] or sorted(side.slots)))
        if kind == "approval":
            return kind, claiming("approval")
        if kind in {"ask", "act"}:
            return self._of_approval(kind, asset, rows)
        if kind == "claim":
            return kind, claiming(random.choice(("payout", "payout", "topup", "sweep", "cancel")))
        if kind in {"topup", "sweep"}:
            return kind, topping(UUID(int=10_000 + self.number), asset, 7, out=kind == "sweep")
        if kind == "flip":
            tier = random.choice(("normal", "stressed", "protected"))
            return kind, lambda side: side.flip(tier)
        if kind == "lease":
            who = random.choice(("one", "two"))
            return kind, lambda side: _lease(side, who)
        if kind == "given out":
            return kind, lambda side: given_out(side.pool, side.lanes[0])
        if kind == "in flight":
            return kind, _in_flight
        if kind == "cancel":
            return kind, lambda side: _cancel(side, each)
        if kind == "decide":
            what: Any = random.choice(("void", "pay"))
            to = f"0x{self.number:040x}" if what == "pay" and random.random() < 0.5 else None
            return kind, lambda side: _decide(side, each, what, to)
        # Together below the limits of a customer: these end with a time that only one side has.
        unit = 10**6 if asset == "USDX" else 10**15
        amount = unit * random.choice((1, 3, 90, 900))
        again = random.random() < 0.2
        return "reserve", reserving(each if again else UUID(int=self.number), asset, amount)

    def _of_approval(self, kind: str, asset: str, rows: Mapping[str, Any]) -> tuple[str, Step]:
        """Somebody asks for money out of the reserve, or signs something about that."""
        random, known = self.random, [row[0] for row in rows.get("approval_requests", [])]
        if kind == "ask" or not known:
            what = random.choice(("transfer", "fast_transfer"))
            expires = 5 if random.random() < 0.1 else LATER
            return "ask", asking(UUID(int=20_000 + self.number), what, asset, expires=expires)
        act = random.choice(("veto", "review", "review"))
        return kind, acting(random.choice(known), act, random.choice(PEOPLE))

    def _withdrawal(self, rows: Mapping[str, Any]) -> UUID:
        """One that is there, mostly one that is held."""
        known = rows.get("withdrawals", [])
        held = [row[0] for row in known if row[2] == "unknown"]
        if held and self.random.random() < _IN_ORDER:
            return cast("UUID", self.random.choice(held))
        return cast("UUID", self.random.choice([row[0] for row in known] or [UUID(int=101)]))

    def _of_slot(self, side: Side, number: int) -> tuple[str, Step]:
        random = self.random
        what = random.choice(_STEPS_OF_SLOT)
        if random.random() < _IN_ORDER:
            what = random.choice(_NEXT.get(side.slots[number].state, (what,)))
        block, salt = random.randint(1, 99), random.randint(1, 2)
        shares = {"paid": 6.0, "failed": 1.0, "unclear": 1.0, "untried": 1.0}
        shares |= {"above_cap": 0.5, "blameless": 0.5}
        steps: dict[str, Callable[[Side, Slot], Awaitable[Any]]] = {
            "record": _record,
            "keep": _keep,
            "sign": lambda side, slot: SlotProgress(pool=side.pool).signed(
                slot, _signed_as(slot, salt)
            ),
            "broadcast": lambda side, slot: SlotProgress(pool=side.pool).broadcast(slot),
            "include": lambda side, slot: _include(side, slot, block),
            "post": _settling(shares, random),
            "admit": lambda side, slot: side.claims.admit_again(slot),
            "replace": lambda side, slot: _replace(side, slot, salt),
        }
        return f"{what} slot {number}", _on(number, steps[what])


async def _lease(side: Side, who: str) -> Any:
    """Take the lease; nobody is silent here, so whoever has it keeps it until it is left."""
    taken = await side.pool.fetchval(lease_._TAKE, NETWORK, who, 3_600_000)
    if taken and who == "two":
        await SettlerLease(pool=side.pool, network=NETWORK, holder=who).leave()
    return taken


async def _in_flight(side: Side) -> Any:
    copies = [replace(lane) for lane in side.lanes]
    slots = await Lanes(pool=side.pool, holder="one", lanes=copies).in_flight()
    return [
        (slot.id, slot.nonce, slot.state, slot.items, slot.tx_hash, slot.block_hash)
        for slot in slots
    ]


async def _cancel(side: Side, each: UUID) -> Any:
    async with side.connection() as connection:
        answer = await cancel_withdrawal(connection, side.policy, 1, each)
    return type(answer).__name__, getattr(answer, "state", None), getattr(answer, "reason", None)


async def _decide(side: Side, each: UUID, what: Any, to: str | None) -> Any:
    async with side.connection() as connection:
        return await decide(
            connection, each, what, actor="ann", justification="test", destination=to
        )


async def _second_slot(side: Side, slot: Slot) -> Any:
    """A second slot of one nonce."""
    async with side.connection() as connection, connection.transaction():
        return await connection.fetchval(
            claims_._OPEN,
            *(slot.lane.chain_id, slot.lane.address, slot.nonce, 1, 1, "payout"),
            *(slot.to, 0, b"", 1, 1, 1, bytes(32)),
        )


async def _other_epoch(side: Side, slot: Slot) -> Any:
    other = replace(slot.lane, epoch=slot.lane.epoch + 1)
    return await side.claims.claim_payouts(other, base_fee_wei=10**9)


async def _other_holder(side: Side, slot: Slot) -> Any:
    return await replace(side.claims, holder="two").claim_payouts(slot.lane, base_fee_wei=1)


async def _old_signature(side: Side, slot: Slot) -> Any:
    log = side.sign_log
    return await log.record(_request(slot, slot.lane.epoch - 1))


async def _foreign_digest(side: Side, slot: Slot) -> Any:
    log = side.sign_log
    return await log.record(_request(replace(slot, data=cancel([])), slot.lane.epoch))


async def _unsigned_broadcast(side: Side, slot: Slot) -> Any:
    return await SlotProgress(pool=side.pool).broadcast(slot)


async def _unsent_inclusion(side: Side, slot: Slot) -> Any:
    return await _include(side, slot, 7)


async def _other_bytes(side: Side, slot: Slot) -> Any:
    progress = SlotProgress(pool=side.pool)
    await progress.signed(slot, _signed_as(slot, 1))
    return await progress.signed(slot, _signed_as(slot, 2))


async def _other_use(side: Side, slot: Slot) -> Any:
    await _record(side, slot)
    async with side.connection() as connection, connection.transaction():
        await connection.execute(claims_._ADMIT_LESS, slot.id, 9, "cancel", b"other", bytes(32), 1)


async def _void_what_was_tried(side: Side, slot: Slot) -> Any:
    async with side.connection() as connection, connection.transaction():
        await connection.execute(claims_._RELEASE, [FIRST])
        return await connection.fetchrow(reservations._VOID, FIRST, "no", "channel")


async def _second_attempt(side: Side, slot: Slot) -> Any:
    async with side.connection() as connection, connection.transaction():
        await connection.execute(claims_._ATTEMPT, slot.id, [FIRST], [1])


async def _decision_about_what_is_not_held(side: Side, slot: Slot) -> Any:
    async with side.connection() as connection, connection.transaction():
        return await connection.fetchval(held_._DECIDE, FIRST, 1, "void", None, "ann", "test")


async def _second_topup(side: Side, slot: Slot) -> Any:
    return await side.topup(UUID(int=98), "USDX", 1, False)


async def _claim_what_is_slotted(side: Side, slot: Slot) -> Any:
    async with side.connection() as connection, connection.transaction():
        if not await connection.fetchval(claims_._SLOT_WITHDRAWALS, slot.id, [FIRST]):
            raise InternalError("nothing waited")


async def _second_signature(side: Side, slot: Slot) -> Any:
    """The signer keeps the first one and returns it for ever."""
    log = side.sign_log
    request = _request(slot, slot.lane.epoch)
    await log.record(request)
    for salt in (1, 2):
        signed = _signed_as(slot, salt)
        kept = await log.keep(request, raw=signed.raw, tx_hash=signed.tx_hash)
        if kept.raw != signed.raw:
            raise InternalError("the first one is kept")


async def _overwritten_bytes(side: Side, slot: Slot) -> Any:
    await SlotProgress(pool=side.pool).signed(slot, _signed_as(slot, 1))
    async with side.connection() as connection, connection.transaction():
        await connection.execute(OVERWRITE, slot.id, b"other", "0x" + "22" * 32)


async def _straight_to_posted(side: Side, slot: Slot) -> Any:
    async with side.connection() as connection, connection.transaction():
        await connection.execute(claims_._RELEASE, [FIRST])
        await connection.execute(FORCE, FIRST, "posted", slot.id)


async def _given_back_without_resolution(side: Side, slot: Slot) -> Any:
    async with side.connection() as connection, connection.transaction():
        await connection.execute(posting_._HOLD, slot.id, [1], "refused", "test")
        await connection.execute(FORCE, FIRST, "voided", slot.id)


_FORBIDDEN = {
    "a second slot for a nonce": _second_slot,
    "a claim under another epoch": _other_epoch,
    "a claim by another holder": _other_holder,
    "a signature under an old epoch": _old_signature,
    "a signature of what no slot says": _foreign_digest,
    "a broadcast of what is not signed": _unsigned_broadcast,
    "an inclusion of what is not sent": _unsent_inclusion,
    "another use of a signed nonce": _other_use,
    "giving back what was tried": _void_what_was_tried,
    "a second attempt of one slot": _second_attempt,
    "a decision about what is not held": _decision_about_what_is_not_held,
    "a second top-up at a time": _second_topup,
    "claiming what is slotted": _claim_what_is_slotted,
    "posting what waits": _straight_to_posted,
    "giving back what is held, without a resolution": _given_back_without_resolution,
    "a second signature": _second_signature,
    "other bytes over the first": _overwritten_bytes,
    "other bytes": _other_bytes,
}


def forbidden() -> list[tuple[str, Step]]:
    """Steps that each rule must refuse, on a venue whose slot 1 pays the withdrawal ``FIRST``."""
    return [(name, _on(1, step)) for name, step in _FORBIDDEN.items()]

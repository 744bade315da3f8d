"""Steps for the conformance tests: what a settler, a signer, the api or an operator does.

Each is done on one side of a :class:`~tests.testing.conformance.Pair`, by the venue's own classes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

from seawall.controls.admission import size_of
from seawall.ethereum.values import Receipt
from seawall.policy import Policy
from venue.api import reservations
from venue.api.intake import Reservation
from venue.api.reservations import cancel_withdrawal, commit_batch
from venue.contracts.calls import NATIVE
from venue.operator import held as held_
from venue.operator.held import decide
from venue.settler import claims as claims_
from venue.settler import lease as lease_
from venue.settler.agreement import given_out
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
FIRST = UUID(int=1)
"""The first withdrawal of the forbidden steps."""


@dataclass(kw_only=True)
class Side:
    """One of the two: the same classes on one kind of store."""

    pool: Pool
    policy: Policy
    lanes: list[Lane]
    tokens: dict[str, str]
    accounts: dict[str, dict[str, Any]]
    topup: Callable[[UUID, str, int], Awaitable[None]]
    flip: Callable[[str], Awaitable[None]]
    beat: Callable[[], Awaitable[None]]
    rows: Callable[[], Awaitable[dict[str, Any]]]
    connection: Callable[[], AbstractAsyncContextManager[Connection]]
    slots: dict[int, Slot] = field(default_factory=dict)

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
        value_micro = side.policy.value_micro(asset, amount)
        wanted = Reservation(
            id=each,
            customer_id=1,
            bucket="customer",
            source_network=NETWORK,
            network=NETWORK,
            asset=asset,
            amount=amount,
            value_micro=value_micro,
            size=size_of(side.policy, value_micro),
            destination=f"0x{each.int % 2**160:040x}",
            **side.accounts[asset],
        )
        async with side.connection() as connection:
            return await commit_batch(connection, side.policy, [wanted])

    return reserve


def topping(each: UUID, asset: str, amount: int) -> Step:
    return lambda side: side.topup(each, asset, amount)


def claiming(kind: str) -> Step:
    async def claim(side: Side) -> Slot | None:
        payer, reserve = side.lanes
        claims = side.claims
        slot = await {
            "payout": lambda: claims.claim_payouts(payer, base_fee_wei=10**9),
            "topup": lambda: claims.claim_topup(reserve, base_fee_wei=10**9),
            "cancel": lambda: claims.claim_held(payer, base_fee_wei=10**9),
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
    return await SignLog(pool=side.pool, region="here").record(_request(slot, slot.lane.epoch))


async def _keep(side: Side, slot: Slot) -> Any:
    signed = _signed_as(slot, 1)
    log = SignLog(pool=side.pool, region="here")
    return await log.keep(_request(slot, slot.lane.epoch), raw=signed.raw, tx_hash=signed.tx_hash)


async def _include(side: Side, slot: Slot, number: int) -> None:
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
        items = await side.poster.items(slot)
        outcomes: dict[str, list[int]] = {name: [] for name in shares}
        for item, draw in zip(items, draws, strict=False):
            outcomes[draw].append(item.seq)
        settlement = Settlement(**{name: tuple(seqs) for name, seqs in outcomes.items()})
        return await side.poster.post(slot, settlement)

    return settle


@dataclass(kw_only=True)
class Draw:
    """Draws the next step from what is possible now."""

    random: Random
    number: int = 100

    def step(self, side: Side) -> tuple[str, Step]:
        """The next step, by its name."""
        random = self.random
        self.number += 1
        kinds = ["reserve", "reserve", "claim", "claim", "topup", "flip", "lease", "given out"]
        kinds += ["cancel", "decide", "in flight"] * 2 + ["slot"] * 12
        kind = random.choice(kinds)
        asset = random.choice(("USDX", side.policy.networks[NETWORK].native))
        each = UUID(int=random.randint(101, max(101, self.number)))
        if kind == "slot" and side.slots:
            return self._of_slot(side, random.choice(sorted(side.slots)))
        if kind == "claim":
            return kind, claiming(random.choice(("payout", "payout", "topup", "cancel")))
        if kind == "topup":
            return kind, topping(UUID(int=10_000 + self.number), asset, 7_000_000)
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
        amount = random.choice((1_000_000, 3_000_000, 10**18, 90_000 * 10**6))
        again = random.random() < 0.2
        return "reserve", reserving(each if again else UUID(int=self.number), asset, amount)

    def _of_slot(self, side: Side, number: int) -> tuple[str, Step]:
        random = self.random
        what = random.choice(
            ("record", "keep", "sign", "sign", "broadcast", "broadcast", "include", "include")
            + ("post",) * 4
            + ("admit",)
        )
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
    log = SignLog(pool=side.pool, region="here")
    return await log.record(_request(slot, slot.lane.epoch - 1))


async def _foreign_digest(side: Side, slot: Slot) -> Any:
    log = SignLog(pool=side.pool, region="here")
    return await log.record(_request(replace(slot, data=b"junk"), slot.lane.epoch))


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


async def _negative_float(side: Side, slot: Slot) -> Any:
    async with side.connection() as connection, connection.transaction():
        await connection.execute(claims_._CHANGE_FLOATS, slot.lane.wallet, ["USDX"], [-(10**30)])


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
    return await side.topup(UUID(int=98), "USDX", 1)


_FORBIDDEN = {
    "a second slot for a nonce": _second_slot,
    "a claim under another epoch": _other_epoch,
    "a claim by another holder": _other_holder,
    "a signature under an old epoch": _old_signature,
    "a signature of what no slot says": _foreign_digest,
    "a broadcast of what is not signed": _unsigned_broadcast,
    "an inclusion of what is not sent": _unsent_inclusion,
    "another use of a signed nonce": _other_use,
    "a negative float": _negative_float,
    "giving back what was tried": _void_what_was_tried,
    "a second attempt of one slot": _second_attempt,
    "a decision about what is not held": _decision_about_what_is_not_held,
    "a second top-up at a time": _second_topup,
    "other bytes": _other_bytes,
}


def forbidden() -> list[tuple[str, Step]]:
    """Steps that each rule must refuse, on a venue whose slot 1 pays the withdrawal ``FIRST``."""
    return [(name, _on(1, step)) for name, step in _FORBIDDEN.items()]

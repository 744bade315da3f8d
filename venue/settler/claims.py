"""Claims: the settler chooses withdrawals, held ones or an approval, and allocates a slot for them.

A claim is one transaction, which no flip of the mode can overtake. The advisory lock is taken in a
statement of its own and the mode is read in a later one: under READ COMMITTED only then does the
read see a flip that committed during the wait for the lock (design section 5, ring 0).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from seawall.controls.heartbeat import STALE_AFTER_MS
from seawall.controls.sizing import signer_caps
from seawall.conventions import database
from seawall.errors import InternalError
from seawall.policy import Policy, Tier
from venue.chain.transaction import Fees, Intent, fees
from venue.contracts.calls import (
    ITEMS_MAX,
    NATIVE,
    OPEN_GAS_LIMIT,
    Item,
    cancel,
    cancel_gas_limit,
    generation_of,
    open_generation,
    outflow,
    pay,
    pay_gas_limit,
)
from venue.crash_points import committing
from venue.database import Pool
from venue.process import now_s
from venue.settler import approvals, topups
from venue.settler.batches import Candidate, select_batch, split_batch, sums
from venue.settler.lanes import Lane, LaneLostError, Slot, SlotPurpose
from venue.settler.posting import READ_FLOATS
from venue.settler.velocity import Velocity

_LOCK = "select pg_advisory_xact_lock_shared($1)"
_MODE = """
    select m.epoch, m.tier, (select max(generation) from generations) as generation,
           exists (select 1 from mode_controller_lease l
                   where clock_timestamp() - l.renewed_at
                         between $1 * interval '-1 ms' and $1 * interval '1 ms') as controlled,
           exists (select 1 from orders_in_force o where o.kind = 'halt'
                   and (o.network is null or o.network = $2)) as halted
    from mode m"""
_LANE = """
    select holder, epoch, next_nonce from lanes
    where (chain_id, address) = ($1, $2) for no key update"""
_WAITING = """
    select exists (select 1 from withdrawals where network = $1 and state = 'reserved') as payouts,
           exists (select 1 from topups where (from_wallet, state) = ($2, 'requested')) as sweeps,
           exists (select 1 from resolutions r
                   join withdrawals w
                        on (w.id, w.seq, w.state) = (r.withdrawal_id, r.seq, 'unknown')
                   where r.state = 'requested' and w.network = $1) as resolutions"""
_CANDIDATES = """
    select id, seq, asset, amount, size, coalesce(paid_to, destination) as destination
    from withdrawals
    where network = $1 and asset = $2 and size = $3 and bucket = $4 and state = 'reserved'
      and amount <= $6  -- more fits into no window: it stays for its customer to cancel
    order by seq limit $5 for no key update skip locked"""
_PAUSES = "select asset from asset_pauses where network = $1"
_HELD = """
    select r.id, r.seq, r.withdrawal_id from resolutions r
    join withdrawals w on (w.id, w.seq, w.state) = (r.withdrawal_id, r.seq, 'unknown')
    join slots s on s.id = w.slot_id
    where r.state = 'requested' and (s.chain_id, s.address) = ($1, $2)
    order by r.id limit $3 for no key update of r skip locked"""
_RENUMBER = "update withdrawals set seq = default where id = any($1::uuid[]) returning id, seq"
_ATTEMPT = """
    insert into attempts (slot_id, withdrawal_id, seq)
    select $1, * from unnest($2::uuid[], $3::bigint[])"""
_SLOT_HELD = """
    update resolutions set state = 'slotted', slot_id = $1
    where id = any($2::bigint[]) and state = 'requested'"""
_OPENING = """
    select exists (select 1 from slots where (chain_id, address) = ($1, $2) and state <> 'final'
                   and purpose = 'generation')"""
_RECENT = """
    select s.id, s.data, (extract(epoch from clock_timestamp() - e.at))::float8 as signed_s_ago
    from slots s left join slot_events e on (e.slot_id, e.state) = (s.id, 'signed')
    where (s.chain_id, s.address) = ($1, $2) order by s.nonce desc limit $3"""
_OPEN = """
    insert into slots (chain_id, address, nonce, epoch, mode_epoch, admitted_epoch, purpose,
                       to_address, value, data, gas_limit, max_fee_wei, priority_fee_wei, digest,
                       state)
    values ($1, $2, $3, $4, $5, $5, $6, $7, $8, $9, $10, $11, $12, $13, 'open') returning id"""
_OFFERED = "select offered_epoch is not null from slots where id = $1"
_OF_SLOT = """
    select id, seq, asset, amount, size, coalesce(paid_to, destination) as destination
    from withdrawals where slot_id = $1 and state = 'slotted' order by seq"""
_ADMIT = "update slots set admitted_epoch = $2 where id = $1 and state = 'open'"
_ADMIT_LESS = """
    update slots set admitted_epoch = $2, purpose = $3, data = $4, digest = $5, gas_limit = $6
    where id = $1 and state = 'open'"""
_RELEASE = """
    update withdrawals set state = 'reserved', slot_id = null where id = any($1::uuid[])"""
_EVENT = "insert into slot_events (slot_id, state) values ($1, 'open')"
_NONCE = "update lanes set next_nonce = next_nonce + 1 where (chain_id, address) = ($1, $2)"
_SLOT_WITHDRAWALS = """
    with slotted as (
        update withdrawals set state = 'slotted', slot_id = $1, reason = null
        where id = any($2::uuid[]) and state = 'reserved' returning 1
    ) select count(*) from slotted"""
_CHANGE_FLOATS = """
    update floats f set available = f.available + d.amount
    from unnest($2::text[], $3::numeric[]) as d (asset, amount)
    where f.wallet = $1 and f.asset = d.asset"""
_LOOK_EVERY_S = 1.0
"""How often a lane looks for what no customer waits for."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Whether there are withdrawals to pay, held ones whose number is to be cancelled, sweeps."""

    payouts: bool
    sweeps: bool
    resolutions: bool


@dataclass(frozen=True, kw_only=True)
class Claims:
    """Claims of the settler of one network.

    ``holder`` is the settler's name in its lanes; ``tokens`` are token addresses by asset,
    ``contracts`` are the addresses of wallets' contracts by wallet.
    """

    pool: Pool
    policy: Policy
    network: str
    holder: str
    tokens: Mapping[str, str]
    contracts: Mapping[str, str]
    _velocities: dict[str, Velocity] = field(default_factory=dict)
    _looked_at_s: dict[str, float] = field(default_factory=dict)

    async def recall(self, lane: Lane) -> None:
        """Count what was claimed on ``lane`` before this settler took it."""
        velocity = self.velocity_of(lane)
        assets = {self.token(asset): asset for asset in velocity.caps.amounts}
        rows = await self.pool.fetch(
            _RECENT, lane.chain_id, lane.address, velocity.caps.transactions
        )
        seen_at_s = now_s()
        for row in rows:
            moved = outflow(row["data"])
            velocity.claimed(
                row["id"], {assets[token]: moved[token] for token in moved.keys() & assets.keys()}
            )
            if row["signed_s_ago"] is not None:
                velocity.signed(row["id"], now_s=seen_at_s - row["signed_s_ago"])

    def signed(self, slot: Slot) -> None:
        """The signer has just signed ``slot``."""
        self.velocity_of(slot.lane).signed(slot.id, now_s=now_s())

    async def waiting(self, lane: Lane) -> Waiting:
        """What there is to claim on the lane that pays; costs three index scans, no lock."""
        row = await self.pool.fetchrow(_WAITING, self.network, lane.wallet)
        return Waiting(**dict(row or {}))

    async def claim_payouts(self, lane: Lane, *, base_fee_wei: int) -> Slot | None:
        """Claim one slot for the next withdrawals; None if nothing may or can be paid now.

        Raises :class:`LaneLostError`.
        """
        wallet = self.policy.wallets[lane.wallet]
        velocity = self.velocity_of(lane)
        room = velocity.room(now_s=now_s())
        if room is None:
            return None
        async with committing(self.pool, "claim payouts") as connection:
            claim = await self.begin(connection, lane)
            if claim is None:
                return None
            sizes = self._sizes(claim.tier)
            floats = {
                row["asset"]: row["available"]
                for row in await connection.fetch(READ_FLOATS, lane.wallet)
            }
            resting = {row["asset"] for row in await connection.fetch(_PAUSES, self.network)}
            rows = [
                row
                for asset in sorted(floats.keys() - resting)
                for size in sizes
                for row in await connection.fetch(
                    _CANDIDATES,
                    self.network,
                    asset,
                    size,
                    wallet.bucket,
                    ITEMS_MAX,
                    velocity.caps.amounts.get(asset, 0),
                )
            ]
            chosen = select_batch(
                (Candidate.of(dict(row)) for row in rows),
                floats=floats,
                floors={} if claim.tier == "protected" else self._floors(lane.wallet),
                room=room,
                limit=lane.items_max,
            )
            if not chosen:
                return None
            chosen = await self._renumbered(connection, claim, chosen)
            items = self._items(chosen)
            slot = await self.open_slot(
                connection,
                lane,
                claim,
                purpose="payout",
                data=pay(items),
                cost=fees(base_fee_wei=base_fee_wei, gas_limit=pay_gas_limit(len(items))),
                items=len(items),
            )
            slotted = await connection.fetchval(
                _SLOT_WITHDRAWALS, slot.id, [each.id for each in chosen]
            )
            await connection.execute(
                _ATTEMPT, slot.id, [each.id for each in chosen], [each.seq for each in chosen]
            )
            # The rows are locked since they were chosen: a cancellation committed before that, or
            # it waits for this transaction and is then too late.
            if slotted != len(chosen):
                raise InternalError(
                    f"{len(chosen)} withdrawals were chosen and {slotted} were still reserved"
                )
            await self._change_floats(connection, lane.wallet, chosen, sign=-1)
        velocity.claimed(slot.id, sums(chosen))
        lane.in_flight += 1
        return slot

    async def claim_generation(self, lane: Lane, *, base_fee_wei: int) -> Slot | None:
        """Claim the slot that opens the ledger's generation in the lane's contract.

        None if nothing may be claimed now, or if it is on its way.

        Raises :class:`LaneLostError`.
        """
        velocity = self.velocity_of(lane)
        if velocity.room(now_s=now_s()) is None:
            return None
        async with committing(self.pool, "claim a generation") as connection:
            claim = await self.begin(connection, lane)
            if claim is None:
                return None
            if await connection.fetchval(_OPENING, lane.chain_id, lane.address):
                return None
            slot = await self.open_slot(
                connection,
                lane,
                claim,
                purpose="generation",
                data=open_generation(claim.generation),
                cost=fees(base_fee_wei=base_fee_wei, gas_limit=OPEN_GAS_LIMIT),
                items=1,
            )
        velocity.claimed(slot.id, {})
        lane.in_flight += 1
        return slot

    def may_look(self, lane: Lane) -> bool:
        """Whether a second has passed since it was last asked of ``lane``.

        For what nobody waits for in milliseconds: approvals on a reserve's lane, sweeps on the one
        that pays.
        """
        if now_s() < self._looked_at_s.get(lane.wallet, -_LOOK_EVERY_S) + _LOOK_EVERY_S:
            return False
        self._looked_at_s[lane.wallet] = now_s()
        return True

    async def approval_due(self, lane: Lane) -> bool:
        """Whether there is something to claim with :meth:`claim_approval`."""
        return await approvals.any_due(self.pool, lane.wallet)

    async def claim_approval(self, lane: Lane, *, base_fee_wei: int) -> Slot | None:
        """Claim one slot that hands in what people have signed about an approval, or None.

        Raises :class:`LaneLostError`.
        """
        velocity = self.velocity_of(lane)
        room = velocity.room(now_s=now_s())
        if room is None:
            return None
        # A step of a reserve's lane, like a top-up.
        async with committing(self.pool, "claim a top-up") as connection:
            claim = await self.begin(connection, lane)
            if claim is None:
                return None
            call = await approvals.due_call(connection, lane.wallet)
            if call is None or any(
                amount > room.get(asset, 0) for asset, amount in call.moves.items()
            ):
                return None
            slot = await self.open_slot(
                connection,
                lane,
                claim,
                purpose="approval",
                data=call.data,
                cost=fees(base_fee_wei=base_fee_wei, gas_limit=call.gas_limit),
                items=1,
            )
            await approvals.record_call(connection, slot, call)
        velocity.claimed(slot.id, call.moves)
        lane.in_flight += 1
        return slot

    async def claim_held(self, lane: Lane, *, base_fee_wei: int) -> Slot | None:
        """Claim one slot that cancels the numbers of held withdrawals on the chain, or None.

        Raises :class:`LaneLostError`.
        """
        velocity = self.velocity_of(lane)
        if velocity.room(now_s=now_s()) is None:
            return None
        async with committing(self.pool, "claim a cancellation") as connection:
            claim = await self.begin(connection, lane)
            if claim is None:
                return None
            rows = await connection.fetch(_HELD, lane.chain_id, lane.address, ITEMS_MAX)
            if not rows:
                return None
            slot = await self.open_slot(
                connection,
                lane,
                claim,
                purpose="cancel",
                data=cancel([(row["seq"], row["withdrawal_id"]) for row in rows]),
                cost=fees(base_fee_wei=base_fee_wei, gas_limit=cancel_gas_limit(len(rows))),
                items=len(rows),
            )
            await connection.execute(_SLOT_HELD, slot.id, [row["id"] for row in rows])
            await connection.execute(
                _ATTEMPT,
                slot.id,
                [row["withdrawal_id"] for row in rows],
                [row["seq"] for row in rows],
            )
        velocity.claimed(slot.id, {})
        lane.in_flight += 1
        return slot

    async def admit_again(self, slot: Slot) -> bool:
        """Look again whether mode and caps allow what ``slot`` does; False to wait.

        Payments that the mode now defers wait again, as do those that would fit into no window of
        the signer's caps, and the nonce is used for the rest, or for nothing. What was offered to a
        signer may be out already and keeps its use.

        Raises :class:`LaneLostError`.
        """
        lane = slot.lane
        async with committing(self.pool, "admit again") as connection:
            claim = await self.begin(connection, lane, claims=False)
            if claim is None:
                return False
            if await connection.fetchval(_OFFERED, slot.id):
                return True
            velocity = self.velocity_of(lane)
            rows = await connection.fetch(_OF_SLOT, slot.id) if slot.purpose == "payout" else []
            kept, deferred = split_batch(
                [Candidate.of(dict(row)) for row in rows],
                sizes=self._sizes(claim.tier),
                caps=velocity.caps.amounts,
            )
            released = await self._release(connection, slot, claim, velocity.caps.amounts)
            if not (deferred or released):
                await connection.execute(_ADMIT, slot.id, claim.mode_epoch)
                return True
            purpose: SlotPurpose = "payout" if kept else "cancel"
            data = pay(self._items(kept)) if kept else cancel([])
            intent = replace(slot.intent, data=data)
            gas_limit = pay_gas_limit(len(kept)) if kept else cancel_gas_limit(0)
            await connection.execute(
                _ADMIT_LESS, slot.id, claim.mode_epoch, purpose, data, intent.digest, gas_limit
            )
            await connection.execute(_RELEASE, [each.id for each in deferred])
            await self._change_floats(connection, lane.wallet, deferred, sign=1)
        velocity.claimed(slot.id, sums(kept))
        slot.purpose, slot.data, slot.items = purpose, data, len(kept)
        slot.fees = replace(slot.fees, gas_limit=gas_limit)
        return True

    async def begin(self, connection: Any, lane: Lane, *, claims: bool = True) -> Claim | None:
        """Lock the mode and the lane; None if nothing may be done now.

        A halt is only for who ``claims``: what was claimed before it goes on.
        """
        await connection.execute(_LOCK, database.MODE_LOCK)
        mode = await connection.fetchrow(_MODE, STALE_AFTER_MS, self.network)
        if mode is None or not mode["controlled"] or (claims and mode["halted"]):
            return None
        row = await connection.fetchrow(_LANE, lane.chain_id, lane.address)
        if (row["holder"], row["epoch"]) != (self.holder, lane.epoch):
            if row["holder"] == self.holder and row["epoch"] > lane.epoch:
                return None  # this settler has just moved the lane and not updated its memory yet
            raise LaneLostError(
                f"the lane of {lane.wallet} is held by {row['holder']} at epoch {row['epoch']}"
            )
        return Claim(
            mode_epoch=mode["epoch"],
            tier=mode["tier"],
            generation=mode["generation"],
            next_nonce=row["next_nonce"],
            lane_epoch=row["epoch"],
        )

    async def _renumbered(
        self, connection: Any, claim: Claim, chosen: Sequence[Candidate]
    ) -> list[Candidate]:
        """``chosen`` with new numbers for those whose number is of an earlier generation.

        No transaction with their old numbers can pay any more: the contract pays numbers of the
        generation in force alone, and what waits is in no slot.
        """
        old = [each.id for each in chosen if generation_of(each.seq) != claim.generation]
        if not old:
            return list(chosen)
        seqs = {row["id"]: row["seq"] for row in await connection.fetch(_RENUMBER, old)}
        if any(generation_of(seq) != claim.generation for seq in seqs.values()):
            raise InternalError(
                f"new numbers of withdrawals are not of generation {claim.generation}"
            )
        return [replace(each, seq=seqs.get(each.id, each.seq)) for each in chosen]

    async def open_slot(
        self,
        connection: Any,
        lane: Lane,
        claim: Claim,
        *,
        purpose: SlotPurpose,
        data: bytes,
        cost: Fees,
        items: int,
        to: str | None = None,
    ) -> Slot:
        """Open the lane's next nonce for a call of ``to``, which is its contract unless given."""
        called = to or lane.contract
        intent = Intent(
            chain_id=lane.chain_id,
            sender=lane.address,
            nonce=claim.next_nonce,
            to=called,
            value=0,
            data=data,
        )
        slot_id = await connection.fetchval(
            _OPEN,
            lane.chain_id,
            lane.address,
            claim.next_nonce,
            claim.lane_epoch,
            claim.mode_epoch,
            purpose,
            called,
            0,
            intent.data,
            cost.gas_limit,
            cost.max_fee_wei,
            cost.priority_fee_wei,
            intent.digest,
        )
        await connection.execute(_EVENT, slot_id)
        await connection.execute(_NONCE, lane.chain_id, lane.address)
        return Slot(
            id=slot_id,
            lane=lane,
            purpose=purpose,
            nonce=claim.next_nonce,
            to=called,
            value=0,
            data=intent.data,
            fees=cost,
            state="open",
            items=items,
        )

    async def _change_floats(
        self, connection: Any, wallet: str, moved: Iterable[Candidate], *, sign: int
    ) -> None:
        change = {asset: sign * amount for asset, amount in sums(moved).items()}
        await connection.execute(_CHANGE_FLOATS, wallet, list(change), list(change.values()))

    async def _release(
        self, connection: Any, slot: Slot, claim: Claim, caps: Mapping[str, int]
    ) -> bool:
        """Let what pays no customer by ``slot`` wait if it must not be signed any more; if so."""
        if slot.purpose == "approval":
            return await approvals.release(connection, slot, caps)
        if slot.stays_inside:
            return await topups.release(connection, slot, caps, tier=claim.tier)
        return False

    def velocity_of(self, lane: Lane) -> Velocity:
        """What the signer's caps leave to the lane."""
        if lane.wallet not in self._velocities:
            caps = signer_caps(self.policy, lane.wallet)
            self._velocities[lane.wallet] = Velocity(caps=caps)
        return self._velocities[lane.wallet]

    def _sizes(self, tier: Tier) -> tuple[str, ...]:
        defers = self.policy.tiers.promise(tier).defers
        return ("small",) if "withdrawals_large" in defers else ("small", "large")

    def _items(self, chosen: Iterable[Candidate]) -> list[Item]:
        return [
            Item(
                seq=each.seq,
                id=each.id,
                to=each.destination,
                token=self.token(each.asset),
                amount=each.amount,
            )
            for each in chosen
        ]

    def token(self, asset: str) -> str:
        """The token of ``asset`` as calls name it."""
        return NATIVE if asset == self.policy.networks[self.network].native else self.tokens[asset]

    def _floors(self, wallet: str) -> dict[str, int]:
        holdings = self.policy.wallets[wallet].holdings
        return {
            asset: self.policy.base_units(asset, holding.minimum)
            for asset, holding in holdings.items()
        }


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a claim rests on: the epochs of mode and lane, the tier, and the nonce that is next."""

    mode_epoch: int
    tier: Tier
    generation: int
    next_nonce: int
    lane_epoch: int

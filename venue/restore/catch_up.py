"""Catching up with the chains: a restored ledger learns what was done after its last moment.

Every transaction that a lane sent and the ledger does not know gets its slot again, ``broadcast``
and with its withdrawals, in the order of nonces. The settler then settles it as any other: by its
receipt, the contract's bits and the events, which name the withdrawals. What the lost ledger had
signed and not sent is sent before that, from the signers' own database: no signer would sign
anything else for its nonce. At the same time a new generation of the ledger begins. Settlers open
it in every contract before they claim anything, and once that is final, nothing that the lost
ledger had signed can pay.

What was accepted after the last moment cannot be known here. With the synchronous stream of the log
there is no such thing; without it, what was paid and is not on record shows on the chain, and is
listed. Then nothing is written until a person has accepted that.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

from seawall.errors import InternalError, ServiceError, UsageError
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.ethereum.values import block_stamp, uint256
from venue.contracts.approvals import Movement
from venue.contracts.calls import NATIVE, Item, generation_in_force, is_sweep, packed
from venue.ledger.chart import PayoutRoute, payout_routes
from venue.restore.accepted import Loss, LossError, counted
from venue.restore.acknowledged import Promise, forgotten
from venue.restore.floats import set_floats
from venue.restore.losses import LostSlot, Recorded, read_lost, settled_view
from venue.restore.signed import Logged, send_signed, signing_regions
from venue.restore.slots import Purpose, SlotWriter

if TYPE_CHECKING:
    from seawall.formats.venue_config import NetworkConfig, VenueConfig
    from seawall.policy import Policy
    from venue.database import Connection

_LEASE_SILENT_S = 1.5
_SILENT_WITHIN_S = 5.0
_WHY_TOPUP = "Found on the chain after a restore: the ledger that had asked for it was lost."
_CANCELLED = (
    "Its number was cancelled before the records of that were lost. The amount is held. "
    "Cancel the withdrawal to have it back in your balance."
)

_ALIVE = """
    select network from settler_leases
    where clock_timestamp() - renewed_at between interval '0' and $1 * interval '1 s'"""
_LANE = """
    select chain_id, address, wallet, network, epoch, signer_region, next_nonce from lanes
    where wallet = $1"""
# What is in a block and not final here may be in an earlier one than what is final.
_FIRST_BLOCK = """
    select least(max(block_number) filter (where state = 'final'),
                 min(block_number) filter (where state = 'included'))
    from slots where chain_id = $1 having bool_or(state = 'final')"""
_FOUNDED = "select extract(epoch from min(opened_at))::float8 from generations"
_IN_FLIGHT = """
    select s.nonce, s.digest, array_remove(array_agg(r.tx_hash) || s.tx_hash, null) as hashes
    from slots s left join replacements r on r.slot_id = s.id
    where (s.chain_id, s.address) = ($1, $2) and s.state <> 'final' group by s.id"""
_MODE = "select epoch from mode"
_OFFERED = """
    update slots set offered_epoch = epoch
    where (chain_id, address) = ($1, $2) and nonce = any($3::bigint[]) and state = 'open'
      and offered_epoch is null"""
_NEXT_NONCE = "update lanes set next_nonce = greatest(next_nonce, $2) where wallet = $1"
_WITHDRAWALS = """
    select id, state, network, asset, amount, coalesce(paid_to, destination) as destination
    from withdrawals where id = any($1::uuid[]) order by id for update"""
_ATTEMPTED = "select true from attempts where (slot_id, withdrawal_id) = ($1, $2)"
_ATTEMPT = """
    insert into attempts (slot_id, withdrawal_id, seq) values ($1, $2, $3) on conflict do nothing"""
_TAKE = """
    update withdrawals set state = 'slotted', slot_id = $2, seq = $3, reason = null
    where id = $1 and state = 'reserved'"""
_HOLD = """
    update withdrawals set state = 'unknown', slot_id = $2, seq = $3, held_because = 'refused',
        reason = $4
    where id = $1 and state = 'reserved'"""
_TAKE_TOPUP = """
    update topups set state = 'slotted', slot_id = $2, seq = $3
    where id = $1 and state in ('requested', 'slotted') returning true"""
# There was one at a time: another one was asked for only after this was taken back.
_OVERTAKEN = """
    update topups set state = 'taken_back'
    where (to_wallet, asset) = ($1, $2) and state = 'requested'"""
_ON_SLOT = "select true from topups where (id, slot_id) = ($1, $2)"
_ADD_TOPUP = """
    insert into topups (id, network, asset, from_wallet, to_wallet, amount, state, justification,
                        slot_id, seq, restored)
    values ($1, $2, $3, $4, $5, $6, 'slotted', $7, $8, $9, true)"""
_NUMBERS = "alter table withdrawals alter column seq set generated {}"
_CALLED = "select true from approval_calls where slot_id = $1"
_ADD_CALL = "insert into approval_calls (slot_id, request_id, call) values ($1, $2, $3)"
_GENERATION = "select max(generation) from generations"
_BEGIN = "insert into generations (generation, reason) values ($1, $2)"


@dataclass(frozen=True, kw_only=True)
class CaughtUp:
    """What was done: the generation that begins, and how much of the lost ledger was written."""

    generation: int
    slots: int
    withdrawals: int
    topups: int
    losses: tuple[Loss, ...]
    forgotten: tuple[Promise, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Lane:
    """A lane as it is on record, its contract, and what it did that is not.

    ``regions`` are those whose signers signed that, by hash. ``held`` is what the contract held at
    that moment, base units by asset.
    """

    row: Mapping[str, Any]
    contract: str
    in_force: int
    lost: Sequence[LostSlot]
    regions: Mapping[str, str]
    logged: Logged
    held: Mapping[str, int]


async def catch_up(
    connection: Connection,
    sign_log: Connection,
    *,
    config: VenueConfig,
    policy: Policy,
    reason: str,
    accepted: str | None = None,
    acknowledged: Collection[Promise] = (),
) -> CaughtUp:
    """Bring the restored ledger to what the chains say, and begin a generation.

    What was signed and is on no record is sent first. Everything is written in one transaction. A
    second call begins another generation and changes nothing else.

    Args:
        connection: The owner's, to a ledger that nobody else uses yet.
        sign_log: To the signers' own database, which is read alone.
        config: Where the networks are.
        policy: The policy in force.
        reason: Why the ledger was restored; recorded with the generation.
        accepted: Who accepts that requests are lost, and why; None if nobody does.
        acknowledged: What customers were told, by a log that was not lost.

    Raises:
        UsageError: A settler is alive.
        ServiceError: The chains cannot be read, or what they say is not final, or contradicts the
            records so that people must look.
        LossError: Something that was acknowledged is lost, and nobody accepts that.
    """
    await _nobody_settles(connection)
    lanes: list[_Lane] = []
    for network, route in payout_routes(policy).items():
        site = config.networks[network]
        async with AsyncRpcClient(network, (site.rpc.primary, site.rpc.standby)) as rpc:
            await rpc.check_chain(site.chain_id)
            lanes += await _read_lanes(connection, sign_log, rpc, site, route, policy)
    writer = _Writer(connection=connection, config=config, policy=policy)
    async with connection.transaction():
        return await writer.write(
            lanes, reason=reason, accepted=accepted, acknowledged=acknowledged
        )


async def _nobody_settles(connection: Connection) -> None:
    """Wait until the leases of the lost ledger's settlers are old. Raises :class:`UsageError`."""
    try:
        async with asyncio.timeout(_SILENT_WITHIN_S):
            # a database is polled
            while await connection.fetchval(_ALIVE, _LEASE_SILENT_S):  # noqa: ASYNC110
                await asyncio.sleep(_LEASE_SILENT_S / 3)
    except TimeoutError as error:
        raise UsageError(
            "a settler uses this ledger", remedy="stop it: nothing may be claimed meanwhile"
        ) from error


async def _read_lanes(  # noqa: PLR0917 - each is of another kind
    connection: Connection,
    sign_log: Connection,
    rpc: AsyncRpcClient,
    site: NetworkConfig,
    route: PayoutRoute,
    policy: Policy,
) -> list[_Lane]:
    """The lanes of a network, all as of one final block."""
    rows, recorded, logged = {}, {}, {}
    for wallet in route.lanes:
        contract = site.contract_of(wallet)
        if contract is None:
            raise UsageError(f"the configuration names no contract of {wallet}")
        row = await connection.fetchrow(_LANE, wallet)
        if row is None:
            raise UsageError(f"this ledger has no lane of {wallet}")
        key = (row["chain_id"], row["address"])
        in_flight = await connection.fetch(_IN_FLIGHT, *key)
        rows[wallet] = dict(row)
        recorded[wallet] = Recorded(
            address=row["address"],
            contract=contract.lower(),
            chain_id=row["chain_id"],
            next_nonce=row["next_nonce"],
            in_flight={each["nonce"]: each["hashes"] for each in in_flight},
            gas_tank=None if site.gas_tank is None else site.gas_tank.lower(),
        )
        digests = {each["nonce"]: each["digest"] for each in in_flight}
        found = await send_signed(sign_log, rpc, recorded[wallet], digests)
        logged[wallet] = found
        recorded[wallet] = replace(recorded[wallet], sent_below=found.sent_below)
    view, nonces = await settled_view(rpc, recorded)
    first = await _first_block(connection, rpc, site.chain_id) if any(nonces.values()) else 0
    native = policy.networks[route.network].native
    lanes = []
    for wallet, lane in recorded.items():
        held = {
            asset: await view.balance(
                lane.contract, token=None if asset == native else site.tokens[asset]
            )
            for asset in policy.networks[route.network].assets
        }
        lost = await read_lost(view, lane, nonces=nonces[wallet], first_block=first)
        in_force = await rpc.read(lane.contract, generation_in_force(), uint256)
        lanes.append(
            _Lane(
                row=rows[wallet],
                contract=lane.contract,
                in_force=in_force,
                lost=lost,
                regions=await signing_regions(sign_log, lane, nonces[wallet]),
                logged=logged[wallet],
                held=held,
            )
        )
    return lanes


async def _first_block(connection: Connection, rpc: AsyncRpcClient, chain_id: int) -> int:
    """The block since which lost transactions can be.

    The last one in which this ledger knows of something final; if there is none, the first one
    after the venue was founded.
    """
    last = await connection.fetchval(_FIRST_BLOCK, chain_id)
    if last is not None:
        return int(last)
    founded_at = await connection.fetchval(_FOUNDED)
    low, high = 0, (await rpc.head()).number
    while low < high:
        middle = (low + high) // 2
        block = await rpc.ask(block_stamp, "eth_getBlockByNumber", hex(middle), False)
        if block.timestamp < founded_at:
            low = middle + 1
        else:
            high = middle
    return max(0, low - 1)


@dataclass(kw_only=True)
class _Writer:
    """Writes lost slots and what they were for, in the caller's transaction."""

    connection: Connection
    config: VenueConfig
    policy: Policy
    slots: SlotWriter = field(init=False)

    async def write(
        self,
        lanes: Sequence[_Lane],
        *,
        reason: str,
        accepted: str | None,
        acknowledged: Collection[Promise],
    ) -> CaughtUp:
        here = await self.connection.fetchval(_GENERATION)
        generation = 1 + max(here, *(lane.in_force for lane in lanes))
        self.slots = SlotWriter(
            connection=self.connection, mode_epoch=await self.connection.fetchval(_MODE)
        )
        losses: list[Loss] = []
        withdrawals = topups = written = 0
        # A withdrawal that was paid anew has the number under which the chain knows it.
        await self.connection.execute(_NUMBERS.format("by default"))
        for lane in lanes:
            row = lane.row
            found = [
                await self.slots.write(
                    row,
                    lost,
                    _purpose(lane, lost, self.policy),
                    lane.regions.get(lost.sent.tx_hash, row["signer_region"]),
                )
                for lost in lane.lost
            ]
            await self.connection.execute(
                _OFFERED, row["chain_id"], row["address"], lane.logged.recorded
            )
            slots = [slot for slot, _ in found]
            written += sum(1 for _, changed in found if changed)
            topups += await self._topups(lane, slots)
            if _reserve(lane, self.policy):
                await self._approvals(lane, slots)
            else:
                taken, unknown = await self._withdrawals(lane, slots)
                withdrawals += taken
                losses += unknown
            if lane.lost:
                await self.connection.execute(
                    _NEXT_NONCE, lane.row["wallet"], lane.lost[-1].sent.intent.nonce + 1
                )
        await self.connection.execute(_NUMBERS.format("always"))
        listed = {loss.withdrawal for loss in losses}
        lost = [
            each
            for each in await forgotten(self.connection, acknowledged)
            if each.kind != "withdrawal" or each.id not in listed
        ]
        if (losses or lost) and accepted is None:
            raise LossError(losses, lost)
        for lane in lanes:
            if lane.logged.stuck is not None:
                raise ServiceError(
                    lane.logged.stuck,
                    remedy="look for a later moment to restore from, then at the runbook sign-log;"
                    " the ledger was not changed",
                )
        for lane in lanes:
            await self._floats(lane, lanes)
        if losses or lost:
            reason = f"{reason} {counted(losses, lost)} are lost; accepted: {accepted}"
        await self.connection.execute(_BEGIN, generation, reason)
        await self.connection.execute(
            f"alter table withdrawals alter column seq restart with {packed(generation, 1)}"
        )
        return CaughtUp(
            generation=generation,
            slots=written,
            withdrawals=withdrawals,
            topups=topups,
            losses=tuple(losses),
            forgotten=tuple(lost),
        )

    async def _floats(self, lane: _Lane, lanes: Sequence[_Lane]) -> None:
        """Set what the wallet of ``lane`` may still pay, once all that was lost is written."""
        wallet = lane.row["wallet"]
        paid = [item for lost in lane.lost for item in lost.events.paid.values()]
        known = await self.connection.fetch(_WITHDRAWALS, [item.id for item in paid])
        ids = {row["id"] for row in known}
        refills = [
            item
            for other in lanes
            if other.row["network"] == lane.row["network"]
            for lost in other.lost
            for item in lost.left
            if item.to == lane.contract
        ]
        await set_floats(
            self.connection,
            wallet,
            bucket=self.policy.wallets[wallet].bucket,
            paid=self._sums(lane, (item for item in paid if item.id in ids or is_sweep(item.seq))),
            refilled=self._sums(lane, refills),
            held=lane.held,
        )

    def _sums(self, lane: _Lane, items: Iterable[Item | Movement]) -> Counter[str]:
        """Base units by asset."""
        sums: Counter[str] = Counter()
        for item in items:
            sums[self._asset(lane, item.token)] += item.amount
        return sums

    async def _withdrawals(self, lane: _Lane, slots: Sequence[int]) -> tuple[int, list[Loss]]:
        """Give withdrawals to the last lost slot that was for them; those that are not on record.

        An earlier one has not paid them, or there would be no later one.
        """
        last: dict[UUID, tuple[int, LostSlot, int, Item | None]] = {}
        attempts: list[tuple[int, UUID, int]] = []
        for slot, lost in zip(slots, lane.lost, strict=True):
            for paying in lost.call.items:
                if is_sweep(paying.seq):
                    continue
                last[paying.id] = (slot, lost, paying.seq, paying)
                attempts.append((slot, paying.id, paying.seq))
            for seq, identity in lost.call.numbers:
                last[identity] = (slot, lost, seq, None)
                attempts.append((slot, identity, seq))
        found = await self.connection.fetch(_WITHDRAWALS, sorted(last))
        rows = {row["id"]: dict(row) for row in found}
        known = await self._attempted(attempts, rows)
        taken = 0
        for identity, (slot, _, seq, paid) in last.items():
            row = rows.get(identity)
            if row is None or (slot, identity) in known:
                continue
            taken += await self._take(lane, dict(row), slot, seq, paid)
        losses = [
            Loss(
                network=lane.row["network"],
                withdrawal=identity,
                seq=seq,
                to=item.to,
                asset=self._asset(lane, item.token),
                amount=item.amount,
                tx_hash=lost.sent.tx_hash,
                paid=lost.events.paid.get(seq) == item,
            )
            for identity, (_, lost, seq, item) in last.items()
            if identity not in rows and item is not None
        ]
        return taken, losses

    async def _attempted(
        self, attempts: Sequence[tuple[int, UUID, int]], rows: Mapping[UUID, Any]
    ) -> set[tuple[int, UUID]]:
        """Record what slots were for; those pairs that were on record, with their slot."""
        known = set()
        for slot, identity, seq in attempts:
            if identity not in rows:
                continue
            if slot not in self.slots.displaced and await self.connection.fetchval(
                _ATTEMPTED, slot, identity
            ):
                known.add((slot, identity))
            else:
                await self.connection.execute(_ATTEMPT, slot, identity, seq)
        return known

    async def _take(
        self, lane: _Lane, row: Mapping[str, Any], slot: int, seq: int, item: Item | None
    ) -> int:
        """Give a withdrawal to ``slot``, or hold it if that cancelled its number; 1 if given."""
        if item is None and row["state"] == "unknown":
            return 0  # it is held as before, and its number is used up
        if row["state"] != "reserved":
            raise ServiceError(
                f"withdrawal {row['id']} is {row['state']} here, and a later transaction was for"
                " it",
                remedy="people must look; nothing has been changed",
            )
        if item is None:
            await self.connection.execute(_HOLD, row["id"], slot, seq, _CANCELLED)
            return 0
        asked = (row["destination"], row["amount"], row["asset"])
        if asked != (item.to, item.amount, self._asset(lane, item.token)):
            raise ServiceError(
                f"withdrawal {row['id']} is for something else here than what {item} paid",
                remedy="people must look; nothing has been changed",
            )
        await self.connection.execute(_TAKE, row["id"], slot, seq)
        return 1

    async def _topups(self, lane: _Lane, slots: Sequence[int]) -> int:
        """Write the top-ups, or the sweeps, that lost slots were for; how many.

        One that was tried again has the last of its slots; no earlier one has moved it.
        """
        site = self.config.networks[lane.row["network"]]
        reserve = _reserve(lane, self.policy)
        contracts = site.payout_contracts if reserve else site.reserve_contracts
        wallets = {contract.lower(): wallet for wallet, contract in contracts.items()}
        last: dict[UUID, tuple[int, Item]] = {}
        for slot, lost in zip(slots, lane.lost, strict=True):
            for item in lost.call.items:
                if not (reserve or is_sweep(item.seq)):
                    continue  # a customer's
                if item.to not in wallets:
                    raise ServiceError(
                        f"{lost.sent.tx_hash} of {lane.row['wallet']} paid {item.to}, which is no"
                        " wallet that it refills, or gives back to",
                        remedy="stop signing (runbook signing-procedures); nothing was changed",
                    )
                last[item.id] = slot, item
        done = 0
        for slot, item in last.values():
            if await self.connection.fetchval(_ON_SLOT, item.id, slot):
                continue  # it was open, and only its signature was lost
            done += 1
            if not await self.connection.fetchval(_TAKE_TOPUP, item.id, slot, item.seq):
                await self._add_topup(lane, item, slot, wallets[item.to])
        return done

    async def _approvals(self, lane: _Lane, slots: Sequence[int]) -> None:
        """Write which approvals lost slots were about; settlers read at finality what they did."""
        for slot, lost in zip(slots, lane.lost, strict=True):
            called = lost.call.approval
            if called is None or await self.connection.fetchval(_CALLED, slot):
                continue
            try:
                await self.connection.execute(_ADD_CALL, slot, called.approval, called.name)
            except asyncpg.ForeignKeyViolationError as error:
                raise ServiceError(
                    f"{lost.sent.tx_hash} of {lane.row['wallet']} was a {called.name} of approval"
                    f" {called.approval}, for which nobody has asked here",
                    remedy="people must look; nothing has been changed",
                ) from error

    async def _add_topup(self, lane: _Lane, item: Item, slot: int, wallet: str) -> None:
        asset = self._asset(lane, item.token)
        await self.connection.execute(_OVERTAKEN, wallet, asset)
        try:
            await self.connection.execute(
                _ADD_TOPUP,
                *(item.id, lane.row["network"], asset, lane.row["wallet"], wallet, item.amount),
                *(_WHY_TOPUP, slot, item.seq),
            )
        except asyncpg.UniqueViolationError as error:
            raise ServiceError(
                f"{wallet} was refilled with {asset} by {item.id}, which ended before that here",
                remedy="people must look; nothing has been changed",
            ) from error

    def _asset(self, lane: _Lane, token: str) -> str:
        network = lane.row["network"]
        if token == NATIVE:
            return self.policy.networks[network].native
        tokens = self.config.networks[network].tokens
        found = next((asset for asset, each in tokens.items() if each.lower() == token), None)
        if found is None:
            raise InternalError(f"{token} is no token of {network}")
        return found


def _purpose(lane: _Lane, lost: LostSlot, policy: Policy) -> Purpose:
    if lost.call.generation is not None:
        return "generation"
    if lost.call.approval is not None:
        return "approval"
    if lost.call.refilled is not None:
        return "gas"
    if not lost.call.items:
        return "cancel"
    if _reserve(lane, policy):
        return "topup"
    return "sweep" if is_sweep(lost.call.items[0].seq) else "payout"


def _reserve(lane: _Lane, policy: Policy) -> bool:
    return policy.wallets[lane.row["wallet"]].wallet_class == "reserve"

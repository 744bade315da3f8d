"""Who acts in a run beside settlers and signers: miners, customers, the house, and what fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from seawall.controls.heartbeat import BEAT_EVERY_MS
from seawall.controls.sizing import signer_caps, sweep, top_up
from seawall.controls.steady import SteadyClock
from seawall.errors import ServiceError, UsageError
from seawall.formats.drill_contract import WithdrawalReceipt
from tests.simulation.loop import nap
from tests.simulation.made import Booked
from tests.simulation.nodes import LIES
from tests.simulation.setting import CUSTOMERS, NETWORK
from tests.simulation.sql.claiming import payable
from tests.simulation.sql.reserving import accounts_of
from venue.api.intake import Reservation
from venue.api.reservations import cancel_withdrawal, commit_batch
from venue.database import FAILURES
from venue.operator.held import decide

if TYPE_CHECKING:
    from tests.simulation.world import World

BLOCK_S = 0.4
SAFETY_S = (4.0, 9.0)
"""How long the phase in which things fail lasts."""
WITHDRAWALS = (4, 16)
_TICK_S = 0.1
_NOBODY_CONTRADICTS = 0.7
"""How often the other endpoint is silent for as long as a lie lasts, where that may be."""
_OVER_RAILS = 0.6
"""How many withdrawals go over a rail, where there are networks as well."""
_TRIES = 4
"""How often a customer asks again; then it is never known whether the request was taken."""


@dataclass(kw_only=True)
class Actors:
    """All of them, of one world."""

    world: World
    _people: Random = field(init=False)
    _nature: Random = field(init=False)
    _clock: SteadyClock = field(default_factory=SteadyClock)
    _booked: Booked = field(default_factory=Booked)

    def __post_init__(self) -> None:
        self._people = self.world.stream("people")
        self._nature = self.world.stream("nature")

    def all(self) -> list[Coroutine[Any, Any, None]]:
        """What runs until the end of the run."""
        if not self.world.plan.networks:
            return [self._beat(), self._flip(), self._cancel()]
        return [
            self._mine(),
            self._beat(),
            self._flip(),
            self._refill(),
            self._refill_gas(),
            self._operate(),
            self._cancel(),
            self._strike(),
        ]

    # Customers.

    async def withdraw(self) -> None:
        """Ask for withdrawals, in a few bursts, for as long as things may fail."""
        people, world = self._people, self.world
        ends_s = people.uniform(*SAFETY_S) * (2 if world.plan.lies_alone else 1)
        count = people.randint(*WITHDRAWALS)
        moments = sorted(people.random() ** 2 * 0.8 * ends_s for _ in range(count))
        for moment in moments:
            await nap(max(0.0, moment - world.loop.time()))
            await self._reserve()
        await nap(max(0.0, ends_s - world.loop.time()))

    async def _reserve(self) -> None:
        """Ask for one withdrawal, and again with the same id until there is an answer."""
        people, world, rails = self._people, self.world, self.world.rails
        if rails is not None and (not world.plan.networks or people.random() < _OVER_RAILS):
            wanted = rails.wanted(people)
        else:
            wanted = self._wanted()
        for _ in range(_TRIES):
            try:
                async with world.database.pool().acquire() as connection:
                    (answer,) = await commit_batch(
                        cast("Any", connection), world.setting.policy, [wanted], clock=self._clock
                    )
            except (ServiceError, *FAILURES):
                await nap(0.1 + 0.2 * people.random())
                continue
            if isinstance(answer, WithdrawalReceipt):
                world.trace.reach(f"intake: {answer.outcome}")
                world.observer.acknowledged.append(wanted.id)
            return

    def _wanted(self) -> Reservation:
        """A withdrawal on the network."""
        people, world, it = self._people, self.world, self.world.setting
        asset = people.choice(sorted(it.tokens))
        large = people.random() < world.faults.large
        unit = it.held_at_first(it.hot, asset)
        part = people.uniform(0.05, 0.2) if large else people.uniform(1e-4, 1e-3)
        amount = int(unit * part)
        destination = "0x" + people.randbytes(20).hex()
        if people.random() < world.faults.refused_destination:
            world.chain.refusing.add(destination)
        customer = people.randrange(CUSTOMERS)
        place = {"bucket": it.bucket, "network": NETWORK, "asset": asset}
        return Reservation(
            id=UUID(bytes=people.randbytes(16)),
            customer_id=customer,
            bucket=it.bucket,
            source_network=NETWORK,
            network=NETWORK,
            asset=asset,
            amount=amount,
            value_micro=it.policy.value_micro(asset, amount),
            destination=destination,
            **accounts_of(place, customer),
        )

    async def _cancel(self) -> None:
        """Some want their money back, at any moment."""
        people, world = self.world.stream("regret"), self.world
        while not world.healed:
            await nap(0.05 + 0.4 * people.random())
            if world.observer.acknowledged and people.random() < world.faults.cancellations:
                each = people.choice(world.observer.acknowledged)
                customer = world.database.tables["withdrawals"][each]["customer_id"]
                try:
                    async with world.database.pool().acquire() as connection:
                        await cancel_withdrawal(
                            cast("Any", connection),
                            world.setting.policy,
                            customer,
                            cast("UUID", each),
                        )
                except (ServiceError, *FAILURES):
                    continue

    # The house.

    async def _beat(self) -> None:
        """The heartbeat of the mode controller."""
        world, random = self.world, self.world.stream("heartbeat")
        while True:
            silent = not world.healed and random.random() < world.faults.controller_silent * 0.2
            if silent:
                world.trace.reach("fault: mode controller silent")
                await nap(1.5 + random.random())
            for ledger in (world.database, *(() if world.rails is None else world.rails.lost)):
                lease = ledger.tables["mode_controller_lease"]["only"]
                lease["renewed_at"] = world.loop.time()
            await nap(BEAT_EVERY_MS / 1_000)

    async def _flip(self) -> None:
        """Change the mode now and then; when all is healed it is normal."""
        world, random = self.world, self.world.stream("flips")
        while True:
            await nap(0.1 + 0.4 * random.random())
            tier = world.database.tables["mode"]["only"]["tier"]
            if world.healed:
                if tier == "normal":
                    return
                await self._set_mode("normal")
            elif random.random() < world.faults.flips * 0.4:
                await self._set_mode(random.choice(("normal", "stressed", "protected")))

    async def _set_mode(self, tier: str) -> None:
        world = self.world
        tx = world.database.transaction()
        try:
            await world.database.mode_lock.take(tx, alone=True)
            row = tx.get("mode", "only")
            assert row is not None
            tx.put("mode", "only", {"epoch": row["epoch"] + 1, "tier": tier})
            tx.commit()
            world.trace.reach("flip")
        except FAILURES:  # it is tried again
            return
        finally:
            tx.end()

    async def _refill(self) -> None:
        """The treasury: ask for a top-up or a sweep where one is due."""
        world, it = self.world, self.world.setting
        random = world.stream("treasury")
        while True:
            await nap(0.5)
            tables = world.database.tables
            for asset in sorted(it.tokens):
                available = tables["floats"][it.hot, asset]["available"]
                under_way = {
                    row["from_wallet"]: row
                    for row in tables["topups"].values()
                    if row["asset"] == asset and row["state"] in ("requested", "slotted")
                }
                if it.hot in under_way:
                    await self._take_back(under_way[it.hot], available)
                elif tables["mode"]["only"]["tier"] == "normal":
                    await self._sweep(asset, available, UUID(bytes=random.randbytes(16)))
                if it.reserve in under_way:
                    continue
                account = (it.bucket, NETWORK, asset, "reserve", None)
                booked = self._booked.at(tables["entries"], account)
                amount = top_up(
                    it.policy, it.hot, asset, available=available, in_flight=0, reserve=booked
                )
                if amount is not None:
                    number = UUID(bytes=random.randbytes(16))
                    await self._ask_for(asset, amount, number, source=it.reserve, to=it.hot)

    async def _sweep(self, asset: str, available: int, number: UUID) -> None:
        it = self.world.setting
        if self.world.faults.tight_cap:
            return  # its contract would never pay a sweep of the size that the policy gives it
        amount = sweep(it.policy, it.hot, asset, available=available, waiting=self._waiting(asset))
        if amount is not None:
            self.world.trace.reach("sweep")
            await self._ask_for(asset, amount, number, source=it.hot, to=it.reserve)

    def _waiting(self, asset: str) -> int:
        """Base units that customers wait for, and the hot wallet could pay."""
        it, rows = self.world.setting, self.world.database.tables["withdrawals"].values()
        return payable(rows, NETWORK, it.bucket, signer_caps(it.policy, it.hot).amounts)[asset]

    async def _take_back(self, row: Mapping[str, Any], available: int) -> None:
        """Take a sweep back that no longer fits beside what customers wait for, unless claimed."""
        it, database = self.world.setting, self.world.database
        maximum = it.policy.wallets[it.hot].holdings[row["asset"]].maximum
        waiting, cap = self._waiting(row["asset"]), signer_caps(it.policy, it.hot).amounts
        left = available - waiting - row["amount"]
        fits = row["amount"] <= cap[row["asset"]] - waiting
        if fits and left >= it.policy.base_units(row["asset"], maximum):
            return
        tx = database.transaction()
        try:
            newest = await tx.take("topups", row["id"])
            if newest is not None and newest["state"] == "requested":
                tx.put("topups", row["id"], newest | {"state": "taken_back"})
                tx.commit()
        except FAILURES:  # it is looked at again
            return
        finally:
            tx.end()

    async def _ask_for(
        self, asset: str, amount: int, number: UUID, *, source: str, to: str
    ) -> None:
        world, it = self.world, self.world.setting
        tx = world.database.transaction()
        row = {
            "id": number,
            "n": world.database.number("topups"),
            "network": NETWORK,
            "asset": asset,
            "from_wallet": source,
            "to_wallet": to,
            "amount": amount,
            "state": "requested",
            "slot_id": None,
            "seq": None,
            "requested_at": world.loop.time(),
            "bucket": it.bucket,
        }
        try:
            await tx.insert("topups", number, row, (to, asset))
            tx.commit()
        finally:
            tx.end()

    async def _refill_gas(self) -> None:
        """The treasury: now and then a key has little left for its transactions."""
        world, it = self.world, self.world.setting
        random = world.stream("gas")
        while not world.healed:
            await nap(1 + 4 * random.random())
            wallet, number = random.choice((it.hot, it.reserve)), UUID(bytes=random.randbytes(16))
            if any(
                (row["wallet"], row["state"] != "done") == (wallet, True)
                for row in world.database.tables["gas_refills"].values()
            ):
                continue
            row = {
                "id": number,
                "network": NETWORK,
                "wallet": wallet,
                "address": it.address(wallet),
                "state": "requested",
                "slot_id": None,
            }
            tx = world.database.transaction()
            try:
                await tx.insert("gas_refills", number, row, wallet)
                tx.commit()
            finally:
                tx.end()

    async def _operate(self) -> None:
        """People decide what is to become of held withdrawals."""
        world, random = self.world, self.world.stream("operators")
        while True:
            await nap(0.4 + 0.4 * random.random())
            tables = world.database.tables
            for key, row in list(tables["withdrawals"].items()):
                if row["state"] != "unknown" or random.random() < 0.3:
                    continue
                tried = sum(
                    1 for each in tables["resolutions"].values() if each["withdrawal_id"] == key
                )
                anew = tried == 0 and random.random() < 0.5
                elsewhere = "0x" + random.randbytes(20).hex() if random.random() < 0.5 else None
                try:
                    async with world.database.pool().acquire() as connection:
                        await decide(
                            cast("Any", connection),
                            key,
                            "pay" if anew else "void",
                            actor="operator",
                            justification="simulated",
                            destination=elsewhere if anew else None,
                        )
                except (UsageError, *FAILURES):
                    continue

    # What fails by itself.

    async def _mine(self) -> None:
        """Blocks, and what is wrong with them."""
        world, random = self.world, self._nature
        chain, faults = world.chain, world.faults
        while True:
            await nap(BLOCK_S * random.uniform(0.7, 1.3))
            now_s, failing = world.loop.time(), not world.healed
            if failing and random.random() < faults.reorganisation * BLOCK_S:
                forget = 0.5 if random.random() < 0.3 else 0.0
                chain.reorganise(random.randint(1, 3), time_s=now_s, forget=forget)
            else:
                empty = failing and random.random() < faults.empty_blocks
                if empty:
                    world.trace.reach("fault: empty block")
                chain.mine(time_s=now_s, empty=empty)
            if failing and random.random() < faults.fee_spike * BLOCK_S:
                world.trace.reach("fault: fee spike")
                chain.base_fee_wei = 10**9 * random.randint(10, 500)
            chain.base_fee_wei = max(10**9, chain.base_fee_wei * 7 // 8)
            world.observer.look()

    async def _strike(self) -> None:
        """Everything that begins at some moment and lasts for a while."""
        world, random = self.world, self.world.stream("strikes")
        faults = world.faults
        while True:
            await nap(_TICK_S)
            if world.healed:
                return

            def happens(rate: float) -> bool:
                return random.random() < rate * _TICK_S

            self._strike_processes(happens, random)
            if happens(faults.database_restart):
                self.world.restart(world.database, "database", random.uniform(0.1, 1.5))
            if happens(faults.database_restart):
                self.world.restart(world.sign_log, "sign log", random.uniform(0.1, 1.5))
            for provider in world.providers.values():
                if happens(faults.provider_dark):
                    provider.dark = True
                    self._later(random.uniform(0.5, 4.0), provider, "dark", value=False)
            for endpoint in world.endpoints:
                self._trouble(endpoint, random)
            if happens(faults.asset_paused):
                world.trace.reach("fault: asset paused")
                token = random.choice(sorted(set(world.setting.tokens.values())))
                world.chain.paused = frozenset({token})
                self._later(random.uniform(0.5, 3.0), world.chain, "paused", value=frozenset())

    def _strike_processes(self, happens: Callable[[float], bool], random: Random) -> None:
        world, faults = self.world, self.world.faults
        for settler in world.settlers:
            life = settler.life
            if life is None or life.dead:
                continue
            if happens(faults.kill):
                world.trace.reach("fault: settler killed")
                life.kill()
            elif happens(faults.stop):
                world.trace.reach("fault: settler told to stop")
                world.stops[settler.name].set()
            elif happens(faults.freeze):
                world.trace.reach("fault: settler frozen")
                life.freeze(random.uniform(0.3, 4.0))
        for signer in world.signers.signers.values():
            life = signer.supervisor.life
            if life is not None and not life.dead and happens(faults.signer_kill):
                world.trace.reach("fault: signer killed")
                life.kill()

    def _trouble(self, endpoint: Any, random: Random) -> None:
        world = self.world
        faults, moods = world.faults, endpoint.moods
        if random.random() < faults.lag * _TICK_S:
            moods.lag = random.randint(0, 4)
            if moods.lag:
                world.trace.reach("fault: endpoint lags")
        if random.random() < faults.stuck * _TICK_S:
            world.trace.reach("fault: endpoint stuck")
            moods.stuck = True
            self._later(random.uniform(0.5, 20.0), moods, "stuck", value=False)
        lied = any(each.moods.lies for each in endpoint.neighbours)
        # Few numbers are ever cancelled; where lies are what a run is about, they meet those.
        cancelling = world.plan.lies_alone and any(
            row["purpose"] == "cancel" and row["state"] != "final"
            for row in world.database.tables["slots"].values()
        )
        if not lied and random.random() < (8.0 if cancelling else faults.lies) * _TICK_S:
            until_s = random.uniform(0.5, 3.0)
            for lie in random.choice((("says_reverted",), ("hides_bits",), LIES)):
                setattr(moods, lie, True)
                self._later(until_s, moods, lie, value=False)
            for each in endpoint.neighbours:
                each.see(world.chain.tip)
                if world.plan.lies_alone and random.random() < _NOBODY_CONTRADICTS:
                    each.moods.silent = 1.0
                    self._later(until_s, each.moods, "silent", value=0.0)

    def _later(self, seconds: float, what: Any, name: str, *, value: Any) -> None:
        asyncio.get_running_loop().call_later(seconds, setattr, what, name, value)

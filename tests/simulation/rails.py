"""The part of a world that pays over a rail: two providers, who pays there, and what fails.

What fails of the database, of the mode and of processes is the world's; a ledger that is lost and
restored is of this part alone, because the contracts of networks know the generation of theirs.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from sandbox.counterparties.payouts import Terms, terms_of
from seawall.conventions.components import SIDES
from seawall.formats.venue_config import Endpoint
from seawall.invariants import Payment, Statement
from tests.simulation.loop import nap
from tests.simulation.processes import Life, Supervisor
from tests.simulation.providers import PAYER, Line, ShortDays, SimulatedProvider, Wire
from tests.simulation.setting import CUSTOMERS, NETWORK
from tests.simulation.sql.reserving import accounts_of
from tests.simulation.sql.settling import account
from venue.api.intake import Reservation
from venue.process import start_over
from venue.rails.pay import Ports, pay_through

if TYPE_CHECKING:
    from tests.simulation.store import Database
    from tests.simulation.world import World

WORKERS = ("rails-a", "rails-b")
_RAILS = ("exchange", "fiat")
_TAKEN = {"exchange": r"0x(?!bad)[0-9a-f]{40}", "fiat": r"GB[A-Z0-9]+"}
"""Destinations that a provider of each rail takes."""
_SETTLE_EVERY_S = 0.1
_TICK_S = 0.1
_KEPT_AGAIN = 0.05
"""How often a ledger that may be lost is backed up although nobody has asked for anything."""
_LOOK_EVERY_S = 0.4
_FORGETS_WITHIN_S = 15.0
_NOTICED_S = 2.5
"""Longer than a request to a provider waits for its answer."""
_ENDPOINT = Endpoint(**{side: f"http://{side}" for side in SIDES})


@dataclass(kw_only=True)
class Rails:
    """One rail of a world: an exchange's or a processor's, by the seed."""

    world: World
    rail: str = field(init=False)
    providers: dict[str, SimulatedProvider] = field(init=False)
    workers: list[Supervisor] = field(init=False)
    lost: list[Database] = field(default_factory=list)
    """Ledgers that were lost, and that somebody may still go on by."""
    _stops: dict[str, asyncio.Event] = field(default_factory=dict)
    _backup: Any = None
    _read_from_backup: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        world = self.world
        random = world.stream("rails")
        self.rail = random.choice(_RAILS)
        terms, faults = self._terms(random), world.faults
        self._bucket = world.setting.bucket
        self._may_be_lost = faults.rail_restored > 0 and not world.plan.networks
        self._assets = sorted(set(terms.funding) & set(world.setting.tokens))
        self._unit = {asset: terms.funding[asset] // 200 for asset in self._assets}
        page = random.randint(1, 4) if faults.rail_pages else 10**9
        self.providers = {
            side: SimulatedProvider(
                side=side,
                terms=terms,
                now_s=world.loop.time,
                trace=world.trace,
                line=self._line(random),
                page=page,
            )
            for side in SIDES
        }
        self._wire = Wire(
            providers=self.providers, draw=world.stream("wire of rails").random, trace=world.trace
        )
        rest = world.stream("supervisor of rails")
        names = WORKERS[: random.randint(1, len(WORKERS))]
        self.workers = [world.supervisor(name, self._pay, rest) for name in names]
        self._found(terms)

    def _terms(self, random: Random) -> Terms:
        world = self.world
        policy = world.setting.policy
        hours = ShortDays(
            open_s=4, day_s=12, closed=lambda: world.trace.reach("fault: bank of a rail closed")
        )
        terms = terms_of(
            policy,
            policy.paying_rails()[self.rail],
            settles_after_s=random.uniform(0.05, 3.0),
            hours=hours if world.faults.rail_hours else None,
        )
        return replace(terms, destinations=re.compile(_TAKEN[self.rail]))

    def _line(self, random: Random) -> Line:
        """Each fault of the line is one provider's, or both's."""
        faults = self.world.faults

        def of(rate: float) -> float:
            return rate if random.random() < 0.7 else 0.0

        return Line(
            lost=of(faults.rail_lost),
            unheard=of(faults.rail_unheard),
            hangs=of(faults.rail_hangs),
            nonsense=of(faults.rail_nonsense),
            slow=of(faults.rail_slow),
        )

    def _found(self, terms: Terms) -> None:
        """What genesis writes of a rail."""
        database = self.world.database
        tables = database.tables
        for side in SIDES:
            row = {"rail": self.rail, "side": side, "generation": 0}
            tables["rail_providers"][self.rail, side] = row
        for asset, amount in terms.funding.items():
            place = {"bucket": self._bucket, "network": self.rail, "asset": asset}
            held = {account(place, f"at_{side}"): amount for side in SIDES}
            number = database.number("postings")
            row = {"id": number, "kind": "fund", "withdrawal_id": None, "topup_id": None}
            tables["postings"][number] = row
            for owner, each in (held | {account(place, "own"): -2 * amount}).items():
                entry = {"posting_id": number, "account": owner, "amount": each}
                tables["entries"][database.number("entries")] = entry
            for side in SIDES:
                row = {"rail": self.rail, "side": side, "asset": asset, "available": amount}
                tables["rail_funds"][self.rail, side, asset] = row

    # Who pays.

    async def _pay(self, life: Life) -> None:
        """One life of who pays over the rail: what its ``__main__`` does."""
        stop, pool = asyncio.Event(), self.world.database.pool()
        self._stops[life.process] = stop

        async def listen() -> Any:
            return await pool.acquire().__aenter__()

        ports = Ports(
            pool=cast("Any", pool),
            listen=listen,
            client=cast("Any", self._wire),
            now_us=lambda: int(self.world.loop.time() * 1_000_000),
        )

        async def work() -> None:
            await pay_through(
                ports,
                self.world.setting.policy,
                self.rail,
                _ENDPOINT,
                dict.fromkeys(SIDES, PAYER),
                stop,
                lambda: None,
            )

        await start_over(f"who pays over {self.rail}", work, stop, after_s=0.5)

    # Customers.

    def wanted(self, people: Random) -> Reservation:
        """A withdrawal over the rail."""
        it, faults = self.world.setting, self.world.faults
        asset, customer = people.choice(self._assets), people.randrange(CUSTOMERS)
        large = people.random() < faults.large
        amount = int(self._unit[asset] * (people.uniform(5, 20) if large else people.random()))
        place = {"bucket": self._bucket, "network": self.rail, "asset": asset}
        return Reservation(
            id=UUID(bytes=people.randbytes(16)),
            customer_id=customer,
            bucket=self._bucket,
            source_network=NETWORK,
            network=self.rail,
            asset=asset,
            amount=1 + amount,
            value_micro=it.policy.value_micro(asset, 1 + amount),
            destination=self._destination(people),
            **accounts_of(place, customer, source=NETWORK),
        )

    def _destination(self, people: Random) -> str:
        """One that is nobody else's; some take no money, and some are unknown to providers."""
        faults, word = self.world.faults, people.randbytes(20).hex()
        closed = people.random() < faults.rail_returned
        refused = people.random() < faults.rail_refused
        if self.rail == "exchange":
            start = "bad" if refused else "c105ed" if closed else "f"
            return "0x" + start + word[len(start) :]
        number = word[:16].upper()
        return f"FR00{number}" if refused else f"GB00CLOSED{number}" if closed else f"GB00{number}"

    # What fails.

    def all(self) -> Iterator[Any]:
        """What runs until the end of the run."""
        yield self._settle()
        yield self._strike()

    async def _settle(self) -> None:
        looked_s = 0.0
        while True:
            await nap(_SETTLE_EVERY_S)
            for provider in self.providers.values():
                provider.settle()
            if self.world.loop.time() - looked_s >= _LOOK_EVERY_S:
                looked_s = self.world.loop.time()
                self.world.observer.look()

    async def _strike(self) -> None:
        world, random = self.world, self.world.stream("strikes on rails")
        faults = world.faults
        restored_at_s = random.uniform(1.5, 6.0) if self._may_be_lost else None

        def happens(rate: float) -> bool:
            return random.random() < rate * _TICK_S

        while not world.healed:
            await nap(_TICK_S)
            if random.random() < _KEPT_AGAIN:
                self.keep()
            self._strike_workers(happens, random)
            for provider in self.providers.values():
                self._trouble(provider, happens, random)
            if not world.plan.networks and happens(faults.database_restart):
                world.restart(world.database, "database", random.uniform(0.1, 1.5))
            due = restored_at_s is not None and world.loop.time() > restored_at_s
            # A ledger that has not opened its own generation yet could still open it later.
            if due and not self._read_from_backup and not self.closed():
                restored_at_s = None
                self._restore(random)

    def _strike_workers(self, happens: Callable[[float], bool], random: Random) -> None:
        trace, faults = self.world.trace, self.world.faults
        for each in self.workers:
            life = each.life
            if life is None or life.dead:
                continue
            if happens(faults.kill):
                trace.reach("fault: who pays over a rail killed")
                life.kill()
            elif happens(faults.stop):
                trace.reach("fault: who pays over a rail told to stop")
                self._stops[each.name].set()
            elif happens(faults.freeze) and not self._read_from_backup:
                trace.reach("fault: who pays over a rail frozen")
                life.freeze(random.uniform(0.3, 4.0))

    def _trouble(
        self, provider: SimulatedProvider, happens: Callable[[float], bool], random: Random
    ) -> None:
        world = self.world
        trace, faults = world.trace, world.faults
        if happens(faults.rail_dark) and provider.dark is None:
            provider.dark = random.choice(("all", "all", "payouts", "statement"))
            trace.reach(f"fault: rail dark ({provider.dark})")
            world.later(random.uniform(0.5, 8.0), self._light, provider)
        if happens(faults.rail_poor):
            trace.reach("fault: rail without money")
            provider.poor = True
            world.later(random.uniform(0.5, 5.0), setattr, provider, "poor", False)
        if happens(faults.rail_late):
            provider.stands_at = len(provider.lines())
            world.later(random.uniform(0.5, 5.0), setattr, provider, "stands_at", 10**9)
        frozen = any(each.life is not None and each.life.frozen for each in self.workers)
        if happens(faults.rail_forgets) and provider.dark is None and not frozen:
            backup = provider.backup()
            world.later(random.uniform(0.2, 2.0), self._lose, provider, backup, random)

    def _light(self, provider: SimulatedProvider) -> None:
        if provider.side not in self._read_from_backup:
            provider.dark = None

    def _lose(self, provider: SimulatedProvider, backup: Any, random: Random) -> None:
        """A provider goes dark, to come back from a backup that lacks what was read.

        Whoever was told nothing of the outage cannot know of it (decision 0047, "known and open"),
        so it lasts until everybody was. Sooner or later its true book is found.
        """
        last = max(
            (
                row["n"]
                for row in self.world.database.tables["rail_lines"].values()
                if row["side"] == provider.side
            ),
            default=0,
        )
        kept = len(backup.statement(after=0).lines)
        frozen = any(each.life is not None and each.life.frozen for each in self.workers)
        if kept >= last or self._read_from_backup or frozen or self.lost or self.world.healed:
            return
        self._read_from_backup[provider.side] = True
        provider.dark, provider.missed = "all", {}
        self.world.later(2.0, self._come_back, provider, backup, random, _FORGETS_WITHIN_S)

    def _come_back(
        self, provider: SimulatedProvider, backup: Any, random: Random, left_s: float
    ) -> None:
        alive = [each.life for each in self.workers if each.life and not each.life.dead]
        if self.world.healed or left_s <= 0:
            self._found_again(provider)
        elif all(life in provider.missed for life in alive):
            self.world.later(_NOTICED_S, self._forget, provider, backup, random)
        else:
            rest = (backup, random, left_s - 0.5)
            self.world.later(0.5, self._come_back, provider, *rest)

    def _forget(self, provider: SimulatedProvider, backup: Any, random: Random) -> None:
        if not self.world.healed:
            self.world.trace.reach("fault: rail forgets")
            provider.forget(backup)
            provider.dark = None
        self.world.later(random.uniform(1.0, 5.0), self._found_again, provider)

    def _found_again(self, provider: SimulatedProvider) -> None:
        provider.remember()
        provider.dark = None
        self._read_from_backup.pop(provider.side, None)

    # A ledger that is lost.

    def keep(self) -> None:
        """Back the ledger up: no later moment has lost a request that was acknowledged."""
        if self._may_be_lost and not self.lost:
            self._backup = self.world.database.saved()

    def closed(self) -> list[str]:
        """The sides at which the ledger's generation is not open yet."""
        rows = self.world.database.tables["rail_providers"].values()
        return [row["side"] for row in rows if row["generation"] < self.world.database.generation]

    def _restore(self, random: Random) -> None:
        """The ledger is lost, and goes on from its backup; somebody may still go on by the old."""
        world = self.world
        if self._backup is None:
            return
        world.trace.reach("fault: ledger restored")
        goes_on = len(self.workers) > 1 and random.random() < 0.8
        lost = world.database
        lost.committed = lambda _tx, _changes: None
        self.lost.append(lost)
        world.open_ledger(self._backup, key=str(UUID(int=random.getrandbits(128))))
        stay = self.workers[-1].life if goes_on else None
        if stay is not None and not stay.dead:
            world.trace.reach("fault: lost ledger goes on")
        for each in self.workers:
            if each.life is not None and each.life is not stay:
                each.life.kill()
        for session in tuple(lost.connections):
            if session not in (() if stay is None else stay.sessions):
                session.break_off()

    def heal(self) -> None:
        """End every fault; who goes on by a lost ledger still does."""
        for provider in self.providers.values():
            provider.remember()
            provider.line, provider.dark, provider.poor = Line(), None, False
            provider.stands_at = 10**9
        self._read_from_backup.clear()

    # What is seen.

    def payments(self) -> Iterator[Payment]:
        """What providers have taken and not returned; final once it is settled."""
        for provider in self.providers.values():
            states = provider.states()
            for asked in provider.taken:
                state = states[asked.client_id]
                if state != "returned":
                    yield Payment(
                        destination=asked.destination,
                        asset=asked.asset,
                        amount=int(asked.amount),
                        final=state == "settled",
                    )

    def statements(self) -> dict[str, Statement]:
        """By provider: what was kept of its statement, and what that says."""
        found: dict[str, Statement] = {}
        rows = self.world.database.tables["rail_lines"].values()
        for side, provider in self.providers.items():
            kept = sorted((row for row in rows if row["side"] == side), key=lambda row: row["n"])
            found[f"the {side} of {self.rail}"] = Statement(
                kept=tuple((row["n"], row["client_id"], row["state"]) for row in kept),
                said=tuple(provider.lines()),
            )
        return found

    def funds(self) -> Mapping[Any, tuple[int, int]]:
        """What providers hold by ledger and by what may still be instructed, and in truth."""
        tables = self.world.database.tables
        booked: dict[tuple[str, str], int] = {}
        for row in tables["entries"].values():
            _, network, asset, kind, _ = row["account"]
            if network == self.rail:
                booked[kind, asset] = booked.get((kind, asset), 0) + row["amount"]
        found: dict[Any, tuple[int, int]] = {}
        for side, provider in self.providers.items():
            for asset, true in provider.available().items():
                said = tables["rail_funds"][self.rail, side, asset]["available"]
                place = f"the {side} of {self.rail} in {asset}"
                found[f"the ledger's {place}"] = (booked[f"at_{side}", asset], true)
                found[f"what may be instructed to {place}"] = (said, true)
        return found

    def open(self) -> list[str]:
        """What is not in a final state yet."""
        tables = self.world.database.tables
        found = [
            f"the {side} of {self.rail} is not open in this generation" for side in self.closed()
        ]
        found += [
            f"{provider} has lines that were not read"
            for provider, statement in self.statements().items()
            if len(statement.kept) < len(statement.said)
        ]
        found += [
            f"nothing explains line {row['n']} of the {row['side']}: {row['client_id']}"
            f" {row['state']}"
            for row in tables["rail_lines"].values()
            if row["unexplained"]
        ]
        found += [
            f"instruction {row['client_id']} is {row['state']}"
            for row in tables["rail_instructions"].values()
            if row["state"] in ("recorded", "accepted", "disputed")
        ]
        return found

"""One run: a venue with two settlers and two signers, its chain, its people, and a seed.

First everything may fail while customers withdraw (safety). Then all is healed, and everything must
reach a final state within :data:`LIVENESS_S` (liveness). The invariants are looked at after every
block, and at the end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any, cast
from unittest import mock

import asyncpg
import httpx

import tests.simulation.sql.approving
import tests.simulation.sql.claiming
import tests.simulation.sql.deciding
import tests.simulation.sql.paying
import tests.simulation.sql.refilling
import tests.simulation.sql.reserving
import tests.simulation.sql.settling  # noqa: F401 - the six register what statements do
from seawall.errors import SeawallError
from seawall.invariants import Violation
from tests.simulation.actors import Actors
from tests.simulation.approvers import Approvers
from tests.simulation.chain import Chain, Pool, State
from tests.simulation.faults import Faults, drawn
from tests.simulation.loop import DeadlockError, VirtualLoop
from tests.simulation.nodes import Endpoint, Moods, Nodes
from tests.simulation.observer import Observer
from tests.simulation.processes import KilledError, Life, Supervisor, born, running
from tests.simulation.rails import Rails
from tests.simulation.rules import RULES
from tests.simulation.setting import CUSTOMERS, NETWORK, Setting, setting
from tests.simulation.signers import KeyProvider, Signers, SimulatedSigner
from tests.simulation.sql.settling import account
from tests.simulation.store import SIGN_LOG_TABLES, Database
from tests.simulation.trace import Trace
from tests.simulation.weather import Weather
from venue import clock, crash_points
from venue.api import reservations
from venue.contracts.calls import NATIVE
from venue.crash_points import AnyStep, Moment, RailStep, Step
from venue.process import start_over
from venue.settler import agreement, approvals
from venue.settler.lanes import LaneLostError
from venue.settler.settle import Ports, settle_through
from venue.signer.bulkhead import Bulkhead
from venue.signer.logs import ProofLog, SignLog
from venue.signer.service import SignerMetrics, SigningService
from venue.signer.velocity import caps_of

LIVENESS_S = 120.0
"""Virtual seconds from healing to the end of everything; most runs need ten.

A batch that reverts rests for 5 s and is halved, and a cap of the contract ends with its window.
"""
_LOOK_S = 15.0
"""Virtual seconds from healing to the end of a run of which safety alone is asked."""
SETTLERS = ("settler-a", "settler-b")
_AGAIN_S = 3
"""As venue.settler.approvals._AGAIN_S, which is longer than a run."""
_NUMBERS_AHEAD = 16
"""As venue.settler.agreement.NUMBERS_AHEAD, which reads more than a run ever gives out."""
_TURNS_MAX = 3_000_000
"""A run that takes so many turns of its loop spins without end."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is made of, beyond its seed.

    Attributes:
        faults: Their rates; None: drawn from the seed.
        without: Safeguards of store and chain that are switched off.
        crash_at: The process dies at this crash point, as often as ``crashes`` says.
        crashes: How many times in a row.
        lies_alone: An endpoint may lie while the other is silent or late. The settler then believes
            it, and may need people to go on; so safety alone is looked at. Two that tell the same
            lie are beyond what is asked of it: a top-up would move again.
        networks: There are settlers and signers, and customers withdraw on a network.
        rails: Somebody pays over a rail, and customers withdraw over that. Where there are no
            networks beside it, the ledger may be lost and restored in the middle of a run.
    """

    faults: Faults | None = None
    without: frozenset[str] = frozenset()
    crash_at: tuple[Step | RailStep, Moment] | None = None
    crashes: int = 1
    lies_alone: bool = False
    networks: bool = True
    rails: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run has shown; times in seconds."""

    seed: int
    violations: tuple[Violation, ...]
    reached: dict[str, int]
    digest: str
    events: int
    virtual_s: float
    cpu_s: float
    tail: tuple[str, ...] = ()


class World:
    """Everything of one run."""

    def __init__(self, seed: int, plan: Plan) -> None:
        self.seed = seed
        self.plan = plan
        self.faults = plan.faults or drawn(self.stream("faults"))
        self.healed = False
        self.setting: Setting = setting()
        self.loop = VirtualLoop(born=born)
        self.trace = Trace(now=self.loop.time)
        self.observer = Observer(setting=self.setting, trace=self.trace)
        self._crash_draw = self.stream("crashes").random
        self._crashes_left = plan.crashes if plan.crash_at else 0
        self.stops: dict[str, asyncio.Event] = {}
        self._make_database()
        self._make_chain()
        self._make_processes()
        self.rails = Rails(world=self) if plan.rails else None
        self.observer.rails = self.rails

    def stream(self, name: str) -> Random:
        """Random numbers of one part of the world: what others draw does not move them."""
        return Random(f"{self.seed} {name}")

    # What there is.

    def _make_database(self) -> None:
        faults = self.faults
        self.weather = Weather(
            draw=self.stream("weather").random,
            slow=faults.slow_database,
            cut=faults.cut,
            commit_lost=faults.commit_lost,
            answer_lost=faults.answer_lost,
        )
        self.database = self._database()
        self.database.generation = 1 if faults.restored_before else 0
        self.sign_log = Database(
            trace=self.trace,
            weather=self.weather,
            clock=self.loop.time,
            rules=RULES,
            without=self.plan.without,
            committed=lambda _tx, _changes: None,
            names=SIGN_LOG_TABLES,
        )
        self.observer.database, self.observer.sign_log = self.database, self.sign_log
        it, tables = self.setting, self.database.tables
        for wallet in (it.hot, it.reserve):
            address = it.address(wallet)
            tables["lanes"][it.chain_id, address] = {
                "chain_id": it.chain_id,
                "address": address,
                "network": NETWORK,
                "wallet": wallet,
                "holder": None,
                "epoch": 1,
                "signer_region": it.policy.regions.primary,
                "next_nonce": 0,
            }
        tables["mode"]["only"] = {"epoch": 1, "tier": "normal"}
        tables["mode_controller_lease"]["only"] = {"holder": "world", "renewed_at": 0.0}

    def _database(self) -> Database:
        return Database(
            trace=self.trace,
            weather=self.weather,
            clock=self.loop.time,
            rules=RULES,
            without=self.plan.without,
            committed=self.observer.committed,
        )

    def _make_chain(self) -> None:
        it, random = self.setting, self.stream("chain")
        part = 0.65 + 0.35 * random.random()
        state, tables = State(), self.database.tables
        for asset, token in it.tokens.items():
            hot = int(it.held_at_first(it.hot, asset) * part)
            if self.faults.overfull and not self.faults.tight_cap:  # somebody has sent money
                maximum = it.policy.wallets[it.hot].holdings[asset].maximum
                hot += it.policy.base_units(asset, maximum)
            reserve = it.held_at_first(it.reserve, asset)
            state.held[token, it.contract(it.hot)] = hot
            state.held[token, it.contract(it.reserve)] = reserve
            tables["floats"][it.hot, asset] = {
                "wallet": it.hot,
                "network": NETWORK,
                "asset": asset,
                "available": hot,
            }
            self._fund(asset, hot=hot, reserve=reserve)
        contracts = it.contracts()
        if self.faults.tight_cap:
            caps = {
                token: cap if token == NATIVE else int(cap * (0.1 + 0.2 * random.random()))
                for token, cap in contracts[it.contract(it.hot)].caps.items()
            }
            contracts[it.contract(it.hot)] = replace(contracts[it.contract(it.hot)], caps=caps)
        pools = [Pool(), Pool()]
        self.chain = Chain(
            contracts=contracts,
            tank=it.tank,
            state=state,
            random=random,
            trace=self.trace,
            pools=pools,
            without=self.plan.without,
            chain_id=it.chain_id,
            mined=self._mined,
        )
        self.observer.chain = self.chain
        self.database.chain_nonce = lambda each: self.chain.tip.state.nonces.get(each, 0)
        self.endpoints = [
            Endpoint(
                chain=self.chain,
                name=side,
                pool=pool,
                tip=self.chain.tip,
                draw=self.stream(f"endpoint {side}").random,
                offered=self.observer.offered,
            )
            for side, pool in zip(("primary", "standby"), pools, strict=True)
        ]
        for endpoint in self.endpoints:
            endpoint.neighbours = [each for each in self.endpoints if each is not endpoint]
            endpoint.moods = self._moods(random)
            endpoint.alone_with_lies = self.plan.lies_alone
        self.nodes = Nodes(endpoints={f"http://{each.name}": each for each in self.endpoints})

    def _fund(self, asset: str, *, hot: int, reserve: int) -> None:
        """The opening posting: customers own, in equal parts, all that is held."""
        tables, number = self.database.tables, self.database.number("postings")
        place = {"bucket": self.setting.bucket, "network": NETWORK, "asset": asset}
        share, rest = divmod(hot + reserve, CUSTOMERS)
        amounts = {account(place, "hot"): hot, account(place, "reserve"): reserve}
        for customer in range(CUSTOMERS):
            owner = account(place, "customer", customer)
            amounts[owner] = -(share + (rest if customer == 0 else 0))
            tables["balances"][owner] = {"available": -amounts[owner]}
        row = {"id": number, "kind": "fund", "withdrawal_id": None, "topup_id": None}
        tables["postings"][number] = row
        for owner, amount in amounts.items():
            entry = {"posting_id": number, "account": owner, "amount": amount}
            tables["entries"][self.database.number("entries")] = entry

    def _moods(self, random: Random) -> Moods:
        """Each fault of endpoints is one endpoint's, or both's."""
        faults = self.faults

        def of(rate: float) -> float:
            return rate if random.random() < 0.6 else 0.0

        return Moods(
            silent=of(faults.silent),
            refusing=of(faults.refusing),
            nonsense=of(faults.nonsense),
            forgetful=of(faults.pool_forgets),
            alone=of(faults.not_passed_on),
            made_up_head=of(faults.made_up_head),
            slow_s=0.05 if random.random() < 0.2 else 0.0,
        )

    def _make_processes(self) -> None:
        it = self.setting
        rest = self.stream("supervisors")
        self.providers = {
            region: KeyProvider(
                region=region,
                secrets=it.secrets,
                random=self.stream(f"keys of {region}"),
                trace=self.trace,
                slow=self.faults.provider_slow,
            )
            for region in it.config.signers
        }
        self.signers = Signers(
            signers={
                signer.url: SimulatedSigner(
                    service=self._service(region),
                    supervisor=self.supervisor(f"signer-{region}", _live_for_ever, rest),
                )
                for region, signer in it.config.signers.items()
            },
            draw=self.stream("signers").random,
            lost=self.faults.signer_lost,
            trace=self.trace,
        )
        self.settlers = [self.supervisor(name, self._settle, rest) for name in SETTLERS]

    def supervisor(self, name: str, work: Any, rest: Random) -> Supervisor:
        """One that starts ``work`` again after a moment."""
        return Supervisor(
            name=name,
            work=work,
            rest_s=lambda: 0.2 + 0.8 * rest.random(),
            ended=self._ended,
            trace=self.trace,
        )

    def _service(self, region: str) -> SigningService:
        it, wallets = self.setting, (self.setting.hot, self.setting.reserve)
        records = cast("Any", self.database.pool())
        operations = 12 if self.faults.throttle else it.policy.signing.operations_per_s
        return SigningService(
            region=region,
            log=SignLog(
                records=records,
                log=cast("Any", self.sign_log.pool()),
                region=region,
                caps=caps_of(it.config, it.policy, wallets),
            ),
            proofs=ProofLog(pool=records, region=region),
            provider=self.providers[region],
            bulkhead=replace(
                Bulkhead.of_policy(it.policy, wallets, operations_per_s=operations),
                now_us=lambda: int(self.loop.time() * 1_000_000),
            ),
            chains=dict.fromkeys(wallets, it.chain_id),
            addresses={wallet: it.address(wallet) for wallet in wallets},
            contracts={wallet: it.contract(wallet) for wallet in wallets},
            recipients=it.config.recipients(it.policy, wallets),
            tanks=it.config.tanks(it.policy, wallets),
            metrics=_SIGNER_METRICS.setdefault(region, SignerMetrics(region=region)),
        )

    async def _settle(self, life: Life) -> None:
        """One life of a settler: what its ``__main__`` does."""
        stop, pool = asyncio.Event(), self.database.pool()
        self.stops[life.process] = stop

        async def listen() -> Any:
            return await pool.acquire().__aenter__()

        ports = Ports(
            pool=cast("Any", pool),
            listen=listen,
            signers=cast("httpx.AsyncClient", self.signers),
            nodes=cast("httpx.AsyncClient", self.nodes),
            now_us=lambda: int(self.loop.time() * 1_000_000),
        )

        async def work() -> None:
            await settle_through(
                ports,
                self.setting.config,
                self.setting.policy,
                NETWORK,
                holder=f"{life.process}@{life.number}",
                metrics=self.setting.metrics,
                stop=stop,
                ready=lambda: None,
            )

        await start_over(f"the settler of {NETWORK}", work, stop, after_s=0.5)

    # What happens.

    def _mined(self, block: Any) -> None:
        for endpoint in self.endpoints:
            endpoint.see(block)

    def _ended(self, name: str, error: BaseException | None) -> None:
        self.trace.note("ended", name, type(error).__name__)
        if isinstance(error, LaneLostError):
            self.trace.reach("settler fenced")
        elif error is not None:
            self.observer.ended(name, error)

    def _crash(self, step: AnyStep, moment: Moment) -> None:
        """Installed at the crash points."""
        life = running.get()
        if life is None:
            return
        if life.dead:
            raise KilledError(life.process)
        name = f"{step}, {moment}"
        self.trace.reached[f"passed: {name}"] += 1
        chance = self.faults.signer_crash if "signer" in life.process else self.faults.crash
        planned = (step, moment) == self.plan.crash_at and self._crashes_left > 0
        if planned or (not self.healed and chance > 0 and self._crash_draw() < chance):
            self._crashes_left -= planned
            self.trace.reach(f"crash: {name}")
            life.kill()
            raise KilledError(life.process)

    async def _drained(self, acting: Sequence[asyncio.Task[None]], deadline_s: float) -> list[str]:
        """Wait until nothing is under way, or until ``deadline_s``; what then still is."""
        while (left := self.observer.open()) and self.loop.time() < deadline_s:
            if self.loop.turns > _TURNS_MAX:
                left.append("the run spins without end")
                break
            for task in acting:
                if task.done():
                    task.result()
            await asyncio.sleep(0.3)
        return left

    async def run(self) -> None:
        """Safety, then liveness."""
        supervisors = [] if self.rails is None else [*self.rails.workers]
        if self.plan.networks:
            supervisors += self.settlers
            supervisors += [each.supervisor for each in self.signers.signers.values()]
        alive = [asyncio.ensure_future(each.run()) for each in supervisors]
        actors = Actors(world=self)
        acting = [asyncio.ensure_future(each) for each in actors.all()]
        if self.plan.networks:
            acting.append(asyncio.ensure_future(Approvers(world=self).act()))
        if self.rails is not None:
            acting += [asyncio.ensure_future(each) for each in self.rails.all()]
        try:
            await actors.withdraw()
            self.heal()
            deadline = self.loop.time() + (_LOOK_S if self.plan.lies_alone else LIVENESS_S)
            left = await self._drained(acting, deadline)
            while not left:
                # A block more, so that what a late transaction may still do is seen.
                await asyncio.sleep(1)
                if not self.observer.open():
                    break
                left = await self._drained(acting, deadline)  # a sweep was asked for meanwhile
            live = not self.plan.lies_alone
            self.observer.look(late=left if live else [], settled=live and not left)
        finally:
            for each in supervisors:
                await each.end()
            for task in (*acting, *alive):
                task.cancel()
            await asyncio.gather(*acting, *alive, return_exceptions=True)

    def heal(self) -> None:
        """End every fault."""
        self.healed = True
        self.trace.note("healed")
        self.weather.slow = self.weather.cut = 0.0
        self.weather.commit_lost = self.weather.answer_lost = 0.0
        self.database.down = self.sign_log.down = False
        for endpoint in self.endpoints:
            endpoint.moods = Moods()
            endpoint.see(self.chain.tip)
        for provider in self.providers.values():
            provider.dark, provider.slow = False, 0.0
        self.signers.lost = 0.0
        self.chain.paused = frozenset()
        self.chain.base_fee_wei = 10**9
        if self.rails is not None:
            self.rails.heal()

    # What parts of it do to it.

    def later(self, seconds: float, do: Callable[..., object], *given: Any) -> None:
        """Do something after so many seconds."""
        self.loop.call_later(seconds, do, *given)

    def restart(self, database: Database, name: str, seconds: float) -> None:
        """A database is gone for so long."""
        self.trace.reach(f"fault: {name} restarts")
        database.down = True
        database.drop_connections()
        self.later(seconds, setattr, database, "down", False)

    def open_ledger(self, backup: Any, *, key: str) -> None:
        """Go on by a new database that is restored from ``backup``, in its next generation."""
        lost = self.database
        self.database = self._database()
        self.database.restore(backup)
        self.database.generation, self.database.key = lost.generation + 1, key
        self.observer.database = self.database


async def _live_for_ever(_life: Life) -> None:
    await asyncio.Event().wait()


_SIGNER_METRICS: dict[str, SignerMetrics] = {}


@contextmanager
def _installed(world: World) -> Iterator[None]:
    """Crash points, and the three constants and the clock that a run cannot reach otherwise."""

    def monotonic_us() -> int:
        return int(world.loop.time() * 1_000_000)

    crash_points.install(world._crash)
    try:
        with (
            mock.patch.object(agreement, "NUMBERS_AHEAD", _NUMBERS_AHEAD),
            mock.patch.object(approvals, "_AGAIN_S", _AGAIN_S),
            mock.patch.object(clock, "monotonic_us", monotonic_us),
            mock.patch.object(reservations, "monotonic_us", monotonic_us),
        ):
            yield
    finally:
        crash_points.install(None)


def run(seed: int, plan: Plan | None = None) -> Outcome:
    """Run one seed to its end."""
    return outcome_of(World(seed, plan or Plan()))


def outcome_of(world: World) -> Outcome:
    """Run ``world`` to its end."""
    began_s = time.process_time()
    with _installed(world):
        try:
            world.loop.run(world.run())
        except (DeadlockError, SeawallError, asyncpg.PostgresError) as error:
            world.observer.ended("the world", error)
    observer = world.observer
    return Outcome(
        seed=world.seed,
        violations=tuple(observer.found.values()),
        reached=dict(world.trace.reached),
        digest=world.trace.digest,
        events=world.trace.events,
        virtual_s=world.loop.time(),
        cpu_s=time.process_time() - began_s,
        tail=tuple(world.trace.tail) if observer.found else (),
    )

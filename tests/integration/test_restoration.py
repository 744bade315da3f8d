"""The procedure by which a sandbox restores its database, on a small venue of real parts.

The server is killed with all its processes and its files are removed under load; the venue's own
programs make it again, and the settlers that were cut off go on at the same address.

How long it takes with a large ledger, step by step:

    export RESTORE_WITHDRAWALS=1000000
    bin/seawall exec -- pytest tests/integration/test_restoration.py -k everything -s
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest

from sandbox.parts.postgres import as_server, binaries
from sandbox.restoration import Restoration
from seawall.cache import repository_root
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.processes.postgres import look
from seawall.processes.procedure import Procedure
from tests.testing.aws_harness import PRIMARY, ROOT_KEY, client, running_aws
from tests.testing.cluster_harness import Server, make_cluster_files
from tests.testing.settler_harness import Venue, Wanted, venue_bench
from tests.testing.venue_harness import HANGS_AFTER_S, connected, free_port, heartbeat, sign_log_url
from venue.backups.base import take_backup
from venue.backups.bucket import BackupBucket
from venue.backups.role import ROLE, create_role
from venue.backups.stream import folder_of, stream
from venue.database import FAILURES, Connection

pytestmark = pytest.mark.integration

USDX = 10**6
LOAD_S = 4.0
RESTORED_WITHIN_S = 180.0
"""Only a restoration that hangs takes that long."""
BUCKET = "backups"
WITHDRAWALS = int(os.environ.get("RESTORE_WITHDRAWALS", "0"))
"""Further withdrawals in the ledger, half of them in the base backup and half in the log since.

They wait on a network that nobody settles here, so each has half the postings of one that is paid.
"""
AT_ONCE = 20_000
_PAID = """
    select not exists (select 1 from withdrawals
                       where network = 'aster' and state in ('reserved', 'slotted'))"""


@dataclass(kw_only=True)
class OnPort:
    """A server on the cluster in ``files``, always at the same port of loopback."""

    files: Path
    port: int
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    @property
    def address(self) -> str:
        """Where it serves."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of its first process."""
        return self.process.pid

    def url(self, role: str = "postgres", address: str = "") -> str:
        """It trusts everybody."""
        return f"postgresql://{role}:secret@{address or self.address}/postgres"

    def start(self) -> None:
        """Start it."""
        where = ("-c", "listen_addresses=127.0.0.1", "-c", f"port={self.port}")
        argv = as_server(
            *(binaries() / "postgres", "-D", self.files, *where),
            *("-c", f"unix_socket_directories={self.log.parent}"),
        )
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [str(word) for word in argv],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def freeze(self) -> None:
        """SIGSTOP."""
        self.process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(timeout=HANGS_AFTER_S)


@contextmanager
def serving(folder: Path) -> Iterator[OnPort]:
    """A server on a new cluster."""
    made = OnPort(files=folder / "pg", port=free_port(), log=folder / "pg.log")
    make_cluster_files(made.files)
    made.start()
    try:
        yield made
    finally:
        if made.process.poll() is None:
            Server(files=made.files, socket=folder, process=made.process).kill()


async def until_serving(server: OnPort) -> None:
    async with asyncio.timeout(HANGS_AFTER_S):
        # a server is polled
        while await asyncio.to_thread(look, server.address) != "serving":  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@asynccontextmanager
async def streamed(server: OnPort, into: Path) -> AsyncIterator[None]:
    """The stream of the log; it starts over by itself when its server is gone."""
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(
        stream(server.url(ROLE), programs=binaries(), into=into, stop=stop, ready=ready.set)
    )
    try:
        async with asyncio.timeout(HANGS_AFTER_S):
            await ready.wait()
        yield
    finally:
        stop.set()
        await task


@dataclass(kw_only=True)
class Loaded:
    """A venue with one settler on a database that can be lost, and how it is restored."""

    venue: Venue
    server: OnPort
    folder: Path
    procedure: Procedure
    bucket: BackupBucket
    acknowledged: dict[UUID, str] = field(default_factory=dict)
    asked: int = 0
    """Withdrawals to addresses of their own. Some were accepted and nobody was told."""

    async def back_up(self) -> None:
        """Take a base backup."""
        url = self.server.url(ROLE)
        await take_backup(url, programs=binaries(), bucket=self.bucket, scratch=self.folder)

    async def fill(self, count: int) -> None:
        """Accept withdrawals that nobody pays here."""
        for first in range(0, count, AT_ONCE):
            batch = min(AT_ONCE, count - first)
            await self.venue.reserve([Wanted(network="birch", asset="USDX", amount=USDX)] * batch)

    async def accept(self, count: int) -> None:
        """Accept withdrawals to addresses of their own, and note what was acknowledged."""
        first = 0xABC000000 + self.asked
        self.asked += count
        wanted = [
            Wanted(network="aster", asset="USDX", amount=USDX, destination=f"0x{first + n:040x}")
            for n in range(count)
        ]
        ids = await self.venue.reserve(wanted)
        self.acknowledged |= {
            identity: each.destination for identity, each in zip(ids, wanted, strict=True)
        }

    async def lose_under_load(self) -> None:
        """Lose the database while withdrawals are accepted and paid."""

        async def load() -> None:
            while True:
                try:
                    await self.accept(5)
                except FAILURES:
                    return
                await asyncio.sleep(0.02)

        loading = asyncio.create_task(load())
        await asyncio.sleep(LOAD_S)
        await asyncio.to_thread(self.procedure.break_it)
        await loading

    async def restore(self) -> list[str]:
        """What it said."""
        done = await asyncio.to_thread(self.procedure.finish, within_s=RESTORED_WITHIN_S)
        lost_at = self.procedure.steps[0].at
        print(
            *(f"{step.at - lost_at:6.1f} s  {step.said}" for step in self.procedure.steps), sep="\n"
        )
        said = [step.said for step in self.procedure.steps]
        assert done, said
        return said

    async def paid(self) -> dict[UUID, int]:
        """How often each was paid, by the token itself."""
        site = self.venue.config.networks["aster"]
        async with AsyncRpcClient("aster", (site.rpc.primary,)) as rpc:
            return {
                identity: await rpc.balance(to, token=site.tokens["USDX"]) // USDX
                for identity, to in self.acknowledged.items()
            }

    @asynccontextmanager
    async def served_again(self) -> AsyncIterator[Connection]:
        """The restored database, with a mode controller's lease."""
        url = self.server.url()
        async with connected(url) as owner, heartbeat(url):
            founder, self.venue.owner = self.venue.owner, owner
            try:
                yield owner
            finally:
                self.venue.owner = founder


@pytest.fixture
async def loaded(
    tmp_path: Path, start_anvil: Callable[..., str], database_url: str
) -> AsyncIterator[Loaded]:
    """The sign log is on the server of `database_url`, which is not lost."""
    (tmp_path / "logs").mkdir()
    with running_aws() as endpoint, serving(tmp_path) as server:
        s3 = client("s3", endpoint, ROOT_KEY)
        s3.create_bucket(Bucket=BUCKET)
        await until_serving(server)
        # The harness makes those of the roles from it.
        url = f"postgresql://postgres:secret@/postgres?host=127.0.0.1&port={server.port}"
        async with (
            venue_bench(url, tmp_path, start_anvil, sign_log_url(database_url)) as venue,
            connected(url) as owner,
        ):
            await create_role(owner, server.url(ROLE))
            await venue.settler("aster")
            founder, venue.owner = venue.owner, owner
            roles = {"owner": "postgres", "wal": ROLE}
            restoration = Restoration(
                server=server,
                files=server.files,
                log=tmp_path / "wal",
                logs=tmp_path / "logs",
                bucket=BUCKET,
                region=PRIMARY,
                endpoint=endpoint,
                backups=ROOT_KEY,
                config=venue.config_path,
                url=lambda role, address: server.url(roles[role], address),
                sign_log=venue.database.sign_log.auditor,
                environment={"PYTHONPATH": str(repository_root())},
                root=repository_root(),
            )
            yield Loaded(
                venue=venue,
                server=server,
                folder=tmp_path,
                procedure=Procedure(lose=restoration.lose, restore=restoration.restore),
                bucket=BackupBucket(client=s3, bucket=BUCKET),
            )
            venue.owner = founder


@pytest.mark.nightly  # test_database_lost.py loses one under load, too
async def test_a_database_that_is_lost_under_load_comes_back_at_its_address_with_everything(
    loaded: Loaded,
) -> None:
    """Nobody restarts the settler or the stream of the log, and nobody is told."""
    async with streamed(loaded.server, loaded.folder / "wal"):
        await loaded.fill(WITHDRAWALS // 2)
        await loaded.back_up()
        await loaded.fill(WITHDRAWALS - WITHDRAWALS // 2)
        await loaded.lose_under_load()
        acknowledged = set(loaded.acknowledged)
        assert len(acknowledged) > 50
        assert look(loaded.server.address) == "gone"
        assert not loaded.server.files.exists()

        said = await loaded.restore()
        async with loaded.served_again() as owner:
            known = {row["id"] for row in await owner.fetch("select id from withdrawals")}
            assert acknowledged <= known
            await loaded.accept(5)  # the stream has its server again, or this would wait
            await loaded.venue.until(_PAID, within_s=60)
            assert set((await loaded.paid()).values()) == {1}
            assert await loaded.venue.ledger_sum() == 0

    assert look(loaded.server.address) == "serving"
    assert any(folder_of(loaded.folder / "wal", 2).iterdir())
    assert [step.partition(":")[0].partition(" up to")[0] for step in said] == [
        "lost",
        "the restoration begins",
        "cluster",
        "the log is applied",
        "catch-up",
        "base",
        "it serves at its address",
        "restored",
    ]
    assert "written from the chains: 0 slots, 0 withdrawals" in said[4]
    assert "/ledger/00000002/" in said[5]


@pytest.mark.nightly  # test_database_lost.py lists the loss, too
async def test_without_the_stream_what_is_lost_is_listed_and_the_venue_goes_on_without_it(
    loaded: Loaded,
) -> None:
    """As with the sabotage `wal-stream`: nobody else is asked whether that is accepted."""
    await loaded.accept(5)
    await loaded.back_up()
    await loaded.lose_under_load()
    paid = {identity for identity, count in (await loaded.paid()).items() if count}

    said = await loaded.restore()
    listed = (loaded.folder / "logs" / "restore-catch-up.log").read_text()
    async with loaded.served_again() as owner:
        known = {row["id"] for row in await owner.fetch("select id from withdrawals")}
        lost = loaded.acknowledged.keys() - known
        assert len(lost) > 20
        assert paid - known
        assert [str(each) for each in paid - known if str(each) not in listed] == []
        [refused] = [step for step in said if step.startswith("catch-up refused")]
        assert "withdrawals were accepted and are not on record" in refused
        before = set(loaded.acknowledged)
        await loaded.accept(5)
        await loaded.venue.until(_PAID, within_s=60)
        again = await loaded.paid()
        assert {again[identity] for identity in loaded.acknowledged.keys() - before} == {1}
        assert max(again.values()) == 1

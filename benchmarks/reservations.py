"""How many withdrawals a second intake reserves durably, in batches, on one hot account.

Each batch is one transaction as the api makes it (`venue.api.reservations.commit_batch`): mode
lock, balances, limits of customers, decisions, rows, postings and entries. All of them book on the
one account of what is reserved on a network; the customers are many, as in a run on the bank.
pgbench's TPC-B on the same server is the peer: a transaction of five statements.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from benchmarks.database import Server, running_server
from benchmarks.figures import Figure
from seawall.controls.steady import SteadyClock
from seawall.errors import InternalError
from seawall.formats.drill_contract import WithdrawalReceipt
from tests.testing.venue_harness import Founded, found, heartbeat
from venue.api.directory import Directory
from venue.api.intake import Reservation
from venue.api.reservations import commit_batch
from venue.database import Pool, open_pool

GOAL_PER_S = 20_000
CUSTOMERS = 10_000
BATCH = 500
NETWORK, ASSET = "aster", "USDX"


def measure(*, seconds: float, workers: Sequence[int], seed: int) -> list[Figure]:
    """A figure for each number of workers, without a second disk; the best also with one."""
    figures = []
    with tempfile.TemporaryDirectory(prefix="seawall-bench-") as name:
        for second_disk in (False, True):
            folder = Path(name) / ("two" if second_disk else "one")
            folder.mkdir()
            with running_server(folder, second_disk=second_disk) as server:
                tps = server.tpc_b(seconds=max(2, round(seconds)), clients=8)
                figures += asyncio.run(
                    _measure(
                        server, folder, seconds=seconds, workers=workers, seed=seed, peer_tps=tps
                    )
                )
    return figures


async def _measure(
    server: Server,
    folder: Path,
    *,
    seconds: float,
    workers: Sequence[int],
    seed: int,
    peer_tps: float,
) -> list[Figure]:
    figures = []
    for count in workers:
        url = server.new_database(f"reservations_{count}")
        founded = await found(url, folder / f"venue-{count}.json", customers=CUSTOMERS)
        async with heartbeat(founded.database.owner):
            per_s, shares = await _reserve(founded, seconds=seconds, workers=count, seed=seed)
        disks = "two disks" if server.receiver is not None else "one disk"
        figures.append(
            Figure(
                name=f"reservations, {count} worker{'s' * (count > 1)}, {disks}",
                value=per_s,
                unit="/s",
                goal=GOAL_PER_S,
                peer="TPC-B of pgbench, 8 clients, transactions/s",
                peer_value=peer_tps,
                shares=shares,
            )
        )
    return figures


async def _reserve(
    founded: Founded, *, seconds: float, workers: int, seed: int
) -> tuple[float, dict[str, float]]:
    """Reservations a second, and the parts of the time in which this process computed."""
    pool = await open_pool(founded.database.api, name="bench", size=workers)
    try:
        directory = Directory(founded.policy, pool)
        await directory.load()
        deadline = time.monotonic() + seconds
        began_s, used_s = time.monotonic(), time.process_time()
        done = await asyncio.gather(
            *(
                _worker(founded, directory, pool, seed=seed + number, deadline=deadline)
                for number in range(workers)
            )
        )
        took_s, used_s = time.monotonic() - began_s, time.process_time() - used_s
    finally:
        pool.terminate()
    own = min(1.0, used_s / took_s)
    return sum(done) / took_s, {
        "this process (decisions, encoding)": own,
        "waiting for PostgreSQL": 1 - own,
    }


async def _worker(
    founded: Founded, directory: Directory, pool: Pool, *, seed: int, deadline: float
) -> int:
    """Commit batches until the deadline; how many withdrawals were reserved."""
    drawn, clock, reserved = random.Random(seed), SteadyClock(), 0
    while time.monotonic() < deadline:
        reserved += await reserve_batch(founded, directory, pool, drawn=drawn, clock=clock)
    return reserved


async def reserve_batch(
    founded: Founded, directory: Directory, pool: Pool, *, drawn: random.Random, clock: SteadyClock
) -> int:
    """Commit one batch; how many withdrawals it reserved.

    Raises :class:`InternalError` if one was refused: then something else would be measured.
    """
    batch = [await _reservation(founded, directory, drawn) for _ in range(BATCH)]
    async with pool.acquire() as connection:
        answers = await commit_batch(connection, founded.policy, batch, clock=clock)
    for answer in answers:
        if not isinstance(answer, WithdrawalReceipt):
            raise InternalError(f"a reservation of the benchmark met {answer}")
    return len(answers)


async def _reservation(founded: Founded, directory: Directory, drawn: random.Random) -> Reservation:
    customer = drawn.randint(1, CUSTOMERS)
    accounts = await directory.accounts_of(customer)
    house = directory.house(NETWORK, ASSET)
    if house is None:
        raise InternalError(f"the policy pays no {ASSET} on {NETWORK}")
    amount = founded.policy.withdrawal_min(ASSET)
    return Reservation(
        id=UUID(int=drawn.getrandbits(128), version=4),
        customer_id=customer,
        bucket=house.bucket,
        source_network=NETWORK,
        network=NETWORK,
        asset=ASSET,
        amount=amount,
        value_micro=founded.policy.value_micro(ASSET, amount),
        destination=f"0x{drawn.getrandbits(160):040x}",
        customer_account=min(accounts.values()),
        source_account=accounts[NETWORK, ASSET],
        source_clearing=house.clearing,
        clearing=house.clearing,
        reserved_account=house.reserved,
    )

"""How many withdrawals a second one api process acknowledges over HTTP, durably, and how late.

    bin/seawall exec -- python -m benchmarks.intake --load URL RATE SECONDS SEED CUSTOMERS

is the load alone, as JSON. It is open: each request has a planned instant, and its latency counts
from that, so a slow venue cannot slow its own measurement. The load runs in one process beside the
api and the server, on the same cores; its own share of them is reported.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import psutil

from benchmarks.database import running_server
from benchmarks.figures import Figure
from loadtests.arrivals import MICROSECONDS, Arrival
from loadtests.results import ACKNOWLEDGED, RequestResult
from loadtests.sender import Limits, Sender
from loadtests.venue import Venue
from seawall.cache import repository_root
from seawall.errors import ServiceError
from seawall.formats.drill_contract import ContractAdapter, Credentials
from tests.testing.venue_harness import found, heartbeat, venue_process

GOAL_PER_S, P99_MS_MAX = 5_000, 50.0
CUSTOMERS = 10_000
NETWORK, ASSET, AMOUNT = "aster", "USDX", 1_000_000
_IN_FLIGHT_MAX = 2_000
_LATE_MS_MAX = 1_000.0
_TIMEOUT_S = 5.0
_LEAD_S = 0.5
"""Between the making of the requests and the first planned instant."""


def measure(*, seconds: float, rates: Sequence[int], seed: int) -> list[Figure]:
    """The highest of ``rates`` that was served within the limit, and what came of each."""
    with tempfile.TemporaryDirectory(prefix="seawall-bench-") as name:
        folder = Path(name)
        with running_server(folder, second_disk=True) as server:
            url = server.new_database("intake")
            peer_tps = server.tpc_b(seconds=max(2, round(seconds)), clients=8)
            return asyncio.run(
                _measure(url, folder, seconds=seconds, rates=rates, seed=seed, peer_tps=peer_tps)
            )


async def _measure(
    url: str, folder: Path, *, seconds: float, rates: Sequence[int], seed: int, peer_tps: float
) -> list[Figure]:
    founded = await found(url, folder / "venue.json", customers=CUSTOMERS)
    figures, best = list[Figure](), 0.0
    async with (
        heartbeat(founded.database.owner),
        venue_process("api", founded.config_path, founded.database) as api,
    ):
        process = psutil.Process(api.pid)
        for number, rate in enumerate(rates):
            before = process.cpu_times()
            said = await asyncio.to_thread(
                _load, founded.config.api_url, rate, seconds=seconds, seed=seed + number
            )
            after = process.cpu_times()
            used_s = after.user + after.system - before.user - before.system
            figures.append(
                Figure(
                    name=f"p99 of withdrawals over HTTP at {rate:,}/s, one api process",
                    value=said["p99_ms"],
                    unit="ms",
                    goal=P99_MS_MAX,
                    at_most=True,
                    shares={
                        "api of one core": used_s / seconds,
                        "load of one core": said["cpu_s"] / seconds,
                        "not acknowledged": said["failed"] / said["planned"],
                    },
                )
            )
            if said["failed"] or said["p99_ms"] > P99_MS_MAX:
                break
            best = said["acknowledged"] / seconds
    figures.append(
        Figure(
            name=f"withdrawals over HTTP within {P99_MS_MAX:g} ms (p99), one api process",
            value=best,
            unit="/s",
            goal=GOAL_PER_S,
            peer="TPC-B of pgbench, 8 clients, transactions/s",
            peer_value=peer_tps,
        )
    )
    return figures


def _load(url: str, rate: int, *, seconds: float, seed: int) -> dict[str, float]:
    """What the load says that came of its requests. Raises :class:`ServiceError`."""
    arguments = [url, str(rate), str(seconds), str(seed), str(CUSTOMERS)]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "benchmarks.intake", "--load", *arguments],
        cwd=repository_root(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ServiceError(f"the load ended early: {done.stderr[-1_000:]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def load(url: str, *, rate: int, seconds: float, seed: int, customers: int) -> dict[str, float]:
    """Send ``rate`` requests a second at evenly spaced instants; latencies in ms."""
    drawn = random.Random(seed)
    arrivals = [
        Arrival(
            index=index,
            offset_us=round(index * MICROSECONDS / rate),
            phase="run",
            attempt=1,
            id=str(UUID(int=drawn.getrandbits(128), version=4)),
            customer_id=str(drawn.randint(1, customers)),
            network=NETWORK,
            asset=ASSET,
            amount=AMOUNT,
            value_micro=AMOUNT,
            size="small",
            destination=f"0x{drawn.getrandbits(160):040x}",
        )
        for index in range(round(rate * seconds))
    ]
    results: list[RequestResult] = []
    missed: list[int] = []
    with Venue(url, ContractAdapter(), concurrency=_IN_FLIGHT_MAX, timeout_s=_TIMEOUT_S) as venue:
        sender = Sender(
            venue=venue,
            customers={
                str(number): Credentials(customer_id=str(number), credential=f"key-{number}")
                for number in range(1, customers + 1)
            },
            limits=Limits(
                inflight_max=_IN_FLIGHT_MAX, timeout_s=_TIMEOUT_S, late_ms_max=_LATE_MS_MAX
            ),
            worker="bench",
            on_result=lambda result, _: results.append(result),
            on_missed=lambda index, _: missed.append(index),
        )
        began_s = time.process_time()
        sender.send_all(arrivals, t_zero=time.time() + _LEAD_S)
        cpu_s = time.process_time() - began_s
    latencies = sorted(each.latency_ms for each in results if each.outcome in ACKNOWLEDGED)
    acknowledged = len(latencies)
    return {
        "planned": len(arrivals),
        "acknowledged": acknowledged,
        "failed": len(arrivals) - acknowledged,
        "missed": len(missed),
        "p50_ms": latencies[acknowledged // 2] if latencies else float("inf"),
        "p99_ms": latencies[acknowledged * 99 // 100] if latencies else float("inf"),
        "cpu_s": cpu_s,
    }


def main() -> None:
    """The load alone."""
    parser = argparse.ArgumentParser(description="Load one api process over HTTP.")
    parser.add_argument("--load", nargs=5, required=True)
    url, rate, seconds, seed, customers = parser.parse_args().load
    said = load(
        url, rate=int(rate), seconds=float(seconds), seed=int(seed), customers=int(customers)
    )
    print(json.dumps(said))


if __name__ == "__main__":
    main()

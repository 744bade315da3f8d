"""Probe a running stack until told to end: the black-box second observer of a drill.

    python -m seawall.evidence.probe --targets targets.json --customers customers.csv --out probes.jsonl

It acts as the first two customers of the list, which floods leave alone. SIGTERM ends it cleanly.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
import signal
import ssl
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import uvloop

from seawall.conventions.components import kms_proxy
from seawall.conventions.environment import POLICY_VARIABLE
from seawall.errors import SeawallError, UsageError
from seawall.evidence.prober.beat import Probe, ProbeLog, Time, keep_looking
from seawall.evidence.prober.customer import Account, CustomerProbes, StatusProbe
from seawall.evidence.prober.world import KeyServiceProbe, NodeProbe
from seawall.formats import documents
from seawall.formats.drill_contract import VenueClient
from seawall.policy import Policy
from seawall.policy_file import load_policy

ACCOUNTS = 2
NODE_S_MAX = 1.0
STATUS_S_MAX = 1.0
"""Longer than any healthy answer, and short enough that a frozen venue shows as failures and not as
one long gap.
"""
VENUE_S_MAX = 5.0


def read_accounts(path: Path) -> list[Account]:
    """The first two customers of ``customers.csv``.

    Raises :class:`UsageError` if there are none such.
    """
    found: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["customer_id"] not in found and len(found) == ACCOUNTS:
                    break
                _, pools = found.setdefault(row["customer_id"], (row["api_key"], []))
                pools.append((row["network"], row["asset"]))
    except OSError as error:
        raise UsageError(f"cannot read the customers {path}: {error.strerror}") from error
    except KeyError as error:
        raise UsageError(f"{path} is no list of customers: it has no column {error}") from error
    if len(found) < ACCOUNTS:
        raise UsageError(
            f"{path} lists fewer than {ACCOUNTS} customers",
            remedy="make it with python -m loadtests.plan",
        )
    return [Account(api_key=key, pools=tuple(pools)) for key, pools in found.values()]


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises :class:`UsageError`."""
    parsed = documents.read_json(path)
    if not isinstance(parsed, dict):
        raise UsageError(f"{path} holds no JSON object")
    return parsed


async def watch(
    *,
    targets: dict[str, Any],
    policy: Policy,
    accounts: Sequence[Account],
    lanes: dict[str, dict[str, str]],
    log: ProbeLog,
) -> None:
    """Take every probe on its own schedule, for ever; one that waits delays no other.

    Raises :class:`UsageError` on bad targets.
    """
    trust = (
        ssl.create_default_context()
    )  # one for all clients: loading the roots takes longer than any probe
    async with AsyncExitStack() as stack:

        async def client(base_url: str, timeout_s: float) -> httpx.AsyncClient:
            # No cap on connections and no proxy of the environment: nothing may stand between two
            # probes, or before one.
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=32)
            return await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=base_url,
                    timeout=timeout_s,
                    limits=limits,
                    trust_env=False,
                    verify=trust,
                )
            )

        try:
            api = targets["urls"]["api_direct"]
            nodes = {network: site["node"] for network, site in targets["networks"].items()}
            regions = (targets["regions"]["primary"], targets["regions"]["standby"])
            listens = {
                region: targets["proxies"][kms_proxy(region)]["listen"] for region in regions
            }
        except (KeyError, TypeError) as error:
            raise UsageError(f"the targets lack {error}") from error
        small, large = accounts
        probes: list[Probe] = [
            *StatusProbe(venue=VenueClient(await client(api, STATUS_S_MAX))).probes()
        ]
        probes += CustomerProbes(
            venue=VenueClient(await client(api, VENUE_S_MAX)),
            policy=policy,
            small=small,
            large=large,
        ).probes()
        for network, node in nodes.items():
            http = await client("", NODE_S_MAX)
            probes += NodeProbe(
                http=http, network=network, url=node, lanes=lanes.get(network, {})
            ).probes()
        for region, listen in listens.items():
            probes += KeyServiceProbe(region=region, listen=listen).probes()
        clocks = Time(steady=time.monotonic, wall=time.time, sleep=asyncio.sleep)
        start = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for index, probe in enumerate(probes):
                # Spread over their period, so that they do not all ask in the same instant.
                tasks.create_task(
                    keep_looking(
                        probe,
                        log,
                        first_at=start + probe.period_s * index / len(probes),
                        time=clocks,
                    )
                )


async def _until_told(**given: Any) -> None:
    task = asyncio.create_task(watch(**given))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return


def main() -> int:
    """Probe until SIGTERM; the exit code is of :class:`seawall.errors.ExitCode`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--targets", type=Path, required=True)
    parser.add_argument("--customers", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--lanes",
        type=Path,
        help='payout addresses: {"network": {"wallet": "0x..."}}; without it no nonce is watched',
    )
    parser.add_argument(
        "--policy",
        type=Path,
        default=os.environ.get(POLICY_VARIABLE),
        help=f"{POLICY_VARIABLE} if left out",
    )
    arguments = parser.parse_args()
    try:
        if arguments.policy is None:
            raise UsageError(
                "nobody says which policy is in force",
                remedy=f"give --policy, or name it in {POLICY_VARIABLE}",
            )
        given = {
            "targets": read_json(arguments.targets),
            "policy": load_policy(Path(arguments.policy)),
            "accounts": read_accounts(arguments.customers),
            "lanes": read_json(arguments.lanes) if arguments.lanes is not None else {},
        }
        with arguments.out.open("a", encoding="utf-8") as file:
            uvloop.run(_until_told(**given, log=ProbeLog(file)))
    except SeawallError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())

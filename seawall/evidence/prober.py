"""The black-box prober: the second observer of a drill, a program of its own.

    python -m seawall.evidence.prober --deployment FILE --customers FILE --out probes.jsonl

In: the deployment file and a list of customers. The prober acts as the first two, which take no
part in floods. Out: ``probes.jsonl``, one line per sample. It runs until SIGTERM.

It talks to the venue and the nodes directly, never through the proxies that faults act on. Only the
probes of key services and RPC endpoints go through theirs, because they must see those faults.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import math
import os
import signal
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import httpx
import uvloop

from seawall.conventions.components import SIDES, kms_proxy, rpc_proxy
from seawall.conventions.environment import POLICY_VARIABLE
from seawall.errors import SeawallError, ServiceError, UsageError
from seawall.evidence.probes import (
    Account,
    CustomerProbes,
    EndpointProbe,
    NodeProbe,
    Probe,
    Sample,
    StatusProbe,
)
from seawall.formats import documents
from seawall.formats.drill_contract import VenueClient
from seawall.policy import Policy
from seawall.policy_file import load_policy
from seawall.processes.parent import end_with_runner

ACCOUNTS = 2
NODE_S_MAX = 1.0
STATUS_S_MAX = 1.0
"""Longer than any healthy answer, and short enough that a frozen venue shows as many failed samples
rather than one long gap.
"""
VENUE_S_MAX = 5.0
ERROR_CHARACTERS_MAX = 200


@dataclass(frozen=True, kw_only=True)
class Clocks:
    """A steady clock for the schedule, and the wall clock (Unix seconds) for the record."""

    steady: Callable[[], float]
    wall: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]


class ProbeLog:
    """``probes.jsonl``: a line per sample, flushed at once, so a killed prober loses none."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, sample: Sample, *, at: float, done_at: float) -> None:
        """Append one sample, taken ``at`` and answered ``done_at`` (Unix seconds)."""
        line = {
            "at": round(at, 6),
            "done_at": round(done_at, 6),
            "probe": sample.probe,
            "ok": sample.ok,
            "detail": sample.detail,
        }
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
        self._file.flush()


async def repeat(probe: Probe, log: ProbeLog, *, first_at: float, clocks: Clocks) -> None:
    """Ask ``probe`` at ``first_at`` (of the steady clock) and every period after it, for ever.

    An answer that takes longer than the period skips the ticks that passed meanwhile. The record
    then shows a gap: no tick is made up for later.
    """
    tick = 0
    while True:
        wait = first_at + tick * probe.period_s - clocks.steady()
        if wait > 0:
            await clocks.sleep(wait)
        at = clocks.wall()
        try:
            samples = await probe.ask()
        except (ServiceError, httpx.HTTPError, OSError, TimeoutError, ValueError) as error:
            text = (str(error) or type(error).__name__)[:ERROR_CHARACTERS_MAX]
            samples = [Sample(probe=probe.name, ok=False, detail={**probe.about, "error": text})]
        done_at = clocks.wall()
        for sample in samples:
            log.write(sample, at=at, done_at=done_at)
        passed = math.floor((clocks.steady() - first_at) / probe.period_s)
        tick = max(tick, passed) + 1


def read_accounts(path: Path) -> list[Account]:
    """The first two customers of the list ``path``.

    Raises :class:`UsageError` if it cannot be read or has fewer.
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
            remedy="name a file with customers whose keys a drill may use",
        )
    return [Account(api_key=key, pools=tuple(pools)) for key, pools in found.values()]


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``. Raises :class:`UsageError` if it is none."""
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
    """Ask every probe on its own schedule, for ever; a slow one delays no other.

    Raises :class:`UsageError` if the targets lack an address.
    """
    # One for all clients: loading the root certificates takes longer than any probe.
    trust = ssl.create_default_context()
    async with AsyncExitStack() as stack:

        async def client(base_url: str, timeout_s: float) -> httpx.AsyncClient:
            # No limit on connections, so that no probe waits for another; no proxy from the
            # environment, so that none stands between the prober and the venue.
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
            endpoints = [
                EndpointProbe(
                    name="kms",
                    about={"region": region},
                    listen=targets["proxies"][kms_proxy(region)]["listen"],
                )
                for region in regions
            ] + [
                EndpointProbe(
                    name="rpc",
                    about={"network": network, "side": side},
                    listen=targets["proxies"][rpc_proxy(network, side)]["listen"],
                )
                for network in nodes
                for side in SIDES
            ]
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
        for endpoint in endpoints:
            probes += endpoint.probes()
        clocks = Clocks(steady=time.monotonic, wall=time.time, sleep=asyncio.sleep)
        start = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for index, probe in enumerate(probes):
                # Spread over the period, so that they do not all ask in the same instant.
                tasks.create_task(
                    repeat(
                        probe,
                        log,
                        first_at=start + probe.period_s * index / len(probes),
                        clocks=clocks,
                    )
                )


async def _watch_until_signal(**given: Any) -> None:
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
    end_with_runner()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--deployment", type=Path, required=True)
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
                "it is not known which policy is in force",
                remedy=f"give --policy, or name it in {POLICY_VARIABLE}",
            )
        given = {
            "targets": read_json(arguments.deployment),
            "policy": load_policy(Path(arguments.policy)),
            "accounts": read_accounts(arguments.customers),
            "lanes": read_json(arguments.lanes) if arguments.lanes is not None else {},
        }
        with arguments.out.open("a", encoding="utf-8") as file:
            uvloop.run(_watch_until_signal(**given, log=ProbeLog(file)))
    except SeawallError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())

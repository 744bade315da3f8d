"""The black-box prober: the second observer of a drill, a program of its own.

    python -m seawall.evidence.prober --deployment FILE --customers FILE --out probes.jsonl

In: the deployment file and a list of customers. The prober acts as the first two, which take no
part in floods. Out: ``probes.jsonl``, one line per sample. It runs until SIGTERM.

It asks the venue at the address that its customers use, as the flood does, and only what the venue
offers: a shorter way in would show a venue that no customer has. The first line of the log says
which address that is. Nodes are asked directly, past every proxy that faults act on; the probes of
key services, signers, RPC endpoints and providers of rails go through theirs, because they must see
those faults. Where a drill may be a client of the ledger's database, the prober has it count its
sessions.
"""

from __future__ import annotations

import argparse
import asyncio
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

from seawall.conventions.components import (
    PROMETHEUS_PROCESS,
    PROVIDER_PROXIES,
    SIDES,
    kms_proxy,
    rpc_proxy,
)
from seawall.conventions.environment import POLICY_VARIABLE
from seawall.conventions.evidence import ADDRESS_PROBE
from seawall.errors import SeawallError, ServiceError, UsageError
from seawall.evidence.probes import (
    CustomerProbes,
    EndpointProbe,
    NodeProbe,
    Probe,
    Sample,
    SignerProbe,
    StatusProbe,
)
from seawall.evidence.sessions import SessionsProbe
from seawall.formats import documents
from seawall.formats.customers import OF_PROBER, Account, read_accounts
from seawall.formats.deployment import Deployment, address_of, load_deployment
from seawall.formats.drill_contract import VenueAdapter, VenueClient, load_adapter
from seawall.policy import Policy
from seawall.policy_file import load_policy
from seawall.processes.parent import end_with_runner

NODE_S_MAX = 1.0
STATUS_S_MAX = 1.0
"""Longer than any healthy answer, and short enough that a frozen venue shows as many failed samples
rather than one long gap.
"""
SIGNER_S_MAX = 0.9
"""Longer than a signer waits for its key service, and shorter than the time between two probes."""
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


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``. Raises :class:`UsageError` if it is none."""
    parsed = documents.read_json(path)
    if not isinstance(parsed, dict):
        raise UsageError(f"{path} holds no JSON object")
    return parsed


def endpoints_of(deployment: Deployment) -> list[EndpointProbe]:
    """Probes of key services, RPC endpoints and providers that the venue reaches through proxies.

    And of Prometheus, where a drill may stop it.

    Raises :class:`UsageError` for a sandbox that lacks a proxy; another deployment may.
    """
    regions = deployment.regions
    sides = () if regions is None else (regions.primary, regions.standby)
    wanted: list[tuple[str, dict[str, Any], str]] = [
        *(("kms", {"region": region}, kms_proxy(region)) for region in sides),
        *(
            ("rpc", {"network": network, "side": side}, rpc_proxy(network, side))
            for network in deployment.networks
            for side in SIDES
        ),
    ]
    missing = [proxy for _, _, proxy in wanted if proxy not in deployment.proxies]
    if deployment.kind == "sandbox" and (missing or regions is None):
        raise UsageError(
            f"{deployment.path} lacks {', '.join(missing) or 'regions'}",
            remedy="a sandbox has a proxy before every key service and RPC endpoint",
        )
    found = [
        EndpointProbe(name=name, about=about, listen=deployment.proxies[proxy].listen)
        for name, about, proxy in wanted
        if proxy in deployment.proxies
    ]
    found += [
        EndpointProbe(name="provider", about={"proxy": proxy}, listen=declared.listen)
        for proxy, declared in deployment.proxies.items()
        if proxy in {name(side) for name in PROVIDER_PROXIES.values() for side in SIDES}
    ]
    prometheus = deployment.answers_at(PROMETHEUS_PROCESS)
    if PROMETHEUS_PROCESS in deployment.processes and prometheus is not None:
        found.append(EndpointProbe(name="prometheus", about={}, listen=prometheus))
    return found


async def watch(
    *,
    deployment: Deployment,
    policy: Policy,
    adapter: VenueAdapter,
    accounts: Sequence[Account],
    lanes: dict[str, dict[str, str]],
    log: ProbeLog,
) -> None:
    """Ask every probe on its own schedule, for ever; a slow one delays no other.

    Raises :class:`UsageError` if the deployment lacks an address, or an account what it must hold.
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

        api = deployment.urls.api
        log.write(
            Sample(probe=ADDRESS_PROBE, ok=True, detail={"api": address_of(api)}),
            at=(now := time.time()),
            done_at=now,
        )
        small, large = accounts
        probes: list[Probe] = [
            *StatusProbe(venue=VenueClient(await client(api, STATUS_S_MAX), adapter)).probes()
        ]
        probes += CustomerProbes(
            venue=VenueClient(await client(api, policy.probing.gap_max / 1_000), adapter),
            policy=policy,
            small=small,
            large=large,
        ).probes()
        for network, site in deployment.networks.items():
            http = await client("", NODE_S_MAX)
            probes += NodeProbe(
                http=http, network=network, url=site.node, lanes=lanes.get(network, {})
            ).probes()
        for region, signer in deployment.signers.items():
            http = await client("", SIGNER_S_MAX)
            probes += SignerProbe(http=http, region=region, signer=signer).probes()
        for endpoint in endpoints_of(deployment):
            probes += endpoint.probes()
        if deployment.database is not None and deployment.database.client is not None:
            probes += SessionsProbe(url_file=deployment.database.client).probes()
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
        deployment = load_deployment(arguments.deployment)
        policy = load_policy(Path(arguments.policy))
        given = {
            "deployment": deployment,
            "policy": policy,
            "adapter": load_adapter(deployment.venue.speaks, policy=policy),
            "accounts": read_accounts(arguments.customers, first=OF_PROBER),
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

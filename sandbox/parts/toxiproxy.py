"""Wire faults: Toxiproxy with a proxy between every pair of processes that talk to each other."""

from __future__ import annotations

import json

from sandbox import providers
from sandbox.parts import chains, monitoring, postgres, services
from sandbox.parts.part import Context, Part
from seawall.conventions import components
from seawall.formats.atomic import write_private
from seawall.processes.readiness import http_answers

NAME = "toxiproxy"


def upstreams(context: Context) -> dict[str, str]:
    """What stands behind each proxy, as a port name.

    Venue processes start later, on ports promised to them here.
    """
    regions = (context.policy.regions.primary, context.policy.regions.standby)
    behind = {components.kms_proxy(region): services.AWS for region in regions}
    behind |= {
        components.signer_proxy(region): components.signing_front_process(region)
        for region in regions
    }
    behind |= {
        components.rpc_proxy(network, side): chains.endpoint_port(network, side)
        for network in context.policy.networks
        for side in components.SIDES
    }
    behind |= {
        components.PROVIDER_PROXIES[kind](side): providers.component(kind, side)
        for kind, side in services.all_providers(context)
    }
    if context.policy.custody is not None:
        behind[components.CUSTODIAN_PROXY] = components.CUSTODIAN_PROCESS
    if context.policy.rebalancing is not None:
        behind[components.CARRIER_PROXY] = components.CARRIER_PROCESS
    return behind | {
        components.API_PROXY: components.API_PROCESS,
        **{proxy: name for name, proxy in postgres.PROXIES.items()},
        components.PAGER_PROXY: monitoring.PAGER,
    }


def port_name(proxy: str) -> str:
    """Port name of a proxy's listener."""
    return f"proxy {proxy}"


def part(context: Context) -> Part:
    """Ready when its API lists every proxy as enabled."""
    behind = upstreams(context)
    path = context.data_dir / "toxiproxy.json"

    def prepare() -> None:
        proxies = [
            {
                "name": proxy,
                "listen": context.ports.address(port_name(proxy)),
                "upstream": context.ports.address(upstream),
                "enabled": True,
            }
            for proxy, upstream in behind.items()
        ]
        write_private(path, json.dumps(proxies, indent=1) + "\n")

    return Part(
        name=NAME,
        argv=(
            context.program("toxiproxy-server"),
            "-host",
            "127.0.0.1",
            "-port",
            str(context.ports.of(NAME)),
            "-config",
            path,
        ),
        prepare=prepare,
        ready=http_answers(
            f"{context.ports.url(NAME)}/proxies",
            holds=lambda listed: (
                {name for name, proxy in listed.items() if proxy["enabled"]} == behind.keys()
            ),
        ),
        # It makes a new buffer for whatever it reads; collecting them took a quarter of its time.
        # With a second thread it wakes one for nearly every message that it passes on.
        env={"LOG_LEVEL": "warn", "GOGC": "800", "GOMAXPROCS": "1"},
    )

"""Wire faults: Toxiproxy with a proxy between every pair that talks, all of them there from its
first moment.
"""

from __future__ import annotations

import json

from sandbox.parts import exchange, moto, pager, postgres, rpc
from sandbox.parts.base import Part, Site
from seawall.conventions import components
from seawall.formats.atomic import write_private
from seawall.processes.readiness import http_answers

NAME = "toxiproxy"


def upstreams(site: Site) -> dict[str, str]:
    """What stands behind each proxy, as a port name.

    Venue processes start later, on ports promised to them here.
    """
    regions = (site.policy.regions.primary, site.policy.regions.standby)
    behind = {components.kms_proxy(region): moto.NAME for region in regions}
    behind |= {
        components.signer_proxy(region): components.signer_process(region) for region in regions
    }
    behind |= {
        components.rpc_proxy(network, side): rpc.endpoint(network, side)
        for network in site.policy.networks
        for side in rpc.SIDES
    }
    behind |= {
        components.exchange_proxy(which): exchange.component(which)
        for which in exchange.names(site)
    }
    return behind | {
        components.API_PROXY: components.API_PROCESS,
        components.POSTGRES_PROXY: postgres.NAME,
        components.PAGER_PROXY: pager.NAME,
    }


def port_name(proxy: str) -> str:
    """Port name of a proxy's listener."""
    return f"proxy {proxy}"


def part(site: Site) -> Part:
    """Ready when its API lists every proxy as enabled."""
    behind = upstreams(site)
    path = site.data_dir / "toxiproxy.json"

    def prepare() -> None:
        proxies = [
            {
                "name": proxy,
                "listen": site.ports.address(port_name(proxy)),
                "upstream": site.ports.address(upstream),
                "enabled": True,
            }
            for proxy, upstream in behind.items()
        ]
        write_private(path, json.dumps(proxies, indent=1) + "\n")

    return Part(
        name=NAME,
        argv=(
            site.program("toxiproxy-server"),
            "-host",
            "127.0.0.1",
            "-port",
            str(site.ports.of(NAME)),
            "-config",
            path,
        ),
        prepare=prepare,
        ready=http_answers(
            f"{site.ports.url(NAME)}/proxies",
            holds=lambda listed: (
                {name for name, proxy in listed.items() if proxy["enabled"]} == behind.keys()
            ),
        ),
        env={"LOG_LEVEL": "warn"},
    )

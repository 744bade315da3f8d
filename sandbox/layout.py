"""The lay-out of one sandbox.

Which parts there are, on which ports, and what is told about them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.database import Credentials, new_credentials
from sandbox.kept import Record
from sandbox.parts import (
    alertmanager,
    anvil,
    exchange,
    lease,
    moto,
    pager,
    postgres,
    prometheus,
    rpc,
    toxiproxy,
)
from sandbox.parts.base import Part, Site
from sandbox.ports import Ports
from seawall.conventions import components
from seawall.conventions import sabotage as sabotage_names
from seawall.formats.deployment import (
    NetworkTarget,
    ProxyTarget,
    RegionTargets,
    RpcTargets,
    Targets,
    Urls,
)
from seawall.policy import Policy


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Parts, ports and passwords of one attempt to start a sandbox."""

    site: Site
    credentials: Credentials

    @classmethod
    def plan(
        cls,
        *,
        policy: Policy,
        record: Record,
        data_dir: Path,
        env: Mapping[str, str],
        pick: Callable[[], int],
    ) -> Layout:
        """Choose every port and password; nothing is started."""
        site = Site(
            policy=policy,
            policy_path=record.policy_path,
            data_dir=data_dir,
            programs=record.programs,
            env=env,
            ports=Ports(pick),
        )
        return cls(site=site, credentials=new_credentials())

    def parts(self) -> list[Part]:
        """Every part, the slowest to start first."""
        site = self.site
        pager_url = f"{site.ports.url(toxiproxy.port_name(components.PAGER_PROXY))}/"
        return [
            moto.part(site),
            postgres.part(site, self.credentials),
            prometheus.part(site),
            alertmanager.part(site, pager_url=pager_url),
            lease.part(site),
            *(anvil.part(site, network) for network in site.policy.networks),
            rpc.part(site),
            *(exchange.part(site, which) for which in exchange.names(site)),
            pager.part(site),
            toxiproxy.part(site),
        ]

    def targets(self, *, run_id: str) -> Targets:
        """What faults, probes and the venue's configuration are made from."""
        site = self.site
        url = site.ports.url

        def proxied(proxy: str) -> str:
            return url(toxiproxy.port_name(proxy))

        return Targets(
            run_id=run_id,
            data_dir=site.data_dir,
            toxiproxy=url(toxiproxy.NAME),
            proxies={
                proxy: ProxyTarget(
                    listen=site.ports.address(toxiproxy.port_name(proxy)),
                    upstream=site.ports.address(upstream),
                )
                for proxy, upstream in toxiproxy.upstreams(site).items()
            },
            processes={},
            urls=Urls(
                api=proxied(components.API_PROXY),
                api_direct=url(components.API_PROCESS),
                prometheus=url(prometheus.NAME),
                alertmanager=url(alertmanager.NAME),
                pager=url(pager.NAME),
                aws=url(moto.NAME),
                lease=url(lease.NAME),
            ),
            regions=RegionTargets(
                primary=site.policy.regions.primary, standby=site.policy.regions.standby
            ),
            networks={
                name: NetworkTarget(
                    chain_id=network.chain_id,
                    rpc=RpcTargets(
                        **{side: proxied(components.rpc_proxy(name, side)) for side in rpc.SIDES}
                    ),
                    node=url(anvil.name_of(name)),
                )
                for name, network in site.policy.networks.items()
            },
            metrics_ports=self._metrics_ports(),
        )

    def _metrics_ports(self) -> dict[str, int]:
        """Where each venue process serves ``/metrics``.

        Beside its own interface, or on a port that has no other use.
        """
        policy, ports = self.site.policy, self.site.ports
        serving = [components.API_PROCESS]
        serving += [
            components.signer_process(region)
            for region in (policy.regions.primary, policy.regions.standby)
        ]
        quiet = [components.MODE_CONTROLLER_PROCESS, components.TREASURY_PROCESS]
        quiet += [components.settler_process(network) for network in policy.networks]
        return {name: ports.of(name) for name in serving} | {
            name: ports.of(f"metrics {name}") for name in quiet
        }


def sabotaged_components(policy: Policy, sabotage: str | None) -> dict[str, str]:
    """Which components learn that a control is switched off.

    The ones that hold it, and no observer.
    """
    if sabotage is None:
        return {}
    holders = {
        sabotage_names.SABOTAGE_FAILOVER: [
            components.settler_process(network) for network in policy.networks
        ],
        sabotage_names.SABOTAGE_MODE_CONTROLLER: [components.MODE_CONTROLLER_PROCESS],
        sabotage_names.SABOTAGE_BULKHEAD: [
            components.signer_process(region)
            for region in (policy.regions.primary, policy.regions.standby)
        ],
    }
    return dict.fromkeys(holders[sabotage], sabotage)

"""The layout of one sandbox: its parts, their ports, and what the deployment file says of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox import providers
from sandbox.database import Credentials, new_credentials
from sandbox.kept import Record
from sandbox.parts import chains, monitoring, postgres, services, toxiproxy
from sandbox.parts.part import Context, Part
from sandbox.ports import Ports
from sandbox.stack_environment import STACK
from seawall.conventions import components
from seawall.conventions import sabotage as sabotage_names
from seawall.conventions.local_aws import ACCOUNT_ID, KMS_CROWDING_PATH
from seawall.formats.deployment import Deployment, Network, Proxy, Regions, RpcEndpoints, Urls
from seawall.policy import Policy

_MODE_CONTROLLERS = (components.MODE_CONTROLLER_PROCESS, components.MODE_CONTROLLER_STANDBY_PROCESS)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Parts, ports and passwords of one attempt to start a sandbox."""

    context: Context
    credentials: Mapping[str, Credentials]

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
        context = Context(
            policy=policy,
            policy_path=record.policy_path,
            data_dir=data_dir,
            programs=record.programs,
            env=env,
            providers=providers.new_credentials(policy),
            ports=Ports(pick),
        )
        return cls(context=context, credentials=new_credentials())

    def parts(self) -> list[Part]:
        """Every part, the slowest to start first."""
        context = self.context
        pager_url = f"{context.ports.url(toxiproxy.port_name(components.PAGER_PROXY))}/"
        return [
            services.aws(context),
            *(
                postgres.part(context, self.credentials[proxy], name=name)
                for name, proxy in postgres.PROXIES.items()
            ),
            monitoring.prometheus(context, metrics_ports=self._metrics_ports()),
            monitoring.alertmanager(context, pager_url=pager_url),
            services.lease(context),
            *(chains.node(context, network) for network in context.policy.networks),
            chains.endpoints(context),
            *(services.provider(context, *each) for each in services.all_providers(context)),
            monitoring.pager(context),
            toxiproxy.part(context),
        ]

    def deployment(self, *, run_id: str, sabotage: str | None = None) -> Deployment:
        """What is known of the running stack before anything has started."""
        context = self.context
        url = context.ports.url

        def proxied(proxy: str) -> str:
            return url(toxiproxy.port_name(proxy))

        return Deployment(
            run_id=run_id,
            data_dir=context.data_dir,
            policy=context.policy_path,
            stack=STACK,
            kind="sandbox",
            account=ACCOUNT_ID,
            sabotage=sabotage,
            toxiproxy=url(toxiproxy.NAME),
            kms_crowding=f"{url(services.AWS)}{KMS_CROWDING_PATH}",
            proxies={
                proxy: Proxy(
                    listen=context.ports.address(toxiproxy.port_name(proxy)),
                    upstream=context.ports.address(upstream),
                )
                for proxy, upstream in toxiproxy.upstreams(context).items()
            },
            processes={},
            urls=Urls(
                api=proxied(components.API_PROXY),
                api_direct=url(components.API_PROCESS),
                prometheus=url(monitoring.PROMETHEUS),
                alertmanager=url(monitoring.ALERTMANAGER),
                pager=url(monitoring.PAGER),
                aws=url(services.AWS),
                lease=url(services.LEASE),
            ),
            regions=Regions(
                primary=context.policy.regions.primary, standby=context.policy.regions.standby
            ),
            networks={
                name: Network(
                    chain_id=network.chain_id,
                    rpc=RpcEndpoints(
                        **{
                            side: proxied(components.rpc_proxy(name, side))
                            for side in components.SIDES
                        }
                    ),
                    node=url(chains.node_name(name)),
                )
                for name, network in context.policy.networks.items()
            },
            metrics_ports=self._metrics_ports(),
        )

    def _metrics_ports(self) -> dict[str, int]:
        """Where each venue process serves ``/metrics``.

        The signers and their fronts beside their own interface; the others on a port that has no
        other use, the api because its own is the customers'.
        """
        policy, ports = self.context.policy, self.context.ports
        serving = [*map(components.signing_front_process, _regions(policy)), *_signers(policy)]
        quiet = [
            components.API_PROCESS,
            *_MODE_CONTROLLERS,
            components.TREASURY_PROCESS,
            components.WAL_STREAM_PROCESS,
            *([components.RAILS_PROCESS] if policy.paying_rails() else []),
            *(components.settler_process(network) for network in policy.networks),
        ]
        return {name: ports.of(name) for name in serving} | {
            name: ports.of(f"metrics {name}") for name in quiet
        }


def _regions(policy: Policy) -> tuple[str, str]:
    return policy.regions.primary, policy.regions.standby


def _signers(policy: Policy) -> list[str]:
    return [
        components.signer_process(region, bucket)
        for region in _regions(policy)
        for bucket in policy.signing_buckets()
    ]


def sabotaged_components(policy: Policy, sabotage: str | None) -> dict[str, str]:
    """The components whose environment says that a control is switched off.

    Only those that hold it get the variable, and no observer.
    """
    if sabotage is None:
        return {}
    holders = {
        sabotage_names.SABOTAGE_FAILOVER: [
            components.settler_process(network) for network in policy.networks
        ],
        sabotage_names.SABOTAGE_RPC_FAILOVER: [
            components.TREASURY_PROCESS,
            *(components.settler_process(network) for network in policy.networks),
        ],
        sabotage_names.SABOTAGE_RAIL_FAILOVER: [components.RAILS_PROCESS],
        sabotage_names.SABOTAGE_MODE_CONTROLLER: [*_MODE_CONTROLLERS],
        sabotage_names.SABOTAGE_ASSET_REST: [
            components.settler_process(network) for network in policy.networks
        ],
        sabotage_names.SABOTAGE_CUSTOMER_LIMITS: [components.API_PROCESS],
        sabotage_names.SABOTAGE_WAL_STREAM: [components.WAL_STREAM_PROCESS],
        sabotage_names.SABOTAGE_BULKHEAD: _signers(policy),
    }
    return dict.fromkeys(holders[sabotage], sabotage)

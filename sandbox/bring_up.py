"""Bring the stage up: sandbox, stack, contracts, ledger, venue. What `up` and `gameday` share.

The venue is reached only through its native entry points and the files that they read, never
imported.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from coincurve import PrivateKey
from eth_utils.crypto import keccak

from sandbox import stack
from sandbox.hosted_zones import prepare_landing
from sandbox.identities import Identities, create_identities
from sandbox.kill_switch import mount_brake
from sandbox.quotas import KMS_ECC_PER_S
from sandbox.scraped import await_watched
from sandbox.supervisor import Sandbox
from sandbox.task import Task
from seawall.conventions import components, environment
from seawall.errors import ServiceError
from seawall.evidence.chain import NATIVE, ChainSource
from seawall.formats.atomic import write_private
from seawall.policy import Policy

IDENTITIES = "identities.json"
"""In the data directory, mode 0600: who deploys and who signs; `seawall env` reads it."""
OUTPUTS = "outputs.json"
"""In the data directory: what the stack tells, for drills that need no venue."""
_ROLES = ("api", "settler", "signer", "guard", "treasury", "auditor")
_GAS_MONEY_WEI = 10**26
"""What the deployer gets on each network: more than every holding of any plausible policy."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Everything that a drill needs to know of what was brought up."""

    policy: Policy
    policy_path: Path
    sandbox: Sandbox
    outputs: Mapping[str, Any]
    venue: Mapping[str, Any]
    customers: Path
    lanes: Path

    @property
    def auditor_url(self) -> str:
        """PostgreSQL as the read-only auditor, past the proxy."""
        return self.sandbox.database_url("auditor")

    def chain_sites(self) -> list[ChainSource]:
        """The networks as an auditor reads them: from the nodes, past every proxy."""
        sites = []
        for network, site in self.venue["networks"].items():
            wallets = {
                name: site["payout_contracts"].get(name)
                or site["reserve_contracts"].get(name)
                or self._address(name)
                for name, wallet in self.policy.wallets.items()
                if wallet.network == network
            }
            tokens = {asset: address.lower() for asset, address in site["tokens"].items()}
            sites.append(
                ChainSource(
                    network=network,
                    node_url=self.sandbox.targets.networks[network].node,
                    payout_contracts=site["payout_contracts"],
                    wallets=wallets,
                    assets={self.policy.networks[network].native: NATIVE, **tokens},
                    lanes={
                        wallet: str(self.outputs["signers"][wallet]["address"])
                        for wallet in (*site["payout_contracts"], *site["reserve_contracts"])
                    },
                )
            )
        return sites

    def _address(self, wallet: str) -> str:
        declared = self.policy.wallets[wallet].address
        return (
            declared.lower()
            if declared is not None
            else str(self.outputs["signers"][wallet]["address"])
        )


def bring_up_stage(
    sandbox: Sandbox,
    *,
    root: Path,
    policy: Policy,
    policy_path: Path,
    gameday: str,
    seed: int,
    report: Callable[[str], None],
    event: Callable[[str], None],
) -> Stage:
    """Provision and start everything on a running ``sandbox``.

    Returns when the venue is ready and funded.

    ``report`` gets lines for people, ``event`` the names of the timeline's events.

    Raises :class:`ServiceError` or :class:`ComponentDiedError` naming the part that did not come
    up.
    """
    plan = [
        "--policy",
        str(policy_path),
        "--gameday",
        gameday,
        "--seed",
        str(seed),
        "--out",
        str(sandbox.data_dir),
    ]
    with Task(sandbox, root=root, name="flood-plan", module=["loadtests.plan", *plan]) as planning:
        prepare_landing(endpoint=sandbox.targets.urls.aws, policy=policy)
        identities = create_identities(endpoint=sandbox.targets.urls.aws, policy=policy)
        identities.write(sandbox.data_dir / IDENTITIES)
        outputs = _provision(
            sandbox,
            root=root,
            policy=policy,
            policy_path=policy_path,
            identities=identities,
            report=report,
        )
        mount_brake(sandbox, runner=identities.gamedays, outputs=outputs)
        write_private(sandbox.data_dir / OUTPUTS, json.dumps(outputs, indent=1))
        event("stack.up")
        deployed = _deploy(sandbox, root=root, policy_path=policy_path, outputs=outputs)
        planning.finish()
    report("contracts deployed and funded")
    venue = _configure(
        sandbox, policy=policy, policy_path=policy_path, outputs=outputs, deployed=deployed
    )
    venue_path = sandbox.data_dir / "venue.json"
    write_private(venue_path, json.dumps(venue, indent=1))
    customers = sandbox.data_dir / "customers.csv"
    roles = sandbox.data_dir / "roles.json"
    urls = {role: sandbox.database_url(role, through_proxy=True) for role in _ROLES}
    write_private(roles, json.dumps(urls, indent=1))
    genesis = ["--config", str(venue_path), "--customers", str(customers), "--roles", str(roles)]
    owner = {environment.DATABASE_VARIABLE: sandbox.database_url("owner", through_proxy=True)}
    try:
        _run(root, sandbox, "venue-genesis", ["venue.genesis", *genesis], **owner)
    finally:
        roles.unlink()
    report("ledger opened")
    _start_venue(sandbox, policy=policy, venue_path=venue_path, identities=identities)
    await_watched(sandbox.targets.urls.prometheus, sandbox.targets.metrics_ports)
    event("venue.ready")
    lanes = sandbox.data_dir / "lanes.json"
    payout_wallets = policy.payout_wallets()
    lanes.write_text(
        json.dumps(
            {
                network: {
                    name: outputs["signers"][name]["address"]
                    for name, wallet in payout_wallets.items()
                    if wallet.network == network
                }
                for network in policy.networks
            }
        ),
        encoding="utf-8",
    )
    return Stage(
        policy=policy,
        policy_path=policy_path,
        sandbox=sandbox,
        outputs=outputs,
        venue=venue,
        customers=customers,
        lanes=lanes,
    )


def _provision(
    sandbox: Sandbox,
    *,
    root: Path,
    policy: Policy,
    policy_path: Path,
    identities: Identities,
    report: Callable[[str], None],
) -> Mapping[str, Any]:
    """Run the real ``pulumi up`` against the attached provider; the stack's outputs."""
    settings = stack.Settings(
        root=root,
        data_dir=sandbox.data_dir,
        policy_path=policy_path,
        aws_endpoint=sandbox.targets.urls.aws,
        provider_port=sandbox.start_provider(credentials=identities.deployer.environment()),
        deployer=identities.deployer,
        principals=identities.principals(),
        region=policy.regions.primary,
        path=sandbox.environment["PATH"],
        extra=sandbox.environment,
    )
    stack.up(settings, report=report)
    return stack.outputs(settings)


def _deploy(
    sandbox: Sandbox, *, root: Path, policy_path: Path, outputs: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Deploy tokens and payout contracts and fund every wallet from a key that exists for this one
    run.
    """
    key = PrivateKey(secrets.token_bytes(32))
    address = "0x" + keccak(key.public_key.format(compressed=False)[1:])[-20:].hex()
    networks = {}
    for name, site in sandbox.targets.networks.items():
        grant = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "anvil_setBalance",
            "params": [address, hex(_GAS_MONEY_WEI)],
        }
        answer = _ask(name, site.node, grant)
        if "error" in answer:
            message = f"{name} did not fund the deployer: {answer['error']}"
            raise ServiceError(message)
        networks[name] = {"chain_id": site.chain_id, "rpc": site.node}
    wallets = {name: entry["address"] for name, entry in outputs["signers"].items()}
    plan, out = sandbox.data_dir / "deploy-plan.json", sandbox.data_dir / "deployed.json"
    plan.write_text(
        json.dumps({"policy": str(policy_path), "networks": networks, "wallets": wallets}),
        encoding="utf-8",
    )
    _run(
        root,
        sandbox,
        "venue-deploy",
        ["venue.chain.deploy", "--plan", str(plan), "--out", str(out)],
        SEAWALL_DEPLOYER_KEY=key.to_hex(),
    )
    deployed: Mapping[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return deployed


def _ask(network: str, url: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """One JSON-RPC call to a node. Raises :class:`ServiceError`."""
    try:
        with httpx.Client(trust_env=False, timeout=10) as client:
            answer: Mapping[str, Any] = client.post(url, json=request).raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        message = f"the node of {network} does not answer: {error}"
        raise ServiceError(message) from error
    return answer


def _configure(
    sandbox: Sandbox,
    *,
    policy: Policy,
    policy_path: Path,
    outputs: Mapping[str, Any],
    deployed: Mapping[str, Any],
) -> dict[str, Any]:
    """The venue's configuration: every neighbour through its proxy."""
    targets = sandbox.targets
    regions = (policy.regions.primary, policy.regions.standby)
    return {
        "run_id": targets.run_id,
        "policy": str(policy_path),
        "networks": {
            name: {
                "chain_id": site.chain_id,
                "rpc": {
                    which: targets.proxy_url(components.rpc_proxy(name, which))
                    for which in ("primary", "standby")
                },
                **deployed["networks"][name],
            }
            for name, site in targets.networks.items()
        },
        "signers": {
            region: {
                "listen_port": targets.upstream_port(components.signer_proxy(region)),
                "operations_per_s": KMS_ECC_PER_S,
                "url": targets.proxy_url(components.signer_proxy(region)),
                "kms_endpoint": targets.proxy_url(components.kms_proxy(region)),
                "sts_endpoint": targets.proxy_url(components.kms_proxy(region)),
                "keys": {
                    wallet: {
                        "key_id": entry["key_id"],
                        "address": entry["address"],
                        "role_arn": entry["roles"][region],
                    }
                    for wallet, entry in outputs["signers"].items()
                },
            }
            for region in regions
        },
        "exchange": {
            which: targets.proxy_url(components.exchange_proxy(which))
            for which in ("primary", "standby")
        },
        "api_listen_port": targets.upstream_port(components.API_PROXY),
        "api_url": targets.urls.api,
        "metrics_ports": dict(targets.metrics_ports),
    }


def _start_venue(
    sandbox: Sandbox, *, policy: Policy, venue_path: Path, identities: Identities
) -> None:
    """Start the venue's processes side by side and wait until each says that it is ready."""
    config = ["--config", str(venue_path)]

    def own(role: str) -> dict[str, str]:
        return {environment.DATABASE_VARIABLE: sandbox.database_url(role, through_proxy=True)}

    processes: dict[str, tuple[Sequence[str], Mapping[str, str]]] = {
        "venue-api": (["venue.api", *config], own("api")),
        "venue-guard": (["venue.mode_controller", *config], own("guard")),
        "venue-treasury": (["venue.treasury", *config], own("treasury")),
    }
    for region in identities.signers:
        # No principal signs for two buckets: the process gets a profile of credentials for each.
        profiles = sandbox.data_dir / f"{components.signer_process(region)}.credentials"
        identities.write_signers(region, profiles)
        credentials = {
            **own("signer"),
            "AWS_SHARED_CREDENTIALS_FILE": str(profiles),
            "AWS_DEFAULT_REGION": region,
        }
        processes[components.signer_process(region)] = (
            ["venue.signer", *config, "--region", region],
            credentials,
        )
    for network in policy.networks:
        processes[components.settler_process(network)] = (
            ["venue.settler", *config, "--network", network],
            own("settler"),
        )
    sandbox.spawn_all(
        {
            name: ([sys.executable, "-P", "-m", *module], env)
            for name, (module, env) in processes.items()
        },
        ready_line="ready",
    )


def _run(root: Path, sandbox: Sandbox, name: str, module: Sequence[str], **env: str) -> None:
    """Run a task to its end. Raises :class:`ServiceError` with the end of its log."""
    with Task(sandbox, root=root, name=name, module=module, **env) as task:
        task.finish()

"""Bring up a whole deployment: sandbox, stack, contracts, ledger, venue.

The venue is reached only through its native entry points and the files that they read, never
imported. What becomes known on the way is written into the deployment file.
"""

from __future__ import annotations

import functools
import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from coincurve import PrivateKey

from sandbox import providers, stack
from sandbox.hosted_zones import prepare_hosted_zones
from sandbox.identities import Identities, Identity, create_identities
from sandbox.keepers import Keepers
from sandbox.parts import postgres
from sandbox.parts.chains import hurried
from sandbox.parts.monitoring import PAGES_FILE
from sandbox.parts.services import KMS_ECC_PER_S
from sandbox.ports import LOOPBACK
from sandbox.scraped import await_watched
from sandbox.stack_environment import STACK
from sandbox.supervisor import Sandbox
from seawall.conventions import aws, components, environment, signing
from seawall.conventions.database import ROLES, SIGN_LOG_ROLES
from seawall.errors import ExitCode, SeawallError, ServiceError, UsageError
from seawall.ethereum.keys import address_of_private_key
from seawall.ethereum.rpc import RpcClient
from seawall.formats.atomic import write_private
from seawall.formats.deployment import AwsLog, Payouts, Signer, Venue
from seawall.formats.venue_config import (
    BucketSigner,
    Endpoint,
    Key,
    NetworkConfig,
    SignerAct,
    SignerCaller,
    SignerConfig,
    VenueConfig,
)
from seawall.kill_switch import AccessKey, KillSwitchLocation
from seawall.policy import Policy
from seawall.processes.environment import inherited
from seawall.processes.failures import tail

IDENTITIES = "identities.json"
"""In the data directory, mode 0600: who deploys and who signs; `seawall env` reads it."""
OUTPUTS = "outputs.json"
"""In the data directory: the stack's outputs."""
PRINCIPALS = "principals.config"
"""In the data directory, mode 0600: an AWS profile for each principal of the stack."""
VENUE_CONFIG = "venue.json"
"""In the data directory: the configuration of the venue's processes."""
WAL = "wal"
"""Folder in the data directory for the stream of the database's log."""
AUDITOR = "auditor.url"
SIGN_LOG_AUDITOR = "sign-log-auditor.url"
"""In the data directory, mode 0600: each database as the read-only auditor, past the proxy."""
PROBER = "prober.credential"
PROVER = "prover.credential"
"""In the data directory, mode 0600: what the kit shows the signers, to probe and to have proofs."""
_NODE_ANSWER_S_MAX = 10.0
CUSTOMERS = "customers.csv"
KEY_FILE = "gameday.json"
"""In the data directory, mode 0600: the access key of the principal that runs game days."""
TASK_S_MAX = 120.0
_AWS_LOG = AwsLog(within_s=60.0, settled_s=2.0)
"""The emulated CloudTrail is up to 2.5 s late, and an event is up to 1.5 s later than another one
(`localaws/emulator/services/event_history.py`); the bound leaves room for a busy machine.
"""
_GAS_MONEY_WEI = 10**26
"""What the deployer gets on each network: more than every holding of any plausible policy."""


def bring_up(
    sandbox: Sandbox,
    *,
    root: Path,
    policy: Policy,
    policy_path: Path,
    seed: int,
    by_hand: bool,
    report: Callable[[str], None],
    event: Callable[[str], None],
) -> None:
    """Provision and start everything on a running ``sandbox``.

    Returns when the venue is ready and funded, and the deployment file says so.

    ``by_hand``: a flood is planned, too, for people who work on it. ``report`` gets lines for
    people, ``event`` the names of the timeline's events.

    Raises :class:`ServiceError` or :class:`ComponentDiedError` naming the part that did not come
    up.
    """
    customers = sandbox.data_dir / CUSTOMERS
    seeded = ["--policy", str(policy_path), "--seed", str(seed)]
    population = ["loadtests.population", *seeded, "--out", str(customers)]
    with Task(sandbox, root=root, name="population", module=population) as populating:
        endpoint = sandbox.deployment.urls.required("aws")
        prepare_hosted_zones(endpoint=endpoint, policy=policy)
        identities = create_identities(endpoint=endpoint, policy=policy)
        identities.write(sandbox.data_dir / IDENTITIES)
        outputs = _provision(
            sandbox,
            root=root,
            policy=policy,
            policy_path=policy_path,
            identities=identities,
            report=report,
        )
        _describe_kill_switch(sandbox, runner=identities.gamedays, outputs=outputs)
        write_private(sandbox.data_dir / OUTPUTS, json.dumps(outputs, indent=1))
        principals = sandbox.data_dir / PRINCIPALS
        account = policy.accounts[STACK]
        identities.write_profiles(principals, policy=policy, account=account, endpoint=endpoint)
        sandbox.describe(outputs=sandbox.data_dir / OUTPUTS, principals=principals)
        event("stack.up")
        keepers = Keepers.of(policy)
        deployed = _deploy(
            sandbox, root=root, policy_path=policy_path, outputs=outputs, keepers=keepers
        )
        populating.finish()
    report("contracts deployed and funded")
    credentials = _callers(policy)
    venue = _configure(
        sandbox,
        policy=policy,
        policy_path=policy_path,
        outputs=outputs,
        deployed=deployed,
        callers={
            name: SignerCaller(sha256=signing.fingerprint(secret), may=may)
            for name, (secret, may) in credentials.items()
        },
    )
    venue.write(venue_path := sandbox.data_dir / VENUE_CONFIG)
    keepers.write(sandbox.data_dir, policy, venue, sandbox.deployment.networks)
    roles = sandbox.data_dir / "roles.json"
    urls = {role: sandbox.database_url(role, through_proxy=True) for role in ROLES}
    write_private(roles, json.dumps(urls, indent=1))
    genesis = ["--config", str(venue_path), "--customers", str(customers), "--roles", str(roles)]
    owner = {environment.DATABASE_VARIABLE: sandbox.database_url("owner", through_proxy=True)}
    _found_sign_log(sandbox, root=root)
    try:
        _run(root, sandbox, "venue-genesis", ["venue.genesis", *genesis], **owner)
    finally:
        roles.unlink()
    report("ledger opened")
    _stream_log(sandbox, root=root, venue_path=venue_path)
    with _base_backup(sandbox, root=root, policy=policy, identities=identities) as backing_up:
        _start_venue(
            sandbox,
            policy=policy,
            venue_path=venue_path,
            identities=identities,
            credentials={name: secret for name, (secret, _) in credentials.items()},
            keepers=keepers,
        )
        await_watched(
            sandbox.deployment.urls.required("prometheus"), sandbox.deployment.metrics_ports
        )
        backing_up.finish()
    if by_hand:
        # For `locust -f`; a drill plans its own flood.
        drill = policy.gamedays[0].drills[0]
        given = ["--drill", drill, "--customers", str(customers), "--out", str(sandbox.data_dir)]
        try:
            _run(root, sandbox, "flood-plan", ["loadtests.plan", *seeded, *given])
        except SeawallError as error:
            report(f"no flood for use by hand: {error}")
    prober, prover = sandbox.data_dir / PROBER, sandbox.data_dir / PROVER
    write_private(prober, credentials["prober"][0] + "\n")
    write_private(prover, credentials["prover"][0] + "\n")
    auditor, sign_log = sandbox.data_dir / AUDITOR, sandbox.data_dir / SIGN_LOG_AUDITOR
    write_private(auditor, sandbox.database_url("auditor") + "\n")
    log_url = sandbox.database_url("auditor", database=components.SIGN_LOG_PROXY)
    write_private(sign_log, log_url + "\n")
    sandbox.describe(
        networks={
            name: network.model_copy(
                update={
                    "payouts": _payouts(
                        name, policy=policy, venue=venue.networks[name], outputs=outputs
                    )
                }
            )
            for name, network in sandbox.deployment.networks.items()
        },
        signers={
            region: Signer(
                url=signer.url,
                operations_per_s=signer.operations_per_s,
                prober=prober,
                prover=prover,
            )
            for region, signer in venue.signers.items()
        },
        rails=providers.read_at(policy, sandbox.data_dir, sandbox.deployment.proxies),
        customers=customers,
        aws_log=_AWS_LOG,
        pages=sandbox.data_dir / PAGES_FILE,
        venue=Venue(
            records="adapters.reference_venue",
            settings={
                "config": str(venue_path),
                "auditor_url_file": str(auditor),
                "sign_log_url_file": str(sign_log),
            },
        ),
    )
    event("venue.ready")


def _payouts(
    network: str, *, policy: Policy, venue: NetworkConfig, outputs: Mapping[str, Any]
) -> Payouts:
    """What an outside observer reads on ``network``; addresses are lower case."""
    signers = {name: str(entry["address"]).lower() for name, entry in outputs["signers"].items()}

    def holder(name: str) -> str:
        return (venue.contract_of(name) or policy.wallets[name].address or signers[name]).lower()

    wallets = [name for name, wallet in policy.wallets.items() if wallet.network == network]
    return Payouts(
        contracts={name: address.lower() for name, address in venue.payout_contracts.items()},
        wallets={name: holder(name) for name in wallets},
        tokens={asset: address.lower() for asset, address in venue.tokens.items()},
        signers={name: signers[name] for name in wallets if name in signers},
        carrier=None if venue.carrier is None else venue.carrier.lower(),
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
        aws_endpoint=sandbox.deployment.urls.required("aws"),
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
    sandbox: Sandbox, *, root: Path, policy_path: Path, outputs: Mapping[str, Any], keepers: Keepers
) -> Mapping[str, Any]:
    """Deploy tokens and payout contracts and fund every wallet, with a key made for this run."""
    key = PrivateKey(secrets.token_bytes(32))
    address = address_of_private_key(key.secret)
    networks = {}
    for name, site in sandbox.deployment.networks.items():
        node = RpcClient(network=name, url=site.node, timeout_s=_NODE_ANSWER_S_MAX)
        node.call("anvil_setBalance", address, hex(_GAS_MONEY_WEI))
        networks[name] = {"chain_id": site.chain_id, "rpc": site.node}
    wallets = {name: entry["address"] for name, entry in outputs["signers"].items()}
    approvers = {role: entry["address"] for role, entry in outputs["approvers"].items()}
    plan, out = sandbox.data_dir / "deploy-plan.json", sandbox.data_dir / "deployed.json"
    plan.write_text(
        json.dumps(
            {
                "policy": str(policy_path),
                "networks": networks,
                "wallets": wallets,
                "approvers": approvers,
                **keepers.plan,
            }
        ),
        encoding="utf-8",
    )
    with hurried({name: site.node for name, site in sandbox.deployment.networks.items()}):
        _run(
            root,
            sandbox,
            "venue-deploy",
            ["venue.chain.deploy", "--plan", str(plan), "--out", str(out)],
            SEAWALL_DEPLOYER_KEY=key.to_hex(),
        )
    for name, site in sandbox.deployment.networks.items():
        # The key is forgotten; as the tokens' issuer, the address goes on without it.
        node = RpcClient(network=name, url=site.node, timeout_s=_NODE_ANSWER_S_MAX)
        node.call("anvil_impersonateAccount", address)
    sandbox.describe(
        networks={
            name: site.model_copy(update={"issuer": address})
            for name, site in sandbox.deployment.networks.items()
        }
    )
    deployed: Mapping[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return deployed


def _configure(
    sandbox: Sandbox,
    *,
    policy: Policy,
    policy_path: Path,
    outputs: Mapping[str, Any],
    deployed: Mapping[str, Any],
    callers: Mapping[str, SignerCaller],
) -> VenueConfig:
    """The venue's configuration: every neighbour through its proxy."""
    targets = sandbox.deployment
    regions = (policy.regions.primary, policy.regions.standby)
    return VenueConfig(
        run_id=targets.run_id,
        sandbox=True,
        policy=policy_path,
        networks={
            name: NetworkConfig(
                chain_id=site.chain_id,
                rpc=_both(sandbox, functools.partial(components.rpc_proxy, name)),
                **deployed["networks"][name],
            )
            for name, site in targets.networks.items()
        },
        signers={
            region: SignerConfig(
                listen_port=targets.upstream_port(components.signer_proxy(region)),
                buckets={
                    bucket: _bucket_signer(sandbox, region, bucket)
                    for bucket in policy.signing_buckets()
                },
                operations_per_s=KMS_ECC_PER_S,
                url=targets.proxy_url(components.signer_proxy(region)),
                kms_endpoint=targets.proxy_url(components.kms_proxy(region)),
                sts_endpoint=targets.proxy_url(components.kms_proxy(region)),
                keys={
                    wallet: Key(
                        key_id=entry["key_id"],
                        address=entry["address"],
                        role_arn=entry["roles"][region],
                    )
                    for wallet, entry in outputs["signers"].items()
                },
            )
            for region in regions
        },
        signer_callers=dict(callers),
        approvers={role: entry["address"] for role, entry in outputs["approvers"].items()},
        exchange=_both(sandbox, components.exchange_proxy),
        rails={
            rail: _both(sandbox, components.PROVIDER_PROXIES[kind])
            for rail, kind in providers.paying_rails(policy).items()
        },
        custodian=targets.proxy_url(components.CUSTODIAN_PROXY) if policy.custody else None,
        carrier=targets.proxy_url(components.CARRIER_PROXY) if policy.rebalancing else None,
        api_listen_port=targets.upstream_port(components.API_PROXY),
        api_url=targets.urls.api,
        metrics_ports=dict(targets.metrics_ports),
    )


def _bucket_signer(sandbox: Sandbox, region: str, bucket: str) -> BucketSigner:
    """A signer, which its front reaches without a proxy: the two are one service to all others."""
    port = sandbox.deployment.metrics_ports[components.signer_process(region, bucket)]
    return BucketSigner(listen_port=port, url=f"http://{LOOPBACK}:{port}")


def _callers(policy: Policy) -> dict[str, tuple[str, tuple[SignerAct, ...]]]:
    """Who may ask the signers for what, each with a credential made for this run."""
    acts: dict[str, tuple[SignerAct, ...]] = {
        components.settler_process(network): ("sign", "probe") for network in policy.networks
    }
    acts |= {"prober": ("probe",), "prover": ("prove",)}
    return {name: (secrets.token_urlsafe(32), may) for name, may in acts.items()}


def _both(sandbox: Sandbox, proxy: Callable[[str], str]) -> Endpoint:
    """Both sides of a service through their proxies; ``proxy`` names that of a side."""
    url = sandbox.deployment.proxy_url
    return Endpoint(primary=url(proxy("primary")), standby=url(proxy("standby")))


def _start_venue(
    sandbox: Sandbox,
    *,
    policy: Policy,
    venue_path: Path,
    identities: Identities,
    credentials: Mapping[str, str],
    keepers: Keepers,
) -> None:
    """Start the venue's processes and who moves its money, and wait until each is ready."""
    config = ["--config", str(venue_path)]

    def own(role: str) -> dict[str, str]:
        return {environment.DATABASE_VARIABLE: sandbox.database_url(role, through_proxy=True)}

    processes: dict[str, tuple[Sequence[str], Mapping[str, str]]] = {
        "venue-api": (["venue.api", *config], own("api")),
        components.MODE_CONTROLLER_PROCESS: (
            ["venue.mode_controller", *config],
            own("mode_controller"),
        ),
        components.MODE_CONTROLLER_STANDBY_PROCESS: (
            ["venue.mode_controller", *config, "--standby"],
            own("mode_controller"),
        ),
    }
    processes |= keepers.processes(sandbox.data_dir, sandbox.deployment.upstream_port)
    of_treasury = own("treasury") | keepers.credentials
    processes[components.TREASURY_PROCESS] = (["venue.treasury", *config], of_treasury)
    if policy.paying_rails():
        shown = json.dumps(providers.payers(policy, sandbox.data_dir))
        processes[components.RAILS_PROCESS] = (
            ["venue.rails", *config],
            own("rails") | {environment.RAIL_CREDENTIALS_VARIABLE: shown},
        )
    for region, by_bucket in identities.signers.items():
        where = [*config, "--region", region]
        processes[components.signing_front_process(region)] = (["venue.signer.front", *where], {})
        for bucket in policy.signing_buckets():
            processes[components.signer_process(region, bucket)] = (
                ["venue.signer", *where, "--bucket", bucket],
                own("signer") | _sign_log(sandbox, "signer") | by_bucket[bucket].environment(),
            )
    for network in policy.networks:
        name = components.settler_process(network)
        processes[name] = (
            ["venue.settler", *config, "--network", network],
            own("settler") | {environment.SIGNER_CREDENTIAL_VARIABLE: credentials[name]},
        )
    sandbox.spawn_all(
        {
            name: ([sys.executable, "-P", "-m", *module], env)
            for name, (module, env) in processes.items()
        },
        ready_line="ready",
        restarts=True,
    )


def _sign_log(sandbox: Sandbox, role: str) -> dict[str, str]:
    """Where ``role`` finds the signers' own database, as a variable of a process."""
    url = sandbox.database_url(role, through_proxy=True, database=components.SIGN_LOG_PROXY)
    return {environment.SIGN_LOG_VARIABLE: url}


def _found_sign_log(sandbox: Sandbox, *, root: Path) -> None:
    """Create the signers' own database, whose log is not streamed: it is never restored."""
    path = sandbox.data_dir / "sign-log-roles.json"
    urls = {
        role: _sign_log(sandbox, role)[environment.SIGN_LOG_VARIABLE] for role in SIGN_LOG_ROLES
    }
    write_private(path, json.dumps(urls, indent=1))
    module = ["venue.genesis.sign_log", "--roles", str(path)]
    try:
        _run(root, sandbox, "sign-log-genesis", module, **_sign_log(sandbox, "owner"))
    finally:
        path.unlink()


def _stream_log(sandbox: Sandbox, *, root: Path, venue_path: Path) -> None:
    """Have every commit wait until its log is in the folder of the stream."""
    url = sandbox.data_dir / "wal.url"
    write_private(url, sandbox.database_url("wal") + "\n")
    owner = {environment.DATABASE_VARIABLE: sandbox.database_url("owner")}
    try:
        _run(root, sandbox, "wal-role", ["venue.backups", "role", "--url-file", str(url)], **owner)
    finally:
        url.unlink()
    stream = ["venue.backups", "stream", "--programs", str(postgres.binaries())]
    into = ["--into", str(sandbox.data_dir / WAL), "--config", str(venue_path)]
    sandbox.spawn_all(
        {
            components.WAL_STREAM_PROCESS: (
                [sys.executable, "-P", "-m", *stream, *into],
                {environment.DATABASE_VARIABLE: sandbox.database_url("wal")},
            )
        },
        ready_line="ready",
        restarts=True,
    )


def _base_backup(sandbox: Sandbox, *, root: Path, policy: Policy, identities: Identities) -> Task:
    """Back the database up into the stack's bucket; the stream has its log from before on."""
    region = policy.regions.primary
    bucket = aws.backup_bucket(policy.venue.name, region, policy.accounts[STACK])
    module = [
        *("venue.backups", "base", "--programs", str(postgres.binaries())),
        *("--bucket", bucket, "--region", region),
        *("--endpoint", sandbox.deployment.urls.required("aws")),
        *("--scratch", str(sandbox.data_dir)),
    ]
    own = {environment.DATABASE_VARIABLE: sandbox.database_url("wal")}
    own |= identities.backups.environment()
    return Task(sandbox, root=root, name="base-backup", module=module, **own)


def _run(root: Path, sandbox: Sandbox, name: str, module: Sequence[str], **env: str) -> None:
    """Run a task to its end. Raises :class:`ServiceError` with the end of its log."""
    with Task(sandbox, root=root, name=name, module=module, **env) as task:
        task.finish()


def _describe_kill_switch(
    sandbox: Sandbox, *, runner: Identity, outputs: Mapping[str, Any]
) -> None:
    """Describe the switch of the stack with ``outputs``.

    It is read as ``runner`` in the role that game days have.

    Raises :class:`WorldError` if the files cannot be written.
    """
    gamedays = outputs["gamedays"]
    path = sandbox.data_dir / KEY_FILE
    key = AccessKey(access_key_id=runner.access_key_id, secret_access_key=runner.secret_access_key)
    write_private(path, key.model_dump_json())
    sandbox.describe(
        kill_switch=KillSwitchLocation(
            parameter=gamedays["kill_switch"]["parameter"],
            regions=tuple(gamedays["kill_switch"]["regions"]),
            endpoint=sandbox.deployment.urls.required("aws"),
            role=gamedays["role"],
            credentials=path,
        )
    )


class Task:
    """A run of ``python -m <module ...>`` in the sandbox, with output in ``logs/<name>.log``.

    As a context manager it is ended when the block is left, so that no interrupt waits for it.
    """

    def __init__(
        self, sandbox: Sandbox, *, root: Path, name: str, module: Sequence[str], **env: str
    ) -> None:
        self._name = name
        self._log = sandbox.data_dir / "logs" / f"{name}.log"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", *module],
                cwd=root,
                env={**inherited(), **sandbox.environment, **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def finish(self) -> None:
        """Wait for its end.

        Raises :class:`UsageError` if it refused its input, :class:`ServiceError` if it failed.
        """
        try:
            code = self._process.wait(timeout=TASK_S_MAX)
        except subprocess.TimeoutExpired as error:
            message = f"{self._name} did not end within {TASK_S_MAX:g} s"
            raise ServiceError(message) from error
        if code != 0:
            blame = UsageError if code == ExitCode.USAGE else ServiceError
            text = self._log.read_text(encoding="utf-8", errors="replace")
            raise blame(f"{self._name} ended with {code}: {tail(text)}")

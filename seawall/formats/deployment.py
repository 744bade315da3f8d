"""The deployment file: all that the kit knows of a running stack.

A sandbox writes it, or a user does for a stack of their own (docs/own-venue.md). Drills, faults,
probes, evidence and the change review read it and know of the stack only what it says. It holds no
secret: secrets lie in files of mode 0600 that it names.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)

from seawall.conventions import metrics, signing
from seawall.conventions.components import PROMETHEUS_PROCESS
from seawall.conventions.environment import DEPLOYMENT_VARIABLE
from seawall.conventions.evidence import Port
from seawall.conventions.local_aws import ACCOUNT_ID
from seawall.errors import UsageError, WorldError
from seawall.formats.atomic import write_private
from seawall.formats.credentials import read_credential
from seawall.formats.documents import read_model
from seawall.formats.rail_providers import RailProviders, Url
from seawall.kill_switch import KillSwitchFile, KillSwitchLocation
from seawall.processes.environment import is_loopback

DEPLOYMENT_FILE = "deployment.json"
_RUN_FILE = "current-run"
_NO_RESTARTS_FILE = "no-restarts"

Kind = Literal["sandbox", "staging", "production"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _lower(addresses: dict[str, str]) -> dict[str, str]:
    return {name: address.lower() for name, address in addresses.items()}


Addresses = Annotated[dict[str, str], AfterValidator(_lower)]
"""Addresses by name; upper-case letters of a checksum are dropped."""


def address_of(url: str) -> str:
    """``url`` as evidence names it: without a secret, and one spelling of one address.

    Whoever asks at two addresses that differ here asked at two places.
    """
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{host}:{port}{parts.path.rstrip('/')}"


class Proxy(_Part):
    """A Toxiproxy proxy: clients connect to ``listen`` and reach ``upstream`` (both host:port)."""

    listen: str
    upstream: str


class Process(_Part):
    """A process that faults may be aimed at.

    ``address`` (host:port) is where it answers HTTP. ``pid`` and ``log`` are known of a process of
    this machine.
    """

    pid: int | None = None
    log: Path | None = None
    address: str | None = None


class Database(_Part):
    """The ledger's PostgreSQL: where the venue reaches it (host:port), and handles that lose it.

    `seawall/processes/procedure.py` has such handles; the same restore it. ``client`` is a file of
    mode 0600 with the URL of a role that may connect to it, for faults that are clients of it.
    """

    address: str
    control: Url
    client: Path | None = None


class Regions(_Part):
    """The two signing regions."""

    primary: str
    standby: str


class RpcEndpoints(_Part):
    """RPC endpoints as the venue reaches them: through their proxies."""

    primary: Url
    standby: Url


class Payouts(_Part):
    """What an outside observer reads the venue's money from; addresses are lower case.

    ``contracts``: payout contract by wallet; ``wallets``: the address that holds a wallet's money;
    ``tokens``: token contract by asset; ``signers``: the address that signs for a wallet;
    ``carrier``: the contract by which a carrier between networks pays here.
    """

    contracts: Addresses
    wallets: Addresses
    tokens: Addresses
    signers: Addresses
    carrier: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        unsigned = sorted(set(self.contracts) - set(self.signers))
        if unsigned:
            message = f"signers lacks {', '.join(unsigned)}, which has a contract"
            raise ValueError(message)
        return self


class Transfers(_Part):
    """Payouts that are plain transfers: from which addresses, of which tokens (contract by asset).

    The network's native asset is always read. ``own`` are further addresses of the venue itself:
    what is sent to them, or to a sender, is no payout. ``first_block`` is where reading begins at
    the earliest; a drill begins at the head of its start, whichever is later.
    """

    senders: tuple[str, ...] = Field(min_length=1)
    own: tuple[str, ...] = ()
    tokens: Addresses = Field(default_factory=dict)
    first_block: int = Field(default=0, ge=0)

    @field_validator("senders", "own")
    @classmethod
    def _lower_case(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(address.lower() for address in addresses)


class Network(_Part):
    """A network; ``node`` is a node of its own for observers, past every fault.

    ``payouts`` (events of payout contracts) or ``transfers`` say where the venue's payouts are
    seen. ``rpc`` is there if faults may be aimed at what the venue reaches. ``issuer`` is an
    account for which ``node`` signs and that may pause the tokens; a development node can have one.
    """

    chain_id: int
    node: Url
    rpc: RpcEndpoints | None = None
    payouts: Payouts | None = None
    transfers: Transfers | None = None
    issuer: str | None = Field(default=None, pattern=r"^0x[0-9a-fA-F]{40}$")


class Urls(_Part):
    """Base URLs. ``api`` is the address that customers use; a sandbox's passes a proxy.

    ``api_direct`` does not pass it. ``lease`` is a lease holder that outlives a drill's runner;
    without one the runner starts one of its own. ``provider`` (host:port) is that of Pulumi.
    """

    api: Url
    api_direct: Url | None = None
    prometheus: Url | None = None
    alertmanager: Url | None = None
    pager: Url | None = None
    aws: Url | None = None
    lease: Url | None = None
    provider: str | None = None

    def required(self, name: str) -> str:
        """The address called ``name``. Raises :class:`UsageError` if the file names none."""
        found: str | None = getattr(self, name)
        if found is None:
            raise UsageError(
                f"the deployment file names no urls.{name}",
                remedy="name it, or leave out what needs it",
            )
        return found


class Signer(_Part):
    """A region's signer: its URL, and the elliptic-curve operations that KMS allows it a second.

    ``prober`` and ``prover`` are files of mode 0600, each with the credential of a caller: of the
    one that has it sign its probe, and of the one that asks for proofs of key control.
    """

    url: str
    operations_per_s: int = Field(gt=0)
    prober: Path | None = None
    prover: Path | None = None

    def headers(self, caller: Literal["prober", "prover"]) -> dict[str, str]:
        """HTTP headers of a request of ``caller``; none if no credential of it is named.

        Raises :class:`UsageError` if the file cannot be read, if others can, or for odd bytes.
        """
        path: Path | None = getattr(self, caller)
        return {} if path is None else signing.authorization(read_credential(path))


class Venue(_Part):
    """How to speak to a venue, and how to read its records.

    ``speaks`` is ``contract``, the path of a mapping file (``.yaml``, ``.yml`` or ``.json``), or a
    class of one's own as ``module:Class`` or ``path/to/file.py:Class``. ``records`` is a Python
    module that reads the venue's records; ``settings`` are its own, by name.
    """

    speaks: str = "contract"
    records: str | None = Field(default=None, min_length=1)
    settings: dict[str, str] = Field(default_factory=dict)


class Source(_Part):
    """Where a kind of evidence comes from: a file, or what a command prints.

    A command runs without a shell once a drill is over, in the folder of the deployment file, and
    has ``SEAWALL_STARTED_AT`` and ``SEAWALL_ENDED_AT`` (Unix seconds) in its environment.

    Attributes:
        file: A file, or a folder where a kind is several files.
        command: A program and its arguments.
        timeout_s: How long the command may run.
        settles_s: How long after the drill it is read: a statement that is made every few minutes
            shows the last payouts no earlier.
        until: Of ``payouts``, for a reconciliation: every payment up to this moment is on the
            statement. Without it a file goes no further than its newest line.
    """

    file: Path | None = None
    command: tuple[str, ...] | None = None
    timeout_s: float = Field(default=60.0, gt=0)
    settles_s: float = Field(default=0.0, ge=0, le=86_400)
    until: AwareDatetime | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (not self.command):
            message = "name a file or a command, and not both"
            raise ValueError(message)
        return self


class AwsLog(_Part):
    """How AWS's own log of signatures, CloudTrail's event history, is waited for after a drill.

    Attributes:
        within_s: At most so long. AWS delivers within about 5 minutes, and promises no time.
        settled_s: Between two readings that must find the same, because events come in no order.
    """

    within_s: float = Field(gt=0)
    settled_s: float = Field(gt=0)

    @model_validator(mode="after")
    def _read_twice(self) -> Self:
        if self.settled_s >= self.within_s:
            message = "settled_s must be shorter than within_s, or the log is never read twice"
            raise ValueError(message)
        return self


class Approval(_Part):
    """Who agreed that drills may run on production, and when.

    ``people`` are at least two different people; drills run from ``begins`` to ``ends`` only.
    """

    people: tuple[str, ...]
    begins: AwareDatetime
    ends: AwareDatetime

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if len({person.strip().casefold() for person in self.people if person.strip()}) < 2:  # noqa: PLR2004 - two people, as the name says
            message = "name two different people"
            raise ValueError(message)
        if self.begins >= self.ends:
            message = "the window ends before it begins"
            raise ValueError(message)
        return self

    def refusal(self, now: datetime) -> str | None:
        """Why no drill may run at ``now``; None if one may."""
        if not self.begins <= now <= self.ends:
            return f"the approved window is from {self.begins} to {self.ends}, and it is {now}"
        return None


class Deployment(_Part):
    """A running stack.

    Attributes:
        kind: ``sandbox`` only if everything is on loopback and in the emulated account.
        run_id: What every process of a sandbox carries; the stack's name elsewhere.
        data_dir: Folder of the kit's own state for it: leases, change journal, incident marker.
        policy: The policy in force.
        stack: Name of the Pulumi stack, or any name that the gate may ask for.
        account: AWS account, twelve digits; None without one.
        outputs: A file with the stack's outputs.
        customers: CSV of customers in whose names a drill may act, and what they hold.
        principals: An AWS configuration file with a profile for each principal, called like its
            role; without it the user's own AWS configuration counts.
        process_control: Base URL of handles that freeze, kill and start a process by its name
            (`sandbox/process_control.py` has them).
        database: That of the ledger, if a fault may lose it.
        kms_crowding: Base URL of handles that let another tenant use up a region's quota of KMS
            (`localaws/emulator/control.py` has them); AWS itself offers none.
        rails: By rail over which withdrawals are paid: where its providers' statements are read.
        metrics: PromQL expression by the kit's own name of a metric, where they differ;
            `seawall_queue_depth{scope="guaranteed"}` can be mapped as a whole.
        evidence: Sources of evidence, besides those of ``venue.records``.
        aws_log: How AWS's own log of signatures is read; without it, it is not.
        approval: Required of production.
        sabotage: The control that is switched off for as long as the stack runs: drills that do not
            cover it are refused, and the runs of those that do count for nothing.
        runs: Where runs are kept; the repository's `runs/` if it is left out.
        folder: Where commands of `evidence` run; the folder of the file if it is left out.
    """

    kind: Kind
    stack: str
    data_dir: Path
    policy: Path
    urls: Urls
    run_id: str = ""
    account: str | None = Field(default=None, pattern=r"^[0-9]{12}$")
    venue: Venue = Venue()
    customers: Path | None = None
    networks: dict[str, Network] = Field(default_factory=dict)
    regions: Regions | None = None
    toxiproxy: str | None = None
    proxies: dict[str, Proxy] = Field(default_factory=dict)
    processes: dict[str, Process] = Field(default_factory=dict)
    signers: dict[str, Signer] = Field(default_factory=dict)
    rails: dict[str, RailProviders] = Field(default_factory=dict)
    metrics_ports: dict[str, int] = Field(default_factory=dict)
    metrics: dict[str, str] = Field(default_factory=dict)
    process_control: str | None = None
    database: Database | None = None
    kms_crowding: str | None = None
    outputs: Path | None = None
    pages: Path | None = None
    principals: Path | None = None
    evidence: dict[Port, Source] = Field(default_factory=dict)
    aws_log: AwsLog | None = None
    kill_switch: KillSwitchLocation | KillSwitchFile | None = None
    approval: Approval | None = None
    sabotage: str | None = None
    runs: Path | None = None
    folder: Path | None = None
    _path: Path | None = PrivateAttr(default=None)

    @field_validator("metrics")
    @classmethod
    def _known(cls, expressions: dict[str, str]) -> dict[str, str]:
        unknown = [name for name in expressions if not metrics.is_known(name)]
        if unknown:
            message = f"the kit has no metric {', '.join(unknown)} (seawall/conventions/metrics.py)"
            raise ValueError(message)
        scraped = expressions.get(metrics.SCRAPED, metrics.SCRAPED)
        if not metrics.is_selector(scraped):
            message = (
                f'{metrics.SCRAPED} must be mapped to a selector, such as up{{job="venue"}}:'
                " its samples are read as they were recorded, and an expression has none"
            )
            raise ValueError(message)
        return expressions

    @model_validator(mode="after")
    def _kind_is_true(self) -> Self:
        if self.kind == "sandbox":
            far = [name for name, url in self._addresses() if not is_loopback(url)]
            if far:
                message = (
                    f"a sandbox is on loopback, and {', '.join(far)} is not; say `staging` or"
                    " `production`"
                )
                raise ValueError(message)
            if self.account != ACCOUNT_ID:
                message = f"a sandbox names the emulated account, {ACCOUNT_ID}"
                raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _keys_are_known(self) -> Self:
        if self.aws_log is not None and self.outputs is None:
            message = "aws_log needs outputs, which say which key is of which wallet"
            raise ValueError(message)
        return self

    def _addresses(self) -> Iterator[tuple[str, str]]:
        """Every address that the file names, by its path in it; all have a scheme."""
        for name, url in self.urls:
            if url is not None:
                yield f"urls.{name}", url if "//" in url else f"tcp://{url}"
        for name, network in self.networks.items():
            yield f"networks.{name}.node", network.node
            for side, url in network.rpc or ():
                yield f"networks.{name}.rpc.{side}", url
        for name, signer in self.signers.items():
            yield f"signers.{name}.url", signer.url
        for name, rail in self.rails.items():
            yield from rail.addresses(f"rails.{name}")
        for name in ("toxiproxy", "process_control", "kms_crowding"):
            if (url := getattr(self, name)) is not None:
                yield name, url
        if self.database is not None:
            yield "database.address", f"tcp://{self.database.address}"
            yield "database.control", self.database.control
        for name, proxy in self.proxies.items():
            yield f"proxies.{name}.listen", f"tcp://{proxy.listen}"
            yield f"proxies.{name}.upstream", f"tcp://{proxy.upstream}"
        if isinstance(self.kill_switch, KillSwitchLocation):
            # Without an endpoint it is in the real AWS.
            yield "kill_switch.endpoint", self.kill_switch.endpoint or "https://amazonaws.com"

    @property
    def play_money(self) -> bool:
        """Whether nothing of value can be lost, so that drills may do harm."""
        return self.kind == "sandbox"

    def proxy_url(self, proxy: str) -> str:
        """HTTP URL of the listener of ``proxy``. Raises KeyError."""
        return f"http://{self.proxies[proxy].listen}"

    def upstream_port(self, proxy: str) -> int:
        """Port that the process behind ``proxy`` must bind. Raises KeyError."""
        return int(self.proxies[proxy].upstream.rpartition(":")[2])

    def answers_at(self, process: str) -> str | None:
        """Where ``process`` answers HTTP (host:port); None if the file does not say."""
        declared = self.processes.get(process)
        if declared is not None and declared.address is not None:
            return declared.address
        if process in self.metrics_ports:
            return f"127.0.0.1:{self.metrics_ports[process]}"
        if process == PROMETHEUS_PROCESS and self.urls.prometheus is not None:
            return urlsplit(self.urls.prometheus).netloc
        return None

    def expression(self, metric: str) -> str:
        """PromQL of the kit's ``metric``: the expression that the file maps it to, or its name."""
        mapped = self.metrics.get(metric, metric)
        return mapped if metrics.is_selector(mapped) else f"({mapped})"

    def permit(self, *, now: float | None = None) -> None:
        """Require that a drill may run on it at all.

        Raises :class:`UsageError`: outside a sandbox there is no kill switch; on production there
        is no approval by two people, or its window is not open.
        """
        if self.kind == "sandbox":
            return
        if self.kill_switch is None:
            raise UsageError(
                f"{self.path} names no kill switch, and no drill runs that cannot be stopped",
                remedy='add {"kill_switch": {"file": "..."}} or that of the stack'
                " (docs/own-venue.md)",
            )
        if self.kind != "production":
            return
        if self.approval is None:
            raise UsageError(
                f"{self.path} is production and has no approval",
                remedy="add `approval` with two people and the window in which drills may run",
            )
        refusal = self.approval.refusal(
            datetime.fromtimestamp(time.time() if now is None else now).astimezone()
        )
        if refusal is not None:
            raise UsageError(refusal, remedy="have a new window approved by two people")

    @property
    def path(self) -> Path:
        """Where the file of this deployment is."""
        return self.data_dir / DEPLOYMENT_FILE if self._path is None else self._path

    def kept_as(self, path: Path) -> Deployment:
        """The same deployment, written to ``path``, whole or not at all."""
        kept = self.model_copy()
        kept._path = path  # noqa: SLF001 - of its own class
        kept.write()
        return kept

    def write(self) -> Path:
        """Write the file where it belongs, whole or not at all; returns its path."""
        write_private(self.path, self.model_dump_json(indent=1) + "\n")
        return self.path


_PATHS = ("data_dir", "policy", "customers", "outputs", "pages", "principals", "runs", "folder")


def load_deployment(path: Path) -> Deployment:
    """Read the file at ``path``, JSON or YAML; paths in it are relative to its folder.

    Raises :class:`UsageError` if it is missing or malformed.
    """
    folder = path.resolve().parent
    read = read_model(path, Deployment, remedy="start a sandbox with `seawall up`")
    changes: dict[str, object] = {
        name: folder / value for name in _PATHS if (value := getattr(read, name)) is not None
    }
    changes["run_id"] = read.run_id or read.stack
    changes.setdefault("folder", folder)
    changes["signers"] = {
        region: signer.model_copy(
            update={
                caller: folder / credential
                for caller in ("prober", "prover")
                if (credential := getattr(signer, caller)) is not None
            }
        )
        for region, signer in read.signers.items()
    }
    changes["rails"] = {name: rail.below(folder) for name, rail in read.rails.items()}
    changes["evidence"] = {
        name: source.model_copy(update={"file": folder / source.file}) if source.file else source
        for name, source in read.evidence.items()
    }
    if isinstance(read.kill_switch, KillSwitchFile):
        changes["kill_switch"] = KillSwitchFile(file=folder / read.kill_switch.file)
    if read.venue.speaks.rpartition(":")[0].endswith(".py") or read.venue.speaks.endswith(
        (".yaml", ".yml", ".json")
    ):
        speaks = str(folder / read.venue.speaks)
        changes["venue"] = read.venue.model_copy(update={"speaks": speaks})
    deployment = read.model_copy(update=changes)
    deployment._path = folder / path.name  # noqa: SLF001 - of this module's own class
    return deployment


def deployment_of_environment() -> Path | None:
    """Path of the deployment file that the environment names, if it names one."""
    named = os.environ.get(DEPLOYMENT_VARIABLE)
    return Path(named) if named else None


def set_run_directory(data_dir: Path, run_dir: Path | None, *, restarts: bool = True) -> None:
    """Name the run directory in progress, for every process that writes evidence; None after it.

    Without ``restarts``, the run forbids that a process which dies is started again.
    """
    if run_dir is not None:
        write_private(data_dir / _RUN_FILE, f"{run_dir}\n")
    if run_dir is not None and not restarts:
        write_private(data_dir / _NO_RESTARTS_FILE, "by the drill in progress\n")
        return
    for marker in (_NO_RESTARTS_FILE, *([_RUN_FILE] if run_dir is None else [])):
        try:
            (data_dir / marker).unlink(missing_ok=True)
        except OSError as error:
            raise WorldError(f"{data_dir / marker} cannot be removed: {error.strerror}") from error


def run_directory(data_dir: Path) -> Path | None:
    """The run directory in progress on the deployment with ``data_dir``; None outside a run."""
    try:
        text = (data_dir / _RUN_FILE).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    return Path(text) if text else None


def restarts_forbidden(data_dir: Path) -> bool:
    """Whether the run in progress forbids that a process which dies is started again."""
    return (data_dir / _NO_RESTARTS_FILE).exists()

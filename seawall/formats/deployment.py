"""The deployment file: all that the kit knows of a running stack.

A sandbox writes it, or a user does for staging. Drills, faults, probes, evidence and the change
review read it and know of the stack only what it says. It holds no secret: secrets lie in files of
mode 0600 that it names.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seawall.conventions.components import PROMETHEUS_PROCESS
from seawall.conventions.environment import DEPLOYMENT_VARIABLE
from seawall.errors import WorldError
from seawall.formats.atomic import write_private
from seawall.formats.documents import read_json_model
from seawall.kill_switch import KillSwitchLocation

DEPLOYMENT_FILE = "deployment.json"
COMPONENTS_FILE = "components.json"
_RUN_FILE = "current-run"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Proxy(_Part):
    """A Toxiproxy proxy: clients connect to ``listen`` and reach ``upstream`` (both host:port)."""

    listen: str
    upstream: str


class Process(_Part):
    """A process and its log."""

    pid: int
    log: Path


class Regions(_Part):
    """The two signing regions."""

    primary: str
    standby: str


class RpcEndpoints(_Part):
    """RPC endpoints as the venue reaches them: through their proxies."""

    primary: str
    standby: str


class Payouts(_Part):
    """What an outside observer reads the venue's money from; addresses are lower case.

    ``contracts``: payout contract by wallet; ``wallets``: the address that holds a wallet's money;
    ``tokens``: token contract by asset; ``signers``: the address that signs for a wallet.
    """

    contracts: dict[str, str]
    wallets: dict[str, str]
    tokens: dict[str, str]
    signers: dict[str, str]


class Network(_Part):
    """A network; ``node`` is the node itself, for observers.

    ``payouts`` is there once the venue's contracts are deployed.
    """

    chain_id: int
    rpc: RpcEndpoints
    node: str
    payouts: Payouts | None = None


class Urls(_Part):
    """Base URLs. ``api`` passes the proxy, ``api_direct`` does not.

    ``provider`` (host:port) is there once the AWS provider runs.
    """

    api: str
    api_direct: str
    prometheus: str
    alertmanager: str
    pager: str
    aws: str
    lease: str
    provider: str | None = None


class Signer(_Part):
    """A region's signer: its URL, and the elliptic-curve operations that KMS allows it a second."""

    url: str
    operations_per_s: int = Field(gt=0)


class Venue(_Part):
    """How to reach a venue's records.

    ``adapter`` is the Python module that reads them; ``settings`` are its own, by name.
    """

    adapter: str
    settings: dict[str, str] = Field(default_factory=dict)


class Deployment(_Part):
    """A running stack.

    ``data_dir`` is the folder of the kit's own state for it (leases, change journal, incident
    marker). ``policy`` is the policy in force, ``stack`` the name of the Pulumi stack, ``outputs``
    a file with its outputs. ``customers`` lists customers whose keys a drill may use, and what they
    hold. ``principals`` is an AWS configuration file with a profile for each principal, called like
    its role; without it the user's own AWS configuration counts.
    ``process_control`` is the base URL of handles that freeze, kill and start a process by its name
    (`sandbox/process_control.py` has them). ``play_money`` says that nothing of value can be lost,
    so that drills may do harm.
    """

    run_id: str
    data_dir: Path
    policy: Path
    stack: str
    play_money: bool = False
    toxiproxy: str
    proxies: dict[str, Proxy]
    processes: dict[str, Process]
    urls: Urls
    regions: Regions
    networks: dict[str, Network]
    signers: dict[str, Signer] = Field(default_factory=dict)
    metrics_ports: dict[str, int]
    process_control: str | None = None
    outputs: Path | None = None
    customers: Path | None = None
    pages: Path | None = None
    principals: Path | None = None
    venue: Venue | None = None
    kill_switch: KillSwitchLocation | None = None

    def proxy_url(self, proxy: str) -> str:
        """HTTP URL of the listener of ``proxy``. Raises KeyError."""
        return f"http://{self.proxies[proxy].listen}"

    def upstream_port(self, proxy: str) -> int:
        """Port that the process behind ``proxy`` must bind. Raises KeyError."""
        return int(self.proxies[proxy].upstream.rpartition(":")[2])

    def answers_at(self, process: str) -> str | None:
        """Where ``process`` answers HTTP (host:port); None if the file does not say."""
        if process in self.metrics_ports:
            return f"127.0.0.1:{self.metrics_ports[process]}"
        if process == PROMETHEUS_PROCESS:
            return urlsplit(self.urls.prometheus).netloc
        return None

    @property
    def path(self) -> Path:
        """Where the file of this deployment is."""
        return self.data_dir / DEPLOYMENT_FILE

    def write(self) -> Path:
        """Write the file into the data directory, whole or not at all; returns its path."""
        write_private(self.path, self.model_dump_json(indent=1) + "\n")
        return self.path


def load_deployment(path: Path) -> Deployment:
    """Read the file at ``path``. Raises :class:`UsageError` if it is missing or malformed."""
    return read_json_model(path, Deployment, remedy="start a sandbox with `seawall up`")


def deployment_of_environment() -> Path | None:
    """Path of the deployment file that the environment names, if it names one."""
    named = os.environ.get(DEPLOYMENT_VARIABLE)
    return Path(named) if named else None


def set_run_directory(data_dir: Path, run_dir: Path | None) -> None:
    """Name the run directory in progress, for every process that writes evidence; None after it."""
    marker = data_dir / _RUN_FILE
    if run_dir is not None:
        write_private(marker, f"{run_dir}\n")
        return
    try:
        marker.unlink(missing_ok=True)
    except OSError as error:
        raise WorldError(f"{marker} cannot be removed: {error.strerror}") from error


def run_directory(data_dir: Path) -> Path | None:
    """The run directory in progress on the deployment with ``data_dir``; None outside a run."""
    try:
        text = (data_dir / _RUN_FILE).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    return Path(text) if text else None


class ComponentStatus(_Part):
    """What became of a process; ``died_at`` (Unix seconds) and ``log_tail`` only if it died.

    ``exit_code`` is None while it runs.
    """

    name: str
    pid: int
    exit_code: int | None
    died_at: float | None
    log_tail: str | None


class _Components(_Part):
    components: list[ComponentStatus]


def write_components(data_dir: Path, components: Sequence[ComponentStatus]) -> None:
    """Publish the state of the stack's processes, in the order of their start."""
    document = _Components(components=list(components))
    write_private(data_dir / COMPONENTS_FILE, document.model_dump_json(indent=1) + "\n")


def read_components(data_dir: Path) -> list[ComponentStatus]:
    """The state of the stack's processes; empty if it is not published.

    Raises :class:`WorldError` for a file that is malformed.
    """
    path = data_dir / COMPONENTS_FILE
    try:
        return _Components.model_validate_json(path.read_text(encoding="utf-8")).components
    except FileNotFoundError:
        return []
    except (OSError, ValidationError) as error:
        raise WorldError(f"{path} cannot be read: {error}") from error

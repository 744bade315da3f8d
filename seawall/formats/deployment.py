"""``targets.json``: where faults and probes find the running stack. Holds no secret."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from seawall.formats.documents import read_json_model
from seawall.kill_switch import SwitchSite
from seawall.processes.failures import os_failure

TARGETS_FILE = "targets.json"


class _Target(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProxyTarget(_Target):
    """A Toxiproxy proxy: ``host:port`` to talk to, ``host:port`` behind it."""

    listen: str
    upstream: str


class ProcessTarget(_Target):
    """A process and its log."""

    pid: int
    log: Path


class RegionTargets(_Target):
    """The two signing regions."""

    primary: str
    standby: str


class RpcTargets(_Target):
    """RPC endpoints as the venue reaches them: through their proxies."""

    primary: str
    standby: str


class NetworkTarget(_Target):
    """A network; ``node`` is the node itself, for observers."""

    chain_id: int
    rpc: RpcTargets
    node: str


class Urls(_Target):
    """Base URLs. ``api`` passes the proxy, ``api_direct`` does not.

    ``provider`` is there once the AWS provider runs.
    """

    api: str
    api_direct: str
    prometheus: str
    alertmanager: str
    pager: str
    aws: str
    lease: str
    provider: str | None = None


class Targets(_Target):
    """Everything that a fault or a probe may look for.

    ``kill_switch`` is there once the stack is.
    """

    run_id: str
    data_dir: Path
    run_dir: Path | None = None
    toxiproxy: str
    proxies: dict[str, ProxyTarget]
    processes: dict[str, ProcessTarget]
    urls: Urls
    regions: RegionTargets
    networks: dict[str, NetworkTarget]
    metrics_ports: dict[str, int]
    kill_switch: SwitchSite | None = None

    def proxy_url(self, proxy: str) -> str:
        """HTTP URL of the listener of ``proxy``. Raises KeyError."""
        return f"http://{self.proxies[proxy].listen}"

    def upstream_port(self, proxy: str) -> int:
        """Port that the process behind ``proxy`` must bind. Raises KeyError."""
        return int(self.proxies[proxy].upstream.rpartition(":")[2])

    def write(self) -> Path:
        """Write the file in the data directory, whole or not at all; returns its path."""
        path = self.data_dir / TARGETS_FILE
        draft = self.data_dir / f".{TARGETS_FILE}.{os.getpid()}"
        try:
            draft.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
            draft.replace(path)
        except OSError as error:
            raise os_failure(f"{path} cannot be written", error) from error
        return path


def load_targets(path: Path) -> Targets:
    """Read the file at ``path``. Raises :class:`UsageError` if it is missing or malformed."""
    return read_json_model(path, Targets, remedy="start a sandbox with `seawall up`")

"""Deployment files for tests: whole and valid, with addresses where nothing answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seawall.cache import repository_root
from seawall.conventions.local_aws import ACCOUNT_ID
from seawall.formats.deployment import DEPLOYMENT_FILE, Deployment, set_run_directory

NOTHING = "http://127.0.0.1:1"


def make_deployment(folder: Path, **changes: Any) -> Deployment:
    """A stack whose data directory is ``folder``; ``changes`` replace top-level fields."""
    network = {"chain_id": 73311, "rpc": {"primary": NOTHING, "standby": NOTHING}, "node": NOTHING}
    fields: dict[str, Any] = {
        "kind": "sandbox",
        "account": ACCOUNT_ID,
        "run_id": "r",
        "data_dir": str(folder),
        "policy": str(repository_root() / "policies" / "sandbox.yaml"),
        "stack": "sandbox",
        "toxiproxy": NOTHING,
        "proxies": {"kms.us-east-1": {"listen": "127.0.0.1:2", "upstream": "127.0.0.1:3"}},
        "processes": {},
        "urls": urls(),
        "regions": {"primary": "us-east-1", "standby": "us-west-2"},
        "networks": {"aster": network},
        "metrics_ports": {},
    }
    return Deployment.model_validate(fields | changes)


def urls(**changes: str) -> dict[str, str]:
    """The addresses of a stack; ``changes`` by the names of the deployment file."""
    names = ("api", "api_direct", "prometheus", "alertmanager", "pager", "aws", "lease")
    return {name: changes.get(name, NOTHING) for name in names}


def write_deployment(folder: Path, *, run_dir: Path | None = None, **changes: Any) -> Path:
    """Write :func:`make_deployment` into ``folder``; returns the path of the file.

    ``run_dir`` is the run in progress on it.
    """
    path = make_deployment(folder, **changes).write()
    set_run_directory(folder, run_dir)
    return path


def write_broken_deployment(folder: Path, **changes: Any) -> Path:
    """Write a deployment file with unchecked ``changes``; returns its path."""
    fields = make_deployment(folder).model_dump(mode="json") | changes
    path = folder / DEPLOYMENT_FILE
    path.write_text(json.dumps(fields), encoding="utf-8")
    return path

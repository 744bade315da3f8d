"""A deployment file for tests: complete, with addresses on which nothing answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seawall.cache import repository_root
from seawall.formats.deployment import Deployment

NOWHERE = "http://127.0.0.1:1"


def make_deployment(folder: Path, **changes: Any) -> Deployment:
    """A deployment whose state lies in ``folder``; ``changes`` replace whole fields."""
    urls = dict.fromkeys(
        ("api", "api_direct", "prometheus", "alertmanager", "pager", "aws", "lease"), NOWHERE
    )
    network = {"chain_id": 73311, "rpc": {"primary": NOWHERE, "standby": NOWHERE}, "node": NOWHERE}
    return Deployment.model_validate(
        {
            "run_id": "test",
            "data_dir": folder,
            "policy": repository_root() / "policies" / "sandbox.yaml",
            "stack": "sandbox",
            "toxiproxy": NOWHERE,
            "proxies": {},
            "processes": {},
            "urls": urls,
            "regions": {"primary": "us-east-1", "standby": "us-west-2"},
            "networks": {"aster": network},
            "metrics_ports": {},
            **changes,
        }
    )

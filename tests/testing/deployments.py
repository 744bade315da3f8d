"""Deployment files for tests: whole and valid, with addresses where nothing answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seawall.formats.deployment import TARGETS_FILE, Targets

NOTHING = "http://127.0.0.1:1"


def deployment(folder: Path, **changes: Any) -> Targets:
    """A stack whose data directory is ``folder``; ``changes`` replace top-level fields."""
    fields: dict[str, Any] = {
        "run_id": "r",
        "data_dir": str(folder),
        "toxiproxy": NOTHING,
        "proxies": {"kms.us-east-1": {"listen": "127.0.0.1:2", "upstream": "127.0.0.1:3"}},
        "processes": {},
        "urls": urls(),
        "regions": {"primary": "us-east-1", "standby": "us-west-2"},
        "networks": {},
        "metrics_ports": {},
    }
    return Targets.model_validate(fields | changes)


def urls(**changes: str) -> dict[str, str]:
    """The addresses of a stack; ``changes`` by the names of the deployment file."""
    names = ("api", "api_direct", "prometheus", "alertmanager", "pager", "aws", "lease")
    return {name: changes.get(name, NOTHING) for name in names}


def write_deployment(folder: Path, **changes: Any) -> Path:
    """Write :func:`deployment` into ``folder``; returns the path of the file."""
    return deployment(folder, **changes).write()


def write_broken_deployment(folder: Path, **changes: Any) -> Path:
    """Write a deployment file with unchecked ``changes``; returns its path."""
    fields = deployment(folder).model_dump(mode="json") | changes
    path = folder / TARGETS_FILE
    path.write_text(json.dumps(fields), encoding="utf-8")
    return path

"""The part of a Prometheus configuration that feeds Amazon Managed Prometheus in every region.

Usage: ``pulumi stack output --json | python -m monitors.remote_write >> prometheus.yml``.
Prometheus signs with the credentials of its own environment, which need aps:RemoteWrite on both
workspaces (AMP user guide, Set up metrics ingestion from a Prometheus server).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from seawall.errors import SeawallError, UsageError
from seawall.formats.documents import parse_json, read_json

_QUEUE = {"max_samples_per_send": 1_000, "max_shards": 200, "capacity": 2_500}
"""What the guide gives for one workspace."""


def remote_write_of(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """``remote_write`` for each workspace in a stack's outputs, as plain data.

    Raises :class:`UsageError` if they name none.
    """
    try:
        workspaces = outputs["monitoring"]["workspaces"]
        return {
            "remote_write": [
                {
                    "url": workspace["remote_write"],
                    "sigv4": {"region": region},
                    "queue_config": dict(_QUEUE),
                }
                for region, workspace in sorted(workspaces.items())
            ]
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"these outputs name no Prometheus workspace: {error!r}",
            remedy="give what `pulumi stack output --json` prints after pulumi up",
        ) from error


def read_outputs(path: Path | None) -> Mapping[str, Any]:
    """A stack's outputs from a file, or from standard input. Raises :class:`UsageError`."""
    remedy = "write them with `pulumi stack output --json`"
    if path is None:
        found: Any = parse_json(sys.stdin.read(), source="standard input")
    else:
        found = read_json(path, remedy=remedy)
    if not isinstance(found, dict):
        raise UsageError(
            "the stack's outputs are no JSON object",
            remedy="write them with `pulumi stack output --json`",
        )
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the snippet; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m monitors.remote_write",
        description="Print what feeds Amazon Managed Prometheus.",
    )
    parser.add_argument(
        "--outputs", type=Path, help="the stack's outputs as JSON (default: standard input)"
    )
    options = parser.parse_args(arguments)
    try:
        print(
            yaml.safe_dump(remote_write_of(read_outputs(options.outputs)), sort_keys=False), end=""
        )
    except SeawallError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

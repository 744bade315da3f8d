"""The lease holder: undoes faults when their runner is gone."""

from __future__ import annotations

from sandbox.parts.base import Part, Site
from seawall.processes.readiness import http_answers

NAME = "lease"


def part(site: Site) -> Part:
    """Ready when it lists its leases."""
    return Part(
        name=NAME,
        argv=site.module(
            "seawall.lease", "--data-dir", str(site.data_dir), "--port", str(site.ports.of(NAME))
        ),
        ready=http_answers(f"{site.ports.url(NAME)}/leases"),
    )

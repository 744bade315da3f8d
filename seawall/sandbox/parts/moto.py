"""AWS: the moto server with our shims, one process for both regions."""

from __future__ import annotations

from seawall.sandbox.parts.base import Part, Site
from seawall.sandbox.readiness import http_answers

NAME = "moto"


def part(site: Site) -> Part:
    """Ready when it answers over HTTP."""
    port = str(site.ports.of(NAME))
    return Part(
        name=NAME,
        argv=site.module("seawall.sandbox.aws", "--port", port),
        ready=http_answers(f"{site.ports.url(NAME)}/moto-api/data.json"),
    )

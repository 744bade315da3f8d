"""AWS: the moto server with our shims, one process for both regions."""

from __future__ import annotations

from sandbox.parts.base import Part, Site
from sandbox.quotas import KMS_ECC_PER_S
from seawall.processes.readiness import http_answers

NAME = "moto"


def part(site: Site) -> Part:
    """Ready when it answers over HTTP.

    Its quota is what the venue's signers are told that they have.
    """
    port = str(site.ports.of(NAME))
    return Part(
        name=NAME,
        argv=site.module(
            "localaws.emulator", "--port", port, "--kms-ecc-per-s", str(KMS_ECC_PER_S)
        ),
        ready=http_answers(f"{site.ports.url(NAME)}/moto-api/data.json"),
    )

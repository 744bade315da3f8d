"""The exchange counterparty: one process per name that the policy's exchange rail gives."""

from __future__ import annotations

from sandbox.parts.base import Part, Site
from seawall.processes.readiness import log_line


def names(site: Site) -> dict[str, str]:
    """``{"primary": name, "standby": name}`` of the exchange rail; empty if the policy has none."""
    rail = next((rail for rail in site.policy.rails.values() if rail.kind == "exchange"), None)
    return {} if rail is None else {"primary": rail.primary, "standby": rail.standby}


def component(which: str) -> str:
    """Component name of the exchange; ``which`` is primary or standby."""
    return f"exchange-{which}"


def part(site: Site, which: str) -> Part:
    """Ready when its book is made and it listens."""
    name = component(which)
    arguments = (
        "--name",
        names(site)[which],
        "--policy",
        str(site.policy_path),
        "--port",
        str(site.ports.of(name)),
    )
    return Part(
        name=name,
        argv=site.module("sandbox.counterparties.exchange", *arguments),
        ready=log_line("^ready$"),
    )

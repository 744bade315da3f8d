"""Single services: the emulated AWS, the lease holder, the exchange."""

from __future__ import annotations

from sandbox.parts.part import Context, Part
from seawall.processes.readiness import http_answers, log_line

AWS, LEASE = "moto", "lease"
KMS_ECC_PER_S = 60
"""Elliptic-curve operations of one region a second, over all keys.

AWS gives 1,000 by default (KMS Developer Guide, "Request quotas"), but the emulator computes 120 to
240 a second, so a quota of that size would never be met here. This one is, long before the emulator
reaches its own limit.
"""


def aws(context: Context) -> Part:
    """Ready when it answers over HTTP.

    Its KMS quota is the one that the venue's signers are configured with.
    """
    port = str(context.ports.of(AWS))
    return Part(
        name=AWS,
        argv=context.module(
            "localaws.emulator", "--port", port, "--kms-ecc-per-s", str(KMS_ECC_PER_S)
        ),
        ready=http_answers(f"{context.ports.url(AWS)}/moto-api/data.json"),
    )


def lease(context: Context) -> Part:
    """Ready when it lists its leases."""
    return Part(
        name=LEASE,
        argv=context.module(
            "seawall.lease",
            "--data-dir",
            str(context.data_dir),
            "--port",
            str(context.ports.of(LEASE)),
        ),
        ready=http_answers(f"{context.ports.url(LEASE)}/leases"),
    )


def exchange_names(context: Context) -> dict[str, str]:
    """``{"primary": name, "standby": name}`` of the exchange rail; empty if the policy has none."""
    rail = next((rail for rail in context.policy.rails.values() if rail.kind == "exchange"), None)
    return {} if rail is None else {"primary": rail.primary, "standby": rail.standby}


def exchange_component(which: str) -> str:
    """Component name of the exchange; ``which`` is primary or standby."""
    return f"exchange-{which}"


def exchange(context: Context, which: str) -> Part:
    """Ready when its book is made and it listens."""
    name = exchange_component(which)
    arguments = (
        "--name",
        exchange_names(context)[which],
        "--policy",
        str(context.policy_path),
        "--port",
        str(context.ports.of(name)),
    )
    return Part(
        name=name,
        argv=context.module("sandbox.counterparties.exchange", *arguments),
        ready=log_line("^ready$"),
    )

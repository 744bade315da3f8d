"""Single services: the emulated AWS, the lease holder, the providers of rails."""

from __future__ import annotations

from sandbox import providers
from sandbox.parts.part import Context, Part
from seawall.conventions.signing import fingerprint
from seawall.policy import RailKind
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


def provider(context: Context, kind: RailKind, side: str) -> Part:
    """Ready when its books are made and it listens; it pays if the policy pays over the rail."""
    name = providers.component(kind, side)
    paying: tuple[str, ...] = ()
    shown = context.providers.get(name)
    if shown is not None:
        paying = (
            "--data-dir",
            str(context.data_dir / name),
            "--payer-sha256",
            fingerprint(shown.payer.get_secret_value()),
            "--reader-sha256",
            fingerprint(shown.reader.get_secret_value()),
        )
    arguments = (
        "--name",
        providers.names(context.policy, kind)[side],
        "--policy",
        str(context.policy_path),
        "--port",
        str(context.ports.of(name)),
        *paying,
    )
    return Part(
        name=name,
        argv=context.module(f"sandbox.counterparties.{kind}", *arguments),
        ready=log_line("^ready$"),
    )


def all_providers(context: Context) -> list[tuple[RailKind, str]]:
    """Kind and side of each: an exchange quotes also where nothing is paid over it."""
    kinds: list[RailKind] = ["exchange"]
    kinds += [kind for kind in providers.paying_rails(context.policy).values() if kind not in kinds]
    return [(kind, side) for kind in kinds for side in providers.names(context.policy, kind)]

"""Everything that the policy needs, put together, and what the stack tells about it."""

from __future__ import annotations

from pathlib import Path

import pulumi
import pulumi_aws as aws

from infra.evidence import Evidence, EvidenceArgs
from infra.paging import Paging, PagingArgs
from infra.settings import Settings, read_settings
from infra.signers import WalletSigner, WalletSignerArgs
from seawall import conventions

_EVIDENCE_RETENTION_DAYS = 400
"""Covers a yearly review with a month to spare."""


def declare(*, repository: Path) -> None:
    """Declare the whole stack; called once by the Pulumi program."""
    settings = read_settings(pulumi.Config(), repository=repository)
    policy = settings.policy
    provider = aws.Provider("aws", region=policy.regions.primary)
    options = pulumi.ResourceOptions(providers={"aws": provider})
    account_id = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(provider=provider)).account_id
    tags = {"owner": policy.venue.name, "policy": policy.digest}

    evidence = Evidence(
        "evidence",
        EvidenceArgs(
            name=account_id.apply(lambda account: conventions.evidence_bucket(policy.venue.name, account)),
            region=policy.regions.standby,
            retention_days=_EVIDENCE_RETENTION_DAYS,
            deletion=settings.deletion,
            tags=tags,
        ),
        options,
    )
    paging = Paging(
        "paging",
        PagingArgs(policy=policy, region=policy.regions.standby, armed=settings.indicators_published, tags=tags),
        options,
    )
    signers = _signers(settings, account_id, options)

    pulumi.export("regions", {"primary": policy.regions.primary, "standby": policy.regions.standby})
    pulumi.export("policy_digest", policy.digest)
    pulumi.export("signers", {wallet: signer.description for wallet, signer in signers.items()})
    pulumi.export("evidence_bucket", evidence.bucket)
    pulumi.export("topics", paging.topics)
    pulumi.export("alarms", paging.alarms)


def _signers(
    settings: Settings, account_id: pulumi.Output[str], options: pulumi.ResourceOptions
) -> dict[str, WalletSigner]:
    policy = settings.policy
    return {
        name: WalletSigner(
            WalletSignerArgs(
                venue=policy.venue.name,
                wallet=name,
                declared=wallet,
                primary=policy.regions.primary,
                standby=policy.regions.standby,
                principals=settings.signer_principals,
                account_id=account_id,
                deletion=settings.deletion,
                tags={"owner": policy.buckets[wallet.bucket].owner, "bucket": wallet.bucket, "policy": policy.digest},
            ),
            options,
        )
        for name, wallet in policy.signing_wallets().items()
    }

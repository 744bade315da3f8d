"""Everything that the policy needs, put together, and what the stack tells about it."""

from __future__ import annotations

from pathlib import Path

import pulumi
import pulumi_aws as aws

from infra.evidence import Evidence, EvidenceArgs
from infra.paging import Paging, PagingArgs
from infra.settings import read_settings, refuse_other_account
from infra.signers import Signers, SignersArgs
from seawall import conventions

_DAY_MS = 86_400_000


def declare(*, repository: Path) -> None:
    """Declare the whole stack; called once by the Pulumi program. Raises :class:`UsageError`, :class:`PolicyError`."""
    settings = read_settings(pulumi.Config(), stack=pulumi.get_stack(), repository=repository)
    policy = settings.policy
    tags = {"owner": policy.venue.name, "policy": policy.digest}
    provider = aws.Provider("aws", region=policy.regions.primary)
    refuse_other_account(
        settings, caller=aws.get_caller_identity(opts=pulumi.InvokeOptions(provider=provider)).account_id
    )
    options = pulumi.ResourceOptions(providers={"aws": provider})

    evidence = Evidence(
        "evidence",
        EvidenceArgs(
            name=pulumi.Output.from_input(conventions.evidence_bucket(policy.venue.name, settings.account)),
            region=policy.regions.standby,
            retention_days=-(-policy.backup.evidence_keep // _DAY_MS),
            lock_mode=settings.lock_mode,
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
    signers = Signers(
        "signers",
        SignersArgs(
            policy=policy,
            account=settings.account,
            principals=settings.principals,
            deletion=settings.deletion,
            tags=tags,
        ),
        options,
    )

    pulumi.export("regions", {"primary": policy.regions.primary, "standby": policy.regions.standby})
    pulumi.export("policy_digest", policy.digest)
    pulumi.export("signers", signers.signers)
    pulumi.export("approvers", signers.approvers)
    pulumi.export("principals", signers.principals)
    pulumi.export("evidence_bucket", evidence.bucket)
    pulumi.export("topics", paging.topics)
    pulumi.export("alarms", paging.alarms)

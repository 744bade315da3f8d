"""Everything that the policy needs, put together, and what the stack tells about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.destroy_guard import SealArgs, seal
from infra.refusals.demands import Demands
from infra.refusals.gate import Gate
from infra.roles import described
from infra.settings import Settings, read_settings, refuse_other_account
from infra.signers import Signers, SignersArgs
from infra.standby import declare_standby
from infra.trail import KeyTrail, KeyTrailArgs
from seawall.keys import access as segregation


def declare(*, repository: Path) -> None:
    """Declare the whole stack; called once by the Pulumi program.

    Raises :class:`UsageError`, :class:`PolicyError`.
    """
    settings = read_settings(pulumi.Config(), stack=pulumi.get_stack(), repository=repository)
    policy = settings.policy
    tags = {"owner": policy.venue.name, "policy": policy.digest}
    provider = aws.Provider("aws", region=policy.regions.primary)
    caller = aws.get_caller_identity(opts=pulumi.InvokeOptions(provider=provider))
    refuse_other_account(settings, caller=caller.account_id)
    options = pulumi.ResourceOptions(providers={"aws": provider})
    demands = Demands(
        policy=policy,
        protected=settings.protected,
        key_window_days=settings.deletion.key_window_days,
    )
    with Gate(demands) as gate:
        standby = declare_standby(settings, repository=repository, tags=tags, opts=options)
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
        trail = KeyTrail(
            "trail",
            KeyTrailArgs(
                policy=policy,
                account=settings.account,
                topics={
                    region: standby.paging.topics[region]["critical"]
                    for region in segregation.regions(policy)
                },
                lock_mode=settings.lock_mode,
                remover=None if settings.protected else settings.principals.deployer,
                tags=tags,
            ),
            options,
        )
        seal(
            SealArgs(
                venue=policy.venue.name,
                region=policy.regions.standby,
                digest=policy.digest,
                deletion=settings.deletion,
                tags=tags,
            ),
            after=gate.resources,
            opts=options,
        )
        gate.open()

    pulumi.export("regions", {"primary": policy.regions.primary, "standby": policy.regions.standby})
    pulumi.export("policy_digest", policy.digest)
    pulumi.export("deletion", settings.deletion.value)
    pulumi.export("signers", signers.signers)
    pulumi.export("approvers", signers.approvers)
    pulumi.export("principals", {**signers.principals, **_others(settings)})
    pulumi.export("trail", trail.outputs)
    for name, value in standby.outputs.items():
        pulumi.export(name, value)


def _others(settings: Settings) -> dict[str, dict[str, Any]]:
    """The principals that use no key: who reads the kit and who runs game days."""
    return {
        principal.name: described(
            principal, account=settings.account, trusts=settings.principals.trusted(principal)
        )
        for principal in (segregation.kit(settings.policy), segregation.gameday(settings.policy))
    }

"""The whole stack of a policy: every resource, and the stack's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.audit import declare_audit_role
from infra.destroy_guard import DestroyGuardArgs, declare_destroy_guard
from infra.faults import declare_fault_role
from infra.generated_files import MonitoringFiles, folder_of, read_expected
from infra.refusals.declared import Demands
from infra.refusals.gate import Gate
from infra.roles import DrillRole, described
from infra.settings import Settings, read_settings, refuse_other_account
from infra.signers import Signers, SignersArgs
from infra.standby import Standby, declare_standby
from infra.trail import KeyTrail, KeyTrailArgs
from seawall.keys import access


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The parts of a stack that its outputs are made of."""

    signers: Signers
    trail: KeyTrail
    standby: Standby


def declare(*, repository: Path) -> None:
    """Declare the whole stack; called once by the Pulumi program.

    Raises:
        UsageError: for settings, credentials or generated files that do not belong to the stack.
        PolicyError: for a wrong policy.
    """
    settings = read_settings(pulumi.Config(), stack=pulumi.get_stack(), repository=repository)
    policy = settings.policy
    folder = folder_of(policy, repository=repository)
    files = MonitoringFiles.read(policy, folder=folder)
    demands = Demands(
        policy=policy,
        protected=settings.protected,
        key_window_days=settings.deletion.key_window_days,
        expected=read_expected(policy, folder=folder),
    )
    provider = aws.Provider("aws", region=policy.regions.primary)
    caller = aws.get_caller_identity(opts=pulumi.InvokeOptions(provider=provider))
    refuse_other_account(settings, caller=caller.account_id)
    options = pulumi.ResourceOptions(providers={"aws": provider})
    with Gate(demands) as gate:
        stack = declare_resources(
            settings, files, repository=repository, declared=gate.resources, opts=options
        )
        gate.open()

    pulumi.export("regions", {"primary": policy.regions.primary, "standby": policy.regions.standby})
    pulumi.export("policy_digest", policy.infrastructure_digest)
    pulumi.export("deletion", settings.deletion.value)
    pulumi.export("signers", stack.signers.signers)
    pulumi.export("approvers", stack.signers.approvers)
    pulumi.export("principals", {**stack.signers.principals, **_others(settings)})
    pulumi.export("trail", stack.trail.outputs)
    for name, value in stack.standby.outputs.items():
        pulumi.export(name, value)


def declare_resources(
    settings: Settings,
    files: MonitoringFiles,
    *,
    repository: Path,
    declared: Sequence[pulumi.Resource],
    opts: pulumi.ResourceOptions,
) -> Stack:
    """Declare every resource of the stack.

    Args:
        settings: the stack's configuration.
        files: what ``monitors/`` rendered from the policy.
        repository: where the runbooks of the offline kit are.
        declared: grows with each resource that is declared; the last one depends on all of them.
        opts: of everything, such as the provider.
    """
    policy = settings.policy
    tags = {"owner": policy.venue.name, "policy": policy.infrastructure_digest}
    standby = declare_standby(settings, files, repository=repository, tags=tags, opts=opts)
    signers = Signers(
        "signers",
        SignersArgs(
            policy=policy,
            account=settings.account,
            principals=settings.principals,
            deletion=settings.deletion,
            tags=tags,
        ),
        opts,
    )
    declare_fault_role(
        DrillRole(
            venue=policy.venue.name,
            account=settings.account,
            trusted=settings.principals.faults,
            tags=tags,
        ),
        opts,
    )
    declare_audit_role(
        DrillRole(
            venue=policy.venue.name,
            account=settings.account,
            trusted=settings.principals.audit,
            tags=tags,
        ),
        opts,
    )
    trail = KeyTrail(
        "trail",
        KeyTrailArgs(
            policy=policy,
            account=settings.account,
            topics={
                region: standby.paging.topics[region]["critical"]
                for region in access.regions(policy)
            },
            lock_mode=settings.lock_mode,
            remover=None if settings.protected else settings.principals.deployer,
            tags=tags,
        ),
        opts,
    )
    declare_destroy_guard(
        DestroyGuardArgs(
            venue=policy.venue.name,
            region=policy.regions.standby,
            digest=policy.infrastructure_digest,
            deletion=settings.deletion,
            tags=tags,
        ),
        after=declared,
        opts=opts,
    )
    return Stack(signers=signers, trail=trail, standby=standby)


def _others(settings: Settings) -> dict[str, dict[str, Any]]:
    """The principals that use no key.

    The reader of the offline kit, the runner of game days, who denies signing for a drill, and who
    looks up who signed.
    """
    policy = settings.policy
    return {
        principal.name: described(
            principal, account=settings.account, trusts=settings.principals.trusted(principal)
        )
        for principal in (
            access.kit(policy),
            access.gameday(policy),
            access.fault(policy),
            access.audit(policy),
        )
    }

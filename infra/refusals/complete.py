"""What the policy demands.

A stack that lacks a key, a replica, a role, an alarm or a monitor is refused with the whole list.

Resources are demanded by type and logical name, so that one with another name, or another type
under the name, counts as missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from infra.refusals.declared import Declared
from infra.refusals.demands import Demands
from infra.refusals.identity import ROLE
from infra.refusals.keys import KEY, REPLICA
from infra.refusals.protection import SEAL
from infra.refusals.standby import demanded_standby
from seawall.keys import access as segregation
from seawall.policy import Policy

_ALIAS = "aws:kms/alias:Alias"
_BOUNDARY = "aws:iam/policy:Policy"
_ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"

Wanted = tuple[str, str, str]
"""Type token, logical name, why."""


def missing(declared: Sequence[Declared], demands: Demands) -> Iterator[str]:
    """A line for each resource that the policy demands and the program does not declare."""
    known = {(resource.kind, resource.name) for resource in declared}
    for kind, name, why in demanded(demands.policy):
        if (kind, name) not in known:
            yield f"{kind} {name} is missing: {why}"


def demanded(policy: Policy) -> Iterator[Wanted]:
    """Everything that a stack of ``policy`` must have."""
    yield from _keys(policy)
    yield from _principals(policy)
    yield from _trail(policy)
    for trigger in policy.triggers:
        for region in segregation.regions(policy):
            yield (
                _ALARM,
                f"{trigger.name}-{region}",
                f"the trigger {trigger.name} has no witness in {region}",
            )
    yield from demanded_standby(policy)
    yield *SEAL, "a destroy would take down what is not protected before it meets what is"


def _keys(policy: Policy) -> Iterator[Wanted]:
    primary, standby = segregation.regions(policy)
    for key in segregation.keys(policy):
        whose = f"wallet {key.name}" if key.bucket else f"approver {key.approver}"
        yield KEY, key.name, f"{whose} has no address without it"
        yield REPLICA, key.name, f"{whose} cannot sign in {standby} when {primary} is dark"
        for region in (primary, standby):
            yield _ALIAS, f"{key.name}-{region}", f"the key of {whose} has no name in {region}"


def _principals(policy: Policy) -> Iterator[Wanted]:
    for principal in segregation.principals(policy):
        if principal.kind not in ("kit", "gameday"):
            yield (
                ROLE,
                principal.name,
                f"nobody could act as {principal.kind} of {principal.bucket or principal.approver}",
            )
    for kind in ("signer", "admin", "break-glass", "approver"):
        yield _BOUNDARY, f"boundary-{kind}", f"roles of kind {kind} would be unbounded"


def _trail(policy: Policy) -> Iterator[Wanted]:
    yield "aws:cloudtrail/trail:Trail", "trail", "changes of keys would leave no trace"
    for region in segregation.regions(policy):
        for kind in (
            "aws:cloudwatch/eventRule:EventRule",
            "aws:cloudwatch/eventTarget:EventTarget",
        ):
            yield (
                kind,
                f"key-changes-{region}",
                f"nobody would be paged for a change of a key in {region}",
            )
        for kind, name in (
            ("aws:sqs/queue:Queue", f"key-changes-{region}"),
            ("aws:cloudwatch/eventTarget:EventTarget", f"key-changes-{region}-kept"),
        ):
            yield kind, name, f"changes of keys in {region} would be kept nowhere"

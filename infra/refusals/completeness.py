"""Rules for the whole stack: refuses a program that lacks a resource.

Presence is read from the committed list of expected resources, by type and logical name: one with
another name, or another type under the name, counts as missing. What presence alone does not show
is judged by rules that read the policy themselves, so that a list that was rendered by a faulty
program, and waved through in review, does not pass: every signing key has its replica, every page
reaches the roles that the policy names, every role that acts by a policy of its own has one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from infra.refusals.declared import UNKNOWN, Declared, Demands
from infra.refusals.identity import ROLE
from infra.refusals.keys import KEY, REPLICA
from infra.served_names import METRICS_REGION
from seawall.keys import access

SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
_NAMED_BY_KEYS = ("signer", "admin", "break-glass", "approver")
"""Kinds of principals whose permissions stand in the keys' policies."""


def incomplete(declared: Sequence[Declared], demands: Demands) -> Iterator[str]:
    """A line for each thing that the stack lacks."""
    yield from _missing(declared, demands)
    yield from _keys_without_replica(declared, demands)
    yield from _unpaged_roles(declared, demands)
    yield from _roles_without_policy(declared, demands)


def _missing(declared: Sequence[Declared], demands: Demands) -> Iterator[str]:
    """Listed resources that are not declared, or not where the list says."""
    found = {(resource.kind, resource.name): resource for resource in declared}
    for expected in demands.expected:
        resource = found.get((expected.kind, expected.name))
        if resource is None:
            yield (
                f"{expected.kind} {expected.name} is missing: the list of expected resources has it"
            )
        elif expected.region_is_fixed and resource.is_known("region"):
            region = resource.given("region")
            if region != expected.region:
                yield (
                    f"{resource}: in {region or 'no region of its own'}, and listed in "
                    f"{expected.region}"
                )


def _keys_without_replica(declared: Sequence[Declared], demands: Demands) -> Iterator[str]:
    """Every key that signs exists, and once more in the standby region."""
    found = {(resource.kind, resource.name) for resource in declared}
    primary, standby = access.regions(demands.policy)
    for key in access.keys(demands.policy):
        owner = f"wallet {key.name}" if key.bucket else f"approver {key.approver}"
        if (KEY, key.name) not in found:
            yield f"no key {key.name}: {owner} would have no address"
        if (REPLICA, key.name) not in found:
            yield (
                f"no replica {key.name}: {owner} could not sign in {standby} when {primary} is dark"
            )


def _unpaged_roles(declared: Sequence[Declared], demands: Demands) -> Iterator[str]:
    """A role that triggers page has a subscription per severity, recognized by its address.

    In each region, and in the one where Route 53 puts the metrics of health checks.
    """
    subscribed: dict[tuple[object, object], int] = {}
    for each in declared:
        if each.kind == SUBSCRIPTION:
            if each.given("endpoint") is UNKNOWN or each.given("region") is UNKNOWN:
                yield f"{each}: its address or region is not known beforehand; write it down"
                continue
            to = (each.given("endpoint"), each.given("region"))
            subscribed[to] = subscribed.get(to, 0) + 1
    policy = demands.policy
    regions = [*access.regions(policy), *([METRICS_REGION] if policy.served else [])]
    paged = {(role, trigger.severity) for trigger in policy.triggers for role in trigger.pages}
    for address in sorted({policy.roles[role].email for role, _ in paged}):
        roles = sorted({role for role, _ in paged if policy.roles[role].email == address})
        needed = len([role for role, _ in paged if role in roles])
        for region in dict.fromkeys(regions):
            count = subscribed.get((address, region), 0)
            if count < needed:
                yield (
                    f"{region} would not page {', '.join(roles)} ({address}) for every severity:"
                    f" {count} subscriptions, and the policy needs {needed}"
                )


def _roles_without_policy(declared: Sequence[Declared], demands: Demands) -> Iterator[str]:
    """A role that no key's policy names needs a policy of its own, under its logical name.

    Without it backups, replication, the offline kit or game days would not work.
    """
    allowed = {resource.name for resource in declared if resource.kind == ROLE_POLICY}
    named_by_keys = {
        principal.name
        for principal in access.principals(demands.policy)
        if principal.kind in _NAMED_BY_KEYS
    }
    for resource in declared:
        if resource.kind == ROLE and resource.name not in allowed | named_by_keys:
            yield (
                f"{resource}: may do nothing; declare a role policy under the name {resource.name}"
            )

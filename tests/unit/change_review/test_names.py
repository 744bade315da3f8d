"""The table of rules names only types and inputs that the pinned AWS provider has.

A rule on a misspelt name would never fire.
"""

from __future__ import annotations

import importlib
import re
import warnings

import pytest
from pulumi._types import input_type_py_to_pulumi_names

from seawall.change_review.rules import _REMOVABLE, TABLE
from seawall.change_review.rules.rule import Comparison

KINDS = sorted(
    {kind for rule in TABLE for kind in rule.kinds if kind.startswith("aws:")} | _REMOVABLE
)
BY_HAND = {
    "aws:kms/key:Key": ("policy", "enableKeyRotation"),
    "aws:kms/grant:Grant": ("operations", "granteePrincipal"),
    "aws:iam/role:Role": ("assumeRolePolicy", "permissionsBoundary"),
    "aws:iam/rolePolicy:RolePolicy": ("policy",),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ("policyArn",),
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": ("rule", "bucket"),
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": ("rules",),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": ("rules", "bucket"),
    "aws:backup/plan:Plan": ("rules",),
    "aws:secretsmanager/secret:Secret": ("policy",),
    "aws:sns/topic:Topic": ("policy",),
    "aws:sqs/queue:Queue": ("policy",),
    "aws:cloudwatch/eventRule:EventRule": ("eventPattern",),
    "aws:cloudwatch/metricAlarm:MetricAlarm": ("threshold", "comparisonOperator"),
    "aws:cloudwatch/logGroup:LogGroup": ("retentionInDays",),
    "aws:amp/ruleGroupNamespace:RuleGroupNamespace": ("data",),
    "aws:amp/alertManagerDefinition:AlertManagerDefinition": ("definition",),
    "aws:sns/topicSubscription:TopicSubscription": ("filterPolicy",),
}
"""Inputs that a rule reads by a function of its own."""


def inputs_of(kind: str) -> set[str]:
    """Names of the inputs of a type, as they stand in a preview."""
    path, _, name = kind.removeprefix("aws:").partition(":")
    module = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", path).lower().replace("/", ".")
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # the table knows old names of types, too
        found = importlib.import_module(f"pulumi_aws.{module}")
        # A type whose name a nested input has taken calls its own arguments InitArgs.
        arguments = getattr(found, f"{name}InitArgs", None) or getattr(found, f"{name}Args")
    return set(input_type_py_to_pulumi_names(arguments).values())


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_of_the_table_exists(kind: str) -> None:
    assert inputs_of(kind)


@pytest.mark.parametrize("rule", TABLE, ids=[rule.id for rule in TABLE])
def test_every_input_that_a_rule_compares_exists_in_a_type_that_it_is_for(rule: object) -> None:
    checks = [check for check in rule.checks if isinstance(check, Comparison)]  # type: ignore[attr-defined]
    kinds = [kind for kind in rule.kinds if kind.startswith("aws:")]  # type: ignore[attr-defined]
    known = set().union(*(inputs_of(kind) for kind in kinds)) if kinds else PROVIDER
    assert {path.partition(".")[0] for check in checks for path in check.paths} <= known


@pytest.mark.parametrize(("kind", "names"), BY_HAND.items())
def test_every_input_that_a_rule_reads_by_hand_exists(kind: str, names: tuple[str, ...]) -> None:
    assert set(names) <= inputs_of(kind)


def _provider() -> set[str]:
    import pulumi_aws

    return set(input_type_py_to_pulumi_names(pulumi_aws.ProviderArgs).values())


PROVIDER = _provider()

"""What must not be missing.

For each resource that the program declares, these tests say whether the policy demands it.
"""

from __future__ import annotations

import pytest

from infra.refusals.complete import demanded
from seawall.policy import Policy
from tests.testing.declared import POLICY, PRIMARY, STANDBY, declared

_REGIONS = (PRIMARY, STANDBY)
_HELPERS = {"backup", "gameday", "gameday-execution", "gameday-scheduler", "kit", "replication"}
NAMES_NOT_DEMANDED = {
    "aws:amp/workspace:Workspace": set(_REGIONS),
    "aws:ecs/taskDefinition:TaskDefinition": {"gameday"},
    "aws:iam/policy:Policy": {f"boundary-{name}" for name in _HELPERS},
    "aws:iam/role:Role": _HELPERS,
    "aws:iam/rolePolicy:RolePolicy": _HELPERS - {"backup", "kit", "replication"},
    "aws:kms/alias:Alias": {
        f"{name}-{region}" for name in ("kit", "paging") for region in _REGIONS
    },
    "aws:kms/key:Key": {f"{name}-{region}" for name in ("kit", "paging") for region in _REGIONS},
    "aws:s3/bucket:Bucket": {"trail", *(f"backups-{region}" for region in _REGIONS)},
    "aws:scheduler/scheduleGroup:ScheduleGroup": {"gamedays"},
    "aws:sns/topic:Topic": {f"info-{region}" for region in _REGIONS},
}
"""What only serves something that is demanded, or is no promise of the policy."""
KINDS_NOT_DEMANDED = {
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "aws:s3/bucketPolicy:BucketPolicy",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketVersioning:BucketVersioning",
}
"""What belongs to a bucket is judged with it."""


def test_what_the_program_declares_is_demanded_by_name_unless_it_is_listed_here() -> None:
    """Whoever declares something new decides whether a stack may lack it, and a demand that is lost
    shows up as undecided.
    """
    wanted = {(kind, name) for kind, name, _ in demanded(POLICY)}
    undecided: dict[str, set[str]] = {}
    for each in declared("production"):
        of_kit = each.type == "aws:s3/bucketObjectv2:BucketObjectv2" and not each.name.startswith(
            "SHA256SUMS-"
        )
        judged = (
            (each.type, each.name) not in wanted
            and not each.type.startswith("pulumi:")
            and not of_kit
        )
        if judged and each.type not in KINDS_NOT_DEMANDED:
            undecided.setdefault(each.type, set()).add(each.name)
    assert undecided == NAMES_NOT_DEMANDED


def topics(policy: Policy) -> set[str]:
    return {name for kind, name, _ in demanded(policy) if kind == "aws:sns/topic:Topic"}


def test_health_checks_page_from_the_region_of_their_metrics_wherever_the_venue_is() -> None:
    """Route 53 puts the metrics of health checks into us-east-1, and an alarm acts on topics of its
    own region.
    """
    regions = POLICY.regions.model_copy(update={"primary": "eu-west-1", "standby": "eu-central-1"})
    elsewhere = POLICY.model_copy(update={"regions": regions})
    own = {
        f"{severity}-{region}"
        for severity in ("critical", "warning")
        for region in ("eu-west-1", "eu-central-1")
    }
    assert topics(elsewhere) == own | {"critical-us-east-1", "warning-us-east-1"}
    assert topics(elsewhere.model_copy(update={"served": {}})) == own


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        (
            "aws:kms/key:Key",
            "customer-aster-hot",
            "wallet customer-aster-hot has no address without it",
        ),
        (
            "aws:kms/key:Key",
            "approver-treasury-lead",
            "approver treasury-lead has no address without it",
        ),
        (
            "aws:iam/role:Role",
            "seawall-harbour-key-admin-escrow",
            "nobody could act as admin of escrow",
        ),
        (
            "aws:iam/role:Role",
            "seawall-harbour-approver-treasury-lead",
            "nobody could act as approver of treasury-lead",
        ),
    ],
)
def test_what_is_missing_is_said_with_whose_it_is(kind: str, name: str, why: str) -> None:
    assert (kind, name, why) in set(demanded(POLICY))

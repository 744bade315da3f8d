"""Wildcards, and policies that AWS owns, that are allowed, each with its reason.

Everything else is refused by ``identity``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Element = Literal["Action", "Resource", "ManagedPolicy"]


@dataclass(frozen=True, kw_only=True)
class Listed:
    """Lets ``pattern`` stand in ``element`` of statements whose Sid matches ``sid``, in resources
    of ``kind`` whose name matches ``name``.

    All of ``name``, ``sid`` and ``pattern`` are regular expressions for the whole text.
    """

    kind: str
    name: str
    sid: str
    element: Element
    pattern: str
    reason: str

    def covers(self, *, kind: str, name: str, sid: str, element: str, value: str) -> bool:
        """Whether the wildcard ``value`` is this exception."""
        texts = ((self.name, name), (self.sid, sid), (self.pattern, value))
        return (self.kind, self.element) == (kind, element) and all(
            re.fullmatch(want, text) for want, text in texts
        )


_KEY, _REPLICA = "aws:kms/key:Key", "aws:kms/replicaKey:ReplicaKey"
_POLICY, _ROLE_POLICY = "aws:iam/policy:Policy", "aws:iam/rolePolicy:RolePolicy"
_ANY = ".*"
_STAR = r"\*"
_REGION_AND_ACCOUNT = r"[a-z0-9-]+:\d{12}"


def _listed(
    kinds: tuple[str, ...], name: str, sid: str, element: Element, pattern: str, *, reason: str
) -> list[Listed]:
    return [
        Listed(kind=kind, name=name, sid=sid, element=element, pattern=pattern, reason=reason)
        for kind in kinds
    ]


EXCEPTIONS: tuple[Listed, ...] = (
    *_listed(
        (_KEY, _REPLICA),
        _ANY,
        _ANY,
        "Resource",
        _STAR,
        reason="in a key's policy * means the key itself (KMS developer guide, Key policies, Resource)",
    ),
    *_listed(
        ("aws:secretsmanager/secret:Secret",),
        _ANY,
        _ANY,
        "Resource",
        _STAR,
        reason="in a secret's policy * means the secret itself (Secrets Manager user guide, Resource-based policies)",
    ),
    *_listed(
        (_POLICY, _ROLE_POLICY, "aws:s3/bucketPolicy:BucketPolicy"),
        _ANY,
        _ANY,
        "Resource",
        r"arn:aws:s3:::[a-z0-9.-]+/([\w/-]+/)?\*",
        reason="the bucket is named, and so is the folder if there is one; what will lie in it is not known beforehand",
    ),
    *_listed(
        (_POLICY,),
        "boundary-(signer|admin|break-glass|approver)",
        "KeysWhosePolicyAgrees",
        "Resource",
        rf"arn:aws:kms:{_REGION_AND_ACCOUNT}:key/\*",
        reason="a boundary allows nothing by itself, and ids of keys are not known before they are made; each key's policy names who may",
    ),
    *_listed(
        (_POLICY,),
        "boundary-kit",
        "Decrypt",
        "Resource",
        rf"arn:aws:kms:{_REGION_AND_ACCOUNT}:key/\*",
        reason="the same: the policies of the kit's keys name the one role that reads it",
    ),
    *_listed(
        (_POLICY, _ROLE_POLICY),
        "(boundary-)?backup",
        "SnapshotDatabases",
        "Resource",
        rf"arn:aws:rds:{_REGION_AND_ACCOUNT}:(db|cluster|(cluster-)?snapshot:awsbackup):\*",
        reason="what is backed up is selected by its tag; databases are not made here",
    ),
    *_listed(
        (_POLICY, _ROLE_POLICY),
        "(boundary-)?backup",
        "FindDatabases",
        "Resource",
        _STAR,
        reason="these actions only look, and know no resource (service authorization reference, Amazon RDS, Resource Groups Tagging)",
    ),
    *_listed(
        (_POLICY, _ROLE_POLICY),
        "(boundary-)?backup",
        "UseKeysOfDatabases",
        "Resource",
        rf"arn:aws:kms:{_REGION_AND_ACCOUNT}:key/\*",
        reason="the databases' keys are not made here; a condition lets RDS alone use them",
    ),
    *_listed(
        (_POLICY, _ROLE_POLICY),
        "(boundary-)?gameday-execution",
        "LogInToRegistry",
        "Resource",
        _STAR,
        reason="ecr:GetAuthorizationToken knows no resource (service authorization reference, Amazon ECR)",
    ),
    *_listed(
        (_POLICY, _ROLE_POLICY),
        "(boundary-)?gameday",
        "BreakTargets",
        "Resource",
        rf"arn:aws:(ecs|rds|ec2):{_REGION_AND_ACCOUNT}:\*",
        reason="a condition on the target's tag decides; ids of targets change with every deployment",
    ),
    *_listed(
        (_POLICY, _ROLE_POLICY),
        "(boundary-)?gameday",
        "WatchStopConditions",
        "Resource",
        rf"arn:aws:cloudwatch:{_REGION_AND_ACCOUNT}:alarm:seawall-\*",
        reason="it looks at the stack's own alarms and changes none",
    ),
    *_listed(
        (_POLICY, _ROLE_POLICY),
        "(boundary-)?gameday-scheduler",
        "RunGameDays",
        "Resource",
        rf"arn:aws:ecs:{_REGION_AND_ACCOUNT}:task-definition/[a-z0-9-]+:\*",
        reason="the task is named; its revision is a number that AWS counts up",
    ),
)

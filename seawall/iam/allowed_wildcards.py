"""The wildcards that policies of the stack may contain, each with its reason.

The refusals of ``pulumi up`` refuse every other wildcard, and every policy that AWS owns; the
review of a planned change reports every other statement on all resources or all keys. Both read
this one list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from seawall.iam.comparison import WITHOUT_RESOURCES
from seawall.iam.documents import Statement

Element = Literal["Action", "Resource", "ManagedPolicy"]


@dataclass(frozen=True, kw_only=True)
class AllowedWildcard:
    """One wildcard that may stand in a policy, where it may stand, and why.

    ``kind`` is the Pulumi type of the resource that carries the policy and ``name`` its logical
    name; ``name``, ``sid`` and ``pattern`` are regular expressions for the whole text. Where the
    reason is a condition, ``condition`` is the start of its key, in lower case, and the statement
    must test it; where the reason is that the actions know no resource, ``without_resources`` is
    set and the statement must have no other action.
    """

    kind: str
    name: str
    sid: str
    element: Element
    pattern: str
    reason: str
    condition: str = ""
    without_resources: bool = False

    def covers(self, *, kind: str, name: str, sid: str, element: str, value: str) -> bool:
        """Whether ``value`` is this wildcard, where it may stand."""
        texts = ((self.name, name), (self.sid, sid), (self.pattern, value))
        return (self.kind, self.element) == (kind, element) and all(
            re.fullmatch(want, text) for want, text in texts
        )

    def reason_holds(self, statement: Statement) -> bool:
        """Whether ``statement`` still has what the reason relies on."""
        return (
            not self.condition
            or any(key.startswith(self.condition) for _, key, _ in statement.conditions)
        ) and (not self.without_resources or statement.actions <= WITHOUT_RESOURCES)


def is_allowed(*, kind: str, name: str, statement: Statement, element: str, value: str) -> bool:
    """Whether the wildcard ``value`` in ``element`` of ``statement`` is one of the list.

    ``kind`` and ``name`` are those of the resource that carries the document.
    """
    return any(
        each.covers(kind=kind, name=name, sid=statement.sid, element=element, value=value)
        and each.reason_holds(statement)
        for each in ALLOWED_WILDCARDS
    )


def is_allowed_managed_policy(*, kind: str, name: str, arn: str) -> bool:
    """Whether the policy ``arn``, which AWS owns, may be attached by the resource ``name``."""
    return any(
        each.covers(kind=kind, name=name, sid="", element="ManagedPolicy", value=arn)
        for each in ALLOWED_WILDCARDS
    )


_KEY, _REPLICA = "aws:kms/key:Key", "aws:kms/replicaKey:ReplicaKey"
_POLICY, _ROLE_POLICY = "aws:iam/policy:Policy", "aws:iam/rolePolicy:RolePolicy"
_ANY = ".*"
_STAR = r"\*"
_REGION_AND_ACCOUNT = r"[a-z0-9-]+:\d{12}"


def _listed(
    kinds: tuple[str, ...],
    name: str,
    sid: str,
    element: Element,
    pattern: str,
    *,
    reason: str,
    condition: str = "",
    without_resources: bool = False,
) -> list[AllowedWildcard]:
    return [
        AllowedWildcard(
            kind=kind,
            name=name,
            sid=sid,
            element=element,
            pattern=pattern,
            reason=reason,
            condition=condition,
            without_resources=without_resources,
        )
        for kind in kinds
    ]


ALLOWED_WILDCARDS: tuple[AllowedWildcard, ...] = (
    *_listed(
        (_KEY, _REPLICA),
        _ANY,
        _ANY,
        "Resource",
        _STAR,
        reason="in a key's policy * means the key itself (KMS developer guide, Key policies, "
        "Resource)",
    ),
    *_listed(
        ("aws:secretsmanager/secret:Secret",),
        _ANY,
        _ANY,
        "Resource",
        _STAR,
        reason="in a secret's policy * means the secret itself (Secrets Manager user guide, "
        "Resource-based policies)",
    ),
    *_listed(
        (_POLICY, _ROLE_POLICY, "aws:s3/bucketPolicy:BucketPolicy"),
        _ANY,
        _ANY,
        "Resource",
        r"arn:aws:s3:::[a-z0-9.-]+/([\w/-]+/)?\*",
        reason="the bucket is named, and so is the folder if there is one; what will lie in it is "
        "not known beforehand",
    ),
    *_listed(
        (_POLICY,),
        "boundary-(signer|admin|break-glass|approver)",
        "KeysWhosePolicyAgrees",
        "Resource",
        rf"arn:aws:kms:{_REGION_AND_ACCOUNT}:key/\*",
        reason="a boundary allows nothing by itself, and ids of keys are not known before they are "
        "made; each key's policy names who may",
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
        reason="these actions only read, and know no resource (service authorization reference, "
        "Amazon RDS, Resource Groups Tagging)",
        without_resources=True,
    ),
    *_listed(
        (_POLICY, _ROLE_POLICY),
        "(boundary-)?backup",
        "UseKeysOfDatabases",
        "Resource",
        rf"arn:aws:kms:{_REGION_AND_ACCOUNT}:key/\*",
        reason="the databases' keys are not made here; a condition lets RDS alone use them",
        condition="kms:viaservice",
    ),
    *_listed(
        (_POLICY, _ROLE_POLICY),
        "(boundary-)?gameday-execution",
        "LogInToRegistry",
        "Resource",
        _STAR,
        reason="ecr:GetAuthorizationToken knows no resource (service authorization reference, "
        "Amazon ECR)",
        without_resources=True,
    ),
    *_listed(
        (_POLICY, _ROLE_POLICY),
        "(boundary-)?gameday",
        "BreakTargets",
        "Resource",
        rf"arn:aws:(ecs|rds|ec2):{_REGION_AND_ACCOUNT}:\*",
        reason="a condition on the target's tag decides; ids of targets change with every "
        "deployment",
        condition="aws:resourcetag/",
    ),
    *_listed(
        (_POLICY, _ROLE_POLICY),
        "(boundary-)?gameday",
        "WatchStopConditions",
        "Resource",
        rf"arn:aws:cloudwatch:{_REGION_AND_ACCOUNT}:alarm:seawall-\*",
        reason="it reads the stack's own alarms and changes none",
    ),
    *_listed(
        (_POLICY, _ROLE_POLICY),
        "(boundary-)?fault",
        "DenySigners",
        "Resource",
        r"arn:aws:iam::\d{12}:role/seawall-[a-z0-9-]+-signer-\*",
        reason="the signers' roles and no others are called so; listed one by one, those of fifty "
        "wallets would not fit into a managed policy (IAM quotas); a condition demands that the "
        "signers' boundary bounds the role",
        condition="iam:permissionsboundary",
    ),
    *_listed(
        (_POLICY, _ROLE_POLICY),
        "(boundary-)?audit",
        "LookUpEvents",
        "Resource",
        _STAR,
        reason="cloudtrail:LookupEvents only reads, and knows no resource (service authorization "
        "reference, AWS CloudTrail)",
        without_resources=True,
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

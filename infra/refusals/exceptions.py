"""Wildcards, and policies that AWS owns, that are allowed, each with its reason; everything else is refused by ``identity``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Element = Literal["Action", "Resource", "Principal", "ManagedPolicy"]


@dataclass(frozen=True, kw_only=True)
class Listed:
    """Lets ``pattern`` stand in ``element`` of statements whose Sid matches ``sid``, in resources of ``kind`` whose name matches ``name``.

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
        return (self.kind, self.element) == (kind, element) and all(re.fullmatch(want, text) for want, text in texts)


_KEY, _REPLICA = "aws:kms/key:Key", "aws:kms/replicaKey:ReplicaKey"
_POLICY, _ROLE_POLICY, _ATTACHED = (
    "aws:iam/policy:Policy",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
)
_ANY = ".*"
_STAR = r"\*"
_REGION_AND_ACCOUNT = r"[a-z0-9-]+:\d{12}"


def _listed(
    kinds: tuple[str, ...], name: str, sid: str, element: Element, pattern: str, *, reason: str
) -> list[Listed]:
    return [Listed(kind=kind, name=name, sid=sid, element=element, pattern=pattern, reason=reason) for kind in kinds]


EXCEPTIONS: tuple[Listed, ...] = (
    *(
        Listed(
            kind=kind, name=".*", sid=".*", element="Resource", pattern=r"\*",
            reason="in a key's policy * means the key itself (KMS developer guide, Key policies, Resource)",
        )
        for kind in _KEY_KINDS
    ),
    Listed(
        kind="aws:secretsmanager/secret:Secret", name=".*", sid=".*", element="Resource", pattern=r"\*",
        reason="in a secret's policy * means the secret itself (Secrets Manager user guide, Resource-based policies)",
    ),
    Listed(
        kind="aws:iam/policy:Policy", name="boundary-(signer|admin|break-glass|approver)", sid="KeysWhosePolicyAgrees",
        element="Resource", pattern=r"arn:aws:kms:[a-z0-9-]+:\d{12}:key/\*",
        reason="a boundary allows nothing by itself, and the ids of keys are not known before they are made; each key's policy names who may",
    ),
    *(
        Listed(kind=kind, name=name, sid=sid, element="Resource", pattern=pattern, reason=reason)
        for names, sid, pattern, reason in (
            ("kit|replication|gameday", "Read|ReadVersions|WriteCopies|KeepEvidence", r"arn:aws:s3:::seawall-[a-z0-9-]+/(runs/)?\*", "the objects of one bucket of ours"),
            ("kit", "Decrypt", r"arn:aws:kms:[a-z0-9-]+:\d{12}:key/\*", "a boundary, as above; the role's own policy names the keys"),
            ("backup", "SnapshotDatabases", r"arn:aws:rds:[a-z0-9-]+:\d{12}:(db|cluster|(cluster-)?snapshot:awsbackup):\*", "the selection is by tag, and databases are not made here"),
            ("backup", "FindDatabases", r"\*", "actions that only look and know no resource (Service authorization reference, Amazon RDS and Resource Groups Tagging)"),
            ("backup", "UseKeysOfDatabases", r"arn:aws:kms:[a-z0-9-]+:\d{12}:key/\*", "the databases' keys are not made here; a condition lets RDS alone use them"),
            ("gameday", "BreakTargets", r"arn:aws:(ecs|rds|ec2):[a-z0-9-]+:\d{12}:\*", "targets are not made here; a condition asks for their tag"),
            ("gameday", "WatchStopConditions", r"arn:aws:cloudwatch:[a-z0-9-]+:\d{12}:alarm:seawall-\*", "all alarms of ours"),
            ("gameday-scheduler", "RunGameDays", r"arn:aws:ecs:[a-z0-9-]+:\d{12}:task-definition/seawall-[a-z0-9-]+:\*", "each revision of our own task"),
            ("gameday-execution", "LogInToRegistry", r"\*", "ecr:GetAuthorizationToken knows no resource (Service authorization reference, Amazon ECR)"),
        )
        for kind, name in (("aws:iam/rolePolicy:RolePolicy", names), ("aws:iam/policy:Policy", f"boundary-({names})"))
    ),
)  # fmt: skip

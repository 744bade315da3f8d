"""What a game day may do, and who starts it.

Every permission names what it is for, and reaches tagged targets only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from infra.documents import Statement
from seawall.conventions import aws
from seawall.errors import UsageError

_FAULTS = [
    "ecs:StopTask",
    "rds:FailoverDBCluster",
    "rds:RebootDBInstance",
    "ec2:StopInstances",
    "ec2:StartInstances",
]
"""What a drill may break, or mend.

Each of these knows aws:ResourceTag (Service authorization reference, condition keys of each
action).
"""
_ECR_IMAGE = re.compile(
    r"^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com/([a-z0-9._/-]+)@sha256:[0-9a-f]{64}$"
)
_NEVER = ["iam:*", "sts:AssumeRole", "kms:*", "secretsmanager:*", "organizations:*"]
"""No drill touches keys, credentials or permissions, whatever else it is allowed one day."""


def running(*, account: str, regions: Sequence[str], switch: str, evidence: str) -> list[Statement]:
    """What the runner of game days may do.

    Read the kill switch, break what is tagged as a target, watch alarms, keep evidence.
    """
    parameters = [f"arn:aws:ssm:{region}:{account}:parameter{switch}" for region in regions]
    alarms = [f"arn:aws:cloudwatch:{region}:{account}:alarm:{aws.PREFIX}-*" for region in regions]
    return [
        {
            "Sid": "ReadKillSwitch",
            "Effect": "Allow",
            "Action": ["ssm:GetParameter"],
            "Resource": parameters,
        },
        {
            "Sid": "BreakTargets",
            "Effect": "Allow",
            "Action": _FAULTS,
            "Resource": [
                f"arn:aws:{service}:{region}:{account}:*"
                for service in ("ecs", "rds", "ec2")
                for region in regions
            ],
            "Condition": {
                "StringEquals": {f"aws:ResourceTag/{aws.GAMEDAY_TAG}": aws.GAMEDAY_TARGET}
            },
        },
        {
            "Sid": "WatchStopConditions",
            "Effect": "Allow",
            "Action": ["cloudwatch:DescribeAlarms"],
            "Resource": alarms,
        },
        {
            "Sid": "KeepEvidence",
            "Effect": "Allow",
            "Action": ["s3:PutObject"],
            "Resource": f"arn:aws:s3:::{evidence}/runs/*",
        },
    ]


def never() -> Statement:
    """The statement of the runner's boundary that no permission gets past."""
    return {"Sid": "NeverKeysOrPermissions", "Effect": "Deny", "Action": _NEVER, "Resource": "*"}


def starting(*, cluster: str, task: str, roles: Sequence[str]) -> list[Statement]:
    """What the scheduler may do.

    Run the one task in the one cluster, and hand the task its two roles.
    """
    return [
        {
            "Sid": "RunGameDays",
            "Effect": "Allow",
            "Action": ["ecs:RunTask"],
            "Resource": task,
            "Condition": {"ArnEquals": {"ecs:cluster": cluster}},
        },
        {
            "Sid": "HandOverRoles",
            "Effect": "Allow",
            "Action": ["iam:PassRole"],
            "Resource": list(roles),
            "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        },
    ]


def pulling(image: str) -> list[Statement]:
    """What ECS may do before the task runs: fetch the one image.

    Raises :class:`UsageError` for an image that is not kept in ECR.

    ``ecr:GetAuthorizationToken`` knows no resource (Service authorization reference, Amazon ECR).
    """
    match = _ECR_IMAGE.match(image)
    if match is None:
        message = f"the image of seawall:runner is {image!r}"
        raise UsageError(
            message,
            remedy="keep it in ECR and name it with its digest: <account>.dkr.ecr.<region>.amazonaws.com/<name>@sha256:...",
        )
    account, region, name = match.groups()
    return [
        {
            "Sid": "LogInToRegistry",
            "Effect": "Allow",
            "Action": ["ecr:GetAuthorizationToken"],
            "Resource": "*",
        },
        {
            "Sid": "PullImage",
            "Effect": "Allow",
            "Action": [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
            ],
            "Resource": f"arn:aws:ecr:{region}:{account}:repository/{name}",
        },
    ]


def trust(service: str, *, account: str, people: str | None = None) -> list[Statement]:
    """Who may take a role.

    ``service`` on behalf of this account, and ``people`` (an ARN), who run drills by hand.
    """
    statements: list[Statement] = [
        {
            "Sid": "Serve",
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": service},
            "Condition": {"StringEquals": {"aws:SourceAccount": account}},
        }
    ]
    if people is not None:
        statements.append(
            {
                "Sid": "ByHand",
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"AWS": people},
            }
        )
    return statements

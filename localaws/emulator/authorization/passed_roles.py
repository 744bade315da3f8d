"""What a call needs besides its own action, for roles that it passes on and tags that it sets.

iam:PassRole for a role that is handed to a service:
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html, which also says for
which service the key iam:PassedToService stands. Tags on what is created: "Dependent actions" in
https://docs.aws.amazon.com/service-authorization/latest/reference/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from moto.iam.models import iam_backends

from localaws.emulator.authorization.call import ApiCall
from localaws.emulator.authorization.resources.requested import RequestedResource

_PASSED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "scheduler:CreateSchedule": (("Target.RoleArn", "scheduler"),),
    "scheduler:UpdateSchedule": (("Target.RoleArn", "scheduler"),),
    "events:PutTargets": (("Targets.RoleArn", "events"),),
    "events:PutRule": (("RoleArn", "events"),),
    "backup:CreateBackupSelection": (("BackupSelection.IamRoleArn", "backup"),),
    "backup:StartBackupJob": (("IamRoleArn", "backup"),),
    "backup:StartRestoreJob": (("IamRoleArn", "backup"),),
    "ecs:RegisterTaskDefinition": (("taskRoleArn", "ecs-tasks"), ("executionRoleArn", "ecs-tasks")),
    "cloudtrail:CreateTrail": (("CloudWatchLogsRoleArn", "cloudtrail"),),
    "cloudtrail:UpdateTrail": (("CloudWatchLogsRoleArn", "cloudtrail"),),
    "logs:PutSubscriptionFilter": (("roleArn", "logs"),),
    "fis:CreateExperimentTemplate": (("roleArn", "fis"),),
    "fis:UpdateExperimentTemplate": (("roleArn", "fis"),),
    "lambda:CreateFunction": (("Role", "lambda"),),
    "iam:AddRoleToInstanceProfile": (("RoleName", "ec2"),),
}
_TAGGING = {
    "kms": "TagResource",
    "sns": "TagResource",
    "sqs": "TagQueue",
    "secretsmanager": "TagResource",
    "events": "TagResource",
    "scheduler": "TagResource",
    "ssm": "AddTagsToResource",
    "cloudwatch": "TagResource",
    "logs": "TagResource",
    "backup": "TagResource",
    "aps": "TagResource",
    "cloudtrail": "AddTags",
    "ecs": "TagResource",
    "fis": "TagResource",
}
_TAGGING_IDENTITIES = {
    "CreateRole": "TagRole",
    "CreateUser": "TagUser",
    "CreatePolicy": "TagPolicy",
}
_CREATING = ("Create", "Put", "Register", "Replicate")


def passed_roles(call: ApiCall) -> Iterator[RequestedResource]:
    """Yield every role that ``call`` hands to a service, as something that must be allowed."""
    for path, service in _PASSED.get(call.action, ()):
        for given in call.values(path):
            yield pass_role(call, given, service)


def pass_role(call: ApiCall, given: str, service: str) -> RequestedResource:
    """The role ``given`` by ARN or name, to be passed to ``service``."""
    account: Any = iam_backends[call.account][call.partition]
    role = next((one for one in account.roles.values() if given in (one.arn, one.name)), None)
    arn = given if given.startswith("arn:") else role.arn if role is not None else None
    return RequestedResource(
        arn=arn or call.arn("iam::{account}:role/{value}", given),
        action="iam:PassRole",
        tags=lambda: (
            {tag["Key"]: tag["Value"] for tag in role.tags or []} if role is not None else {}
        ),
        context={"iam:passedtoservice": f"{service}.amazonaws.com"},
    )


def tagged(call: ApiCall, asked: tuple[RequestedResource, ...]) -> Iterator[RequestedResource]:
    """Yield what ``call`` creates with tags, as something that must be allowed to be tagged."""
    creating = call.service != "s3" and call.operation.startswith(_CREATING)
    if not creating or not call.request_tags:
        return
    operation = (
        _TAGGING_IDENTITIES.get(call.operation)
        if call.service == "iam"
        else _TAGGING.get(call.service)
    )
    if operation is not None:
        for one in asked:
            if one.action is None:
                yield replace(one, action=f"{call.service}:{operation}", policy=None)

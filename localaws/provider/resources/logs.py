"""CloudWatch Logs: log groups.

Declared: their events are stored, but nothing expires and nothing is encrypted.

After the upstream provider (its resource aws_cloudwatch_log_group) the name and the class replace;
the id, also for `pulumi import`, is the name.
"""

from __future__ import annotations

from typing import Any

from localaws.provider.clients import Aws
from localaws.provider.table import Property, ResourceType, unfinished
from localaws.provider.tagging import Tagging
from localaws.provider.values import Properties, from_aws, to_aws

_TAGGING = Tagging(service="logs", resource="resourceArn", tags="tags", keys="tagKeys", pair=None)
_MADE_WITH = {"name": "logGroupName", "kmsKeyId": "kmsKeyId", "logGroupClass": "logGroupClass"}
_TOLD = {**_MADE_WITH, "retentionInDays": "retentionInDays"}


def _create(aws: Aws, inputs: Properties) -> str:
    aws.logs.create_log_group(**to_aws(_MADE_WITH, inputs), **_TAGGING.argument(inputs.get("tags")))
    name = str(inputs["name"])
    with unfinished(name):
        _set_retention(aws, name, inputs.get("retentionInDays"))
    return name


def _set_retention(aws: Aws, name: str, days: int | None) -> None:
    if days:  # 0 means for ever, as in the upstream provider
        aws.logs.put_retention_policy(logGroupName=name, retentionInDays=days)
    else:
        aws.logs.delete_retention_policy(logGroupName=name)


def _read(aws: Aws, name: str) -> Properties | None:
    pages = aws.logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
    found: Any = next(
        (each for page in pages for each in page["logGroups"] if each["logGroupName"] == name), None
    )
    if found is None:
        return None
    return {"retentionInDays": 0, **from_aws(_TOLD, found), "arn": found["arn"].removesuffix(":*")}


def _update(aws: Aws, name: str, old: Properties, new: Properties) -> None:
    if old.get("retentionInDays") != new.get("retentionInDays"):
        _set_retention(aws, name, new.get("retentionInDays"))
    if old.get("kmsKeyId") == new.get("kmsKeyId"):
        return
    if new.get("kmsKeyId"):
        aws.logs.associate_kms_key(logGroupName=name, kmsKeyId=new["kmsKeyId"])
    else:
        aws.logs.disassociate_kms_key(logGroupName=name)


def _delete(aws: Aws, name: str, properties: Properties) -> None:
    if not properties.get("skipDestroy"):
        aws.logs.delete_log_group(logGroupName=name)


LOG_GROUP = ResourceType(
    kind="aws:cloudwatch/logGroup:LogGroup",
    acts=False,
    inputs={
        "name": Property(required=True, replaces=True),
        "retentionInDays": Property(default=0),
        "kmsKeyId": Property(),
        "logGroupClass": Property(replaces=True, computed=True),
        "skipDestroy": Property(local=True),
    },
    outputs=("arn",),
    create=_create,
    read=_read,
    update=_update,
    delete=_delete,
    named_by="name",
    tagging=_TAGGING,
)

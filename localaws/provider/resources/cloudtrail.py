"""CloudTrail: trails. They act on events only (see ``localaws.emulator.services.cloudtrail``).

No log file is written anywhere.

Only `name` forces a new resource in the upstream provider (its resource aws_cloudtrail); the id,
also for `pulumi import`, is the ARN.
"""

from __future__ import annotations

from typing import Any

from localaws.provider.clients import Aws
from localaws.provider.sameness import same_with_defaults
from localaws.provider.table import Property, ResourceType, unfinished
from localaws.provider.tagging import tag_map, tag_pairs
from localaws.provider.values import Properties, from_aws, given, lower_names, to_aws, upper_names

_FIELDS = {
    "name": "Name",
    "s3BucketName": "S3BucketName",
    "s3KeyPrefix": "S3KeyPrefix",
    "snsTopicName": "SnsTopicName",
    "includeGlobalServiceEvents": "IncludeGlobalServiceEvents",
    "isMultiRegionTrail": "IsMultiRegionTrail",
    "cloudWatchLogsGroupArn": "CloudWatchLogsLogGroupArn",
    "cloudWatchLogsRoleArn": "CloudWatchLogsRoleArn",
    "kmsKeyId": "KmsKeyId",
}
"""Properties that CloudTrail answers with under the name by which it takes them."""
_CLEARED_BY_EMPTY = (
    "s3KeyPrefix",
    "snsTopicName",
    "cloudWatchLogsGroupArn",
    "cloudWatchLogsRoleArn",
    "kmsKeyId",
)
"""Optional texts: UpdateTrail leaves what is not given as it is, so an empty one takes them away.
"""
_DEFAULT_SELECTOR = {"readWriteType": "All", "includeManagementEvents": True}
"""What a selector means that does not say so (API reference, EventSelector)."""

_filled_the_same = same_with_defaults(**_DEFAULT_SELECTOR)


def _same_selectors(one: Any, other: Any) -> bool:
    """A trail without selectors logs what the default one says."""
    return _filled_the_same(one or [_DEFAULT_SELECTOR], other or [_DEFAULT_SELECTOR])


def _fields(inputs: Properties) -> dict[str, object]:
    return {
        **to_aws(_FIELDS, inputs),
        **given(EnableLogFileValidation=inputs.get("enableLogFileValidation")),
    }


def _create_trail(aws: Aws, inputs: Properties) -> str:
    trail = aws.cloudtrail.create_trail(TagsList=tag_pairs(inputs.get("tags")), **_fields(inputs))
    arn = str(trail["TrailARN"])
    with unfinished(arn):
        _put_selectors(aws, arn, inputs)
        _set_logging(aws, arn, wanted=inputs["enableLogging"])
    return arn


def _put_selectors(aws: Aws, arn: str, inputs: Properties) -> None:
    if inputs.get("advancedEventSelectors"):
        selectors = upper_names(inputs["advancedEventSelectors"])
        aws.cloudtrail.put_event_selectors(TrailName=arn, AdvancedEventSelectors=selectors)
    elif inputs.get("eventSelectors"):
        selectors = [
            upper_names({**_DEFAULT_SELECTOR, **each}) for each in inputs["eventSelectors"]
        ]
        aws.cloudtrail.put_event_selectors(TrailName=arn, EventSelectors=selectors)


def _set_logging(aws: Aws, arn: str, *, wanted: bool) -> None:
    if bool(aws.cloudtrail.get_trail_status(Name=arn)["IsLogging"]) != wanted:
        (aws.cloudtrail.start_logging if wanted else aws.cloudtrail.stop_logging)(Name=arn)


def _read_trail(aws: Aws, arn: str) -> Properties:
    trail = aws.cloudtrail.get_trail(Name=arn)["Trail"]
    selectors = aws.cloudtrail.get_event_selectors(TrailName=arn)
    status = aws.cloudtrail.get_trail_status(Name=arn)
    found, basic = from_aws(_FIELDS, trail), lower_names(selectors.get("EventSelectors", []))
    return {
        **{name: value for name, value in found.items() if value or name not in _CLEARED_BY_EMPTY},
        "arn": arn,
        "homeRegion": trail.get("HomeRegion", arn.split(":")[3]),
        "enableLogging": status["IsLogging"],
        "enableLogFileValidation": trail["LogFileValidationEnabled"],
        "snsTopicArn": trail.get("SnsTopicARN"),
        "eventSelectors": [] if _same_selectors(basic, []) else basic,
        "advancedEventSelectors": lower_names(selectors.get("AdvancedEventSelectors", [])),
        "tags": tag_map(
            aws.cloudtrail.list_tags(ResourceIdList=[arn])["ResourceTagList"][0]["TagsList"]
        ),
    }


def _update_trail(aws: Aws, arn: str, old: Properties, new: Properties) -> None:
    cleared = {
        _FIELDS[name]: "" for name in _CLEARED_BY_EMPTY if old.get(name) and not new.get(name)
    }
    aws.cloudtrail.update_trail(**{**_fields(new), "Name": arn, **cleared})
    if new.get("eventSelectors") or new.get("advancedEventSelectors"):
        _put_selectors(aws, arn, new)
    # back to what every new trail logs
    elif old.get("eventSelectors") or old.get("advancedEventSelectors"):
        _put_selectors(aws, arn, {"eventSelectors": [_DEFAULT_SELECTOR]})
    _set_logging(aws, arn, wanted=new["enableLogging"])
    had, wanted = old.get("tags") or {}, new.get("tags") or {}
    gone = {name: value for name, value in had.items() if name not in wanted}
    if gone:
        aws.cloudtrail.remove_tags(ResourceId=arn, TagsList=tag_pairs(gone))
    if wanted != had and wanted:
        aws.cloudtrail.add_tags(ResourceId=arn, TagsList=tag_pairs(wanted))


TRAIL = ResourceType(
    kind="aws:cloudtrail/trail:Trail",
    acts=True,
    inputs={
        **{name: Property(required=name == "s3BucketName") for name in _FIELDS},
        "name": Property(required=True, replaces=True),
        "includeGlobalServiceEvents": Property(default=True),
        "isMultiRegionTrail": Property(default=False),
        "enableLogFileValidation": Property(default=False),
        "enableLogging": Property(default=True),
        "eventSelectors": Property(same=_same_selectors),
        "advancedEventSelectors": Property(),
        "tags": Property(),
    },
    outputs=("arn", "homeRegion", "snsTopicArn"),
    create=_create_trail,
    read=_read_trail,
    update=_update_trail,
    delete=lambda aws, arn, _properties: aws.cloudtrail.delete_trail(Name=arn.rpartition("/")[2]),
    named_by="name",
    gone=frozenset({"TrailNotFoundException"}),
)

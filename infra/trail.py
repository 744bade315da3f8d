"""The trail of changes of keys, and the pages about them.

One trail covers all regions; in each region a rule pages for changes of keys. EventBridge sees the
API calls that a trail records ("AWS API Call via CloudTrail"; EventBridge user guide, AWS service
events via CloudTrail) in the region in which they were made, so both regions have a rule. The rule
is about every key of the account, because the key that matters may be one that was not expected.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.bucket import BucketArgs, LockedBucket, deny_removal
from infra.documents import Statement, document
from seawall.conventions import aws as aws_names
from seawall.keys import access
from seawall.policy import Policy

KEY_CHANGES = (
    "DisableKey",
    "EnableKey",
    "ScheduleKeyDeletion",
    "CancelKeyDeletion",
    "PutKeyPolicy",
    "CreateGrant",
    "CreateAlias",
    "UpdateAlias",
    "DeleteAlias",
    "UpdatePrimaryRegion",
)
"""Calls that page: each stops a signer, lets another principal sign, or renames a key.

KMS API reference.
"""
_DAY_MS = 86_400_000
_QUEUE_KEEPS_S = 14 * 86_400
"""The longest that SQS keeps a message (API reference, CreateQueue, MessageRetentionPeriod)."""


@dataclass(frozen=True, kw_only=True)
class KeyTrailArgs:
    """The inputs of a :class:`KeyTrail`.

    Args:
        topics: ARN by region of the topic that a change of a key pages.
        lock_mode: of the log files, GOVERNANCE or COMPLIANCE.
        remover: ARN of the principal that may remove the log files of a disposable stack; None in a
            protected stack, where none may.
    """

    policy: Policy
    account: str
    topics: Mapping[str, pulumi.Input[str]]
    lock_mode: str
    remover: str | None
    tags: Mapping[str, str]


class KeyTrail(pulumi.ComponentResource):
    """A trail into a locked bucket, rules that page, and queues that keep every event.

    The bucket is in the standby region, because it must be readable when the primary is not.

    Attributes:
        outputs: the trail's ARN, its bucket, queues by region.
    """

    outputs: dict[str, Any]

    def __init__(self, name: str, args: KeyTrailArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("seawall:infra:KeyTrail", name, None, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        venue, home = args.policy.venue.name, args.policy.regions.standby
        called, bucket_name = aws_names.trail(venue), aws_names.trail_bucket(venue, args.account)
        arn = f"arn:aws:cloudtrail:{home}:{args.account}:trail/{called}"
        bucket = LockedBucket(
            name,
            BucketArgs(
                bucket=bucket_name,
                region=home,
                retention_days=-(-args.policy.backup.evidence_keep // _DAY_MS),
                lock_mode=args.lock_mode,
                protect=args.remover is None,
                statements=[
                    *deny_removal(f"arn:aws:s3:::{bucket_name}", unless=args.remover),
                    *_cloudtrail_writes(bucket_name, account=args.account, trail=arn),
                ],
                tags=args.tags,
            ),
            self._child,
        )
        trail = aws.cloudtrail.Trail(
            name,
            region=home,
            name=called,
            s3_bucket_name=bucket.bucket,
            is_multi_region_trail=True,
            include_global_service_events=True,
            enable_log_file_validation=True,
            enable_logging=True,
            tags=args.tags,
            opts=pulumi.ResourceOptions(
                parent=self, protect=args.remover is None, depends_on=bucket.ready
            ),
        )
        queues = {region: self._watch(region, called) for region in access.regions(args.policy)}
        self.outputs = {"arn": trail.arn, "bucket": bucket.bucket, "queues": queues}
        self.register_outputs(self.outputs)

    def _watch(self, region: str, called: str) -> dict[str, pulumi.Output[str]]:
        """The rule of ``region``, with people and a queue as its targets."""
        args = self._args
        logical = f"key-changes-{region}"
        rule_arn = f"arn:aws:events:{region}:{args.account}:rule/{called}"
        rule = aws.cloudwatch.EventRule(
            logical,
            region=region,
            name=called,
            description=f"Changes of keys in {region}",
            event_pattern=json.dumps(
                {
                    "source": ["aws.kms"],
                    "detail-type": ["AWS API Call via CloudTrail"],
                    "detail": {
                        "eventSource": ["kms.amazonaws.com"],
                        "eventName": list(KEY_CHANGES),
                    },
                }
            ),
            tags=args.tags,
            opts=self._child,
        )
        queue = aws.sqs.Queue(
            logical,
            region=region,
            name=called,
            sqs_managed_sse_enabled=True,
            message_retention_seconds=_QUEUE_KEEPS_S,
            policy=_rule_sends(
                f"arn:aws:sqs:{region}:{args.account}:{called}", rule_arn, account=args.account
            ),
            tags=args.tags,
            opts=self._child,
        )
        aws.cloudwatch.EventTarget(
            logical,
            region=region,
            rule=rule.name,
            target_id="page",
            arn=args.topics[region],
            input_transformer=aws.cloudwatch.EventTargetInputTransformerArgs(
                input_paths={
                    "what": "$.detail.eventName",
                    "who": "$.detail.userIdentity.arn",
                    "where": "$.detail.awsRegion",
                    "when": "$.detail.eventTime",
                },
                input_template=(
                    '"<what> on a key in <where> by <who> at <when>.'
                    ' If nobody announced it, stop that signer at the signer."'
                ),
            ),
            opts=self._child,
        )
        aws.cloudwatch.EventTarget(
            f"{logical}-kept",
            region=region,
            rule=rule.name,
            target_id="keep",
            arn=queue.arn,
            opts=self._child,
        )
        return {"url": queue.url, "arn": queue.arn}


def _cloudtrail_writes(bucket: str, *, account: str, trail: str) -> list[Statement]:
    """CloudTrail user guide, "Amazon S3 bucket policy for CloudTrail": for this trail alone."""
    common: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudtrail.amazonaws.com"},
    }
    ours = {"aws:SourceArn": trail}
    return [
        {
            **common,
            "Sid": "CloudTrailLooks",
            "Action": ["s3:GetBucketAcl"],
            "Resource": f"arn:aws:s3:::{bucket}",
            "Condition": {"StringEquals": ours},
        },
        {
            **common,
            "Sid": "CloudTrailWrites",
            "Action": ["s3:PutObject"],
            "Resource": f"arn:aws:s3:::{bucket}/AWSLogs/{account}/*",
            "Condition": {"StringEquals": {**ours, "s3:x-amz-acl": "bucket-owner-full-control"}},
        },
    ]


def _rule_sends(queue: str, rule: str, *, account: str) -> str:
    """The queue's policy: ``rule`` alone may send.

    EventBridge user guide, "Using resource-based policies for Amazon EventBridge", Amazon SQS
    permissions.
    """
    condition = {
        "ArnEquals": {"aws:SourceArn": rule},
        "StringEquals": {"aws:SourceAccount": account},
    }
    return document(
        {
            "Sid": "KeyChanges",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": ["sqs:SendMessage"],
            "Resource": queue,
            "Condition": condition,
        }
    )

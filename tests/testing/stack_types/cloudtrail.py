"""Examples of the resource types of CloudTrail."""

from __future__ import annotations

from tests.testing.stack_types.example import Example
from tests.testing.stack_types.sns import TOPIC_NEEDED

BUCKET_NEEDED = ("aws:s3/bucket:Bucket", {"bucket": "seawall-trail-logs", "forceDestroy": True})

EXAMPLES: dict[str, Example] = {
    "aws:cloudtrail/trail:Trail": Example(
        inputs={
            "name": "seawall-thing",
            "s3BucketName": "$bucket.bucket",
            "s3KeyPrefix": "one",
            "snsTopicName": "seawall-topic",
            "isMultiRegionTrail": True,
            "enableLogFileValidation": True,
            "kmsKeyId": "arn:aws:kms:us-east-1:123456789012:key/one",
            "cloudWatchLogsGroupArn": "arn:aws:logs:us-east-1:123456789012:log-group:one:*",
            "cloudWatchLogsRoleArn": "arn:aws:iam::123456789012:role/seawall-one",
            "eventSelectors": [{"readWriteType": "WriteOnly"}],
            "tags": {"a": "1", "b": "2"},
        },
        changed={
            "s3KeyPrefix": "two",
            "isMultiRegionTrail": False,
            "enableLogFileValidation": False,
            "enableLogging": False,
            "kmsKeyId": "arn:aws:kms:us-east-1:123456789012:key/two",
            "cloudWatchLogsGroupArn": "arn:aws:logs:us-east-1:123456789012:log-group:two:*",
            "cloudWatchLogsRoleArn": "arn:aws:iam::123456789012:role/seawall-two",
            "eventSelectors": [{"readWriteType": "All", "includeManagementEvents": False}],
            "tags": {"a": "3"},
        },
        needs={"bucket": BUCKET_NEEDED, "topic": TOPIC_NEEDED},
    )
}

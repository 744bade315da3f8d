"""Examples of the resource types of S3."""

from __future__ import annotations

from tests.testing.aws_harness import STANDBY
from tests.testing.iam_requests import document
from tests.testing.stack_types.example import Example

BUCKET_NEEDED = (
    "aws:s3/bucket:Bucket",
    {"bucket": "seawall-evidence", "objectLockEnabled": True, "forceDestroy": True},
)
PLAIN_NEEDED = ("aws:s3/bucket:Bucket", {"bucket": "seawall-plain", "forceDestroy": True})
THERE_NEEDED = (
    "aws:s3/bucket:Bucket",
    {"bucket": "seawall-there", "objectLockEnabled": True, "forceDestroy": True, "region": STANDBY},
)
READ_DENIED = {
    "Effect": "Deny",
    "Principal": {"AWS": "arn:aws:iam::123456789012:user/nobody"},
    "Action": "s3:GetObject",
}
REPLICATES_ALL = {
    "id": "all",
    "priority": 1,
    "status": "Enabled",
    "filter": {},
    "deleteMarkerReplication": {"status": "Enabled"},
    "destination": {
        "bucket": "$there.arn",
        "storageClass": "STANDARD_IA",
        "encryptionConfiguration": {
            "replicaKmsKeyId": "arn:aws:kms:us-west-2:123456789012:key/all"
        },
    },
    "sourceSelectionCriteria": {
        "sseKmsEncryptedObjects": {"status": "Enabled"},
        "replicaModifications": {"status": "Disabled"},
    },
}
REPLICATES_SOME = {
    "id": "some",
    "priority": 2,
    "status": "Disabled",
    "filter": {"and": {"prefix": "journal/", "tags": {"kind": "order"}}},
    "deleteMarkerReplication": {"status": "Disabled"},
    "destination": {
        "bucket": "$there.arn",
        "encryptionConfiguration": {"replicaKmsKeyId": "arn:aws:kms:us-west-2:123456789012:key/x"},
        "metrics": {"status": "Enabled", "eventThreshold": {"minutes": 15}},
        "replicationTime": {"status": "Enabled", "time": {"minutes": 15}},
    },
}

_ENCRYPTION = (
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
)
EXAMPLES: dict[str, Example] = {
    "aws:s3/bucket:Bucket": Example(
        inputs={"bucket": "seawall-thing", "forceDestroy": True, "tags": {"a": "1"}},
        changed={"tags": {"b": "2"}},
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Example(
        inputs={"bucket": "$bucket.bucket", "versioningConfiguration": {"status": "Enabled"}},
        needs={"bucket": BUCKET_NEEDED},
        stays=True,
    ),
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": Example(
        inputs={
            "bucket": "$bucket.bucket",
            "rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 1}},
        },
        changed={"rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 2}}},
        needs={"bucket": BUCKET_NEEDED},
    ),
    _ENCRYPTION: Example(
        inputs={
            "bucket": "$bucket.bucket",
            "rules": [
                {
                    "applyServerSideEncryptionByDefault": {
                        "sseAlgorithm": "aws:kms",
                        "kmsMasterKeyId": "$key.arn",
                    },
                    "bucketKeyEnabled": True,
                }
            ],
        },
        changed={"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
        needs={"bucket": PLAIN_NEEDED, "key": ("aws:kms/key:Key", {})},
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Example(
        inputs={
            "bucket": "$bucket.bucket",
            "blockPublicAcls": True,
            "ignorePublicAcls": True,
            "skipDestroy": False,
        },
        changed={
            "blockPublicPolicy": True,
            "restrictPublicBuckets": True,
            "ignorePublicAcls": False,
        },
        needs={"bucket": PLAIN_NEEDED},
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": Example(
        inputs={"bucket": "$bucket.bucket", "rule": {"objectOwnership": "BucketOwnerPreferred"}},
        changed={"rule": {"objectOwnership": "BucketOwnerEnforced"}},
        needs={"bucket": PLAIN_NEEDED},
    ),
    "aws:s3/bucketPolicy:BucketPolicy": Example(
        inputs={
            "bucket": "$bucket.bucket",
            "policy": document({**READ_DENIED, "Resource": "arn:aws:s3:::seawall-plain/a/*"}),
        },
        changed={"policy": document({**READ_DENIED, "Resource": "arn:aws:s3:::seawall-plain/b/*"})},
        needs={"bucket": PLAIN_NEEDED},
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Example(
        inputs={
            "bucket": "$bucket.bucket",
            "rules": [
                {
                    "id": "age",
                    "status": "Enabled",
                    "filter": {"prefix": "journal/"},
                    "expiration": {"days": 400},
                    "transitions": [{"days": 30, "storageClass": "GLACIER"}],
                    "noncurrentVersionExpiration": {
                        "noncurrentDays": 90,
                        "newerNoncurrentVersions": 3,
                    },
                    "noncurrentVersionTransitions": [
                        {"noncurrentDays": 30, "storageClass": "GLACIER"}
                    ],
                    "abortIncompleteMultipartUpload": {"daysAfterInitiation": 3},
                },
                {
                    "id": "big",
                    "status": "Disabled",
                    "filter": {
                        "and": {
                            "prefix": "dump/",
                            "tags": {"kind": "dump"},
                            "objectSizeGreaterThan": 1024,
                        }
                    },
                    "expiration": {"expiredObjectDeleteMarker": True},
                },
                {
                    "id": "date",
                    "status": "Enabled",
                    "filter": {"tag": {"key": "kind", "value": "old"}},
                    "expiration": {"date": "2040-01-01T00:00:00Z"},
                },
            ],
        },
        changed={
            "rules": [
                {
                    "id": "all",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "expiration": {"days": 800},
                }
            ]
        },
        needs={"bucket": PLAIN_NEEDED},
    ),
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": Example(
        inputs={
            "bucket": "$bucket.bucket",
            "role": "arn:aws:iam::123456789012:role/seawall-replication",
            "rules": [REPLICATES_ALL, REPLICATES_SOME],
        },
        changed={"rules": [{**REPLICATES_ALL, "status": "Disabled"}]},
        needs={"bucket": BUCKET_NEEDED, "there": THERE_NEEDED},
    ),
    "aws:s3/bucketObjectv2:BucketObjectv2": Example(
        inputs={
            "bucket": "$bucket.bucket",
            "key": "kit/runbook.md",
            "content": "first",
            "contentType": "text/markdown",
            "checksumAlgorithm": "SHA256",
            "serverSideEncryption": "aws:kms",
            "kmsKeyId": "$key.arn",
            "metadata": {"digest": "a"},
            "objectLockMode": "GOVERNANCE",
            "objectLockRetainUntilDate": "2040-01-01T00:00:00Z",
            "forceDestroy": True,
            "tags": {"a": "1"},
        },
        changed={
            "content": "second",
            "contentType": "text/plain",
            "cacheControl": "no-store",
            "metadata": {"digest": "b"},
            "objectLockRetainUntilDate": "2041-01-01T00:00:00Z",
            "tags": {"b": "2"},
        },
        needs={"bucket": BUCKET_NEEDED, "key": ("aws:kms/key:Key", {})},
    ),
}

from __future__ import annotations

from tests.integration.stack_types.example import Example

BUCKET_NEEDED = (
    "aws:s3/bucket:Bucket",
    {"bucket": "seawall-evidence", "objectLockEnabled": True, "forceDestroy": True},
)

EXAMPLES: dict[str, Example] = {
    "aws:s3/bucket:Bucket": Example(
        inputs={"bucket": "seawall-thing", "forceDestroy": True, "tags": {"a": "1"}}, changed={"tags": {"b": "2"}}
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Example(
        inputs={"bucket": "$bucket.bucket", "versioningConfiguration": {"status": "Enabled"}},
        needs={"bucket": BUCKET_NEEDED},
        stays=True,
    ),
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": Example(
        inputs={"bucket": "$bucket.bucket", "rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 1}}},
        changed={"rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 2}}},
        needs={"bucket": BUCKET_NEEDED},
    ),
}

"""S3: buckets, what is set on them, and objects.

In: inputs as Pulumi names them. Out: entries of the provider's table, a module for each kind of
setting. Locks hold and replication acts (``localaws.emulator.services``); a lifecycle is only
declared, for no time passes. What forces a replacement follows upstream
(hashicorp/terraform-provider-aws, internal/service/s3, ForceNew): the bucket, and of an object its
key as well.
"""

from localaws.provider.resources.s3.buckets import BUCKET, BUCKET_OBJECT_LOCK, BUCKET_VERSIONING
from localaws.provider.resources.s3.objects import OBJECT
from localaws.provider.resources.s3.settings import (
    ENCRYPTION,
    LIFECYCLE,
    OWNERSHIP,
    POLICY,
    PUBLIC_ACCESS_BLOCK,
    REPLICATION,
)

RESOURCES = (
    BUCKET,
    BUCKET_VERSIONING,
    BUCKET_OBJECT_LOCK,
    ENCRYPTION,
    PUBLIC_ACCESS_BLOCK,
    OWNERSHIP,
    POLICY,
    LIFECYCLE,
    REPLICATION,
    OBJECT,
)

__all__ = ["RESOURCES"]

"""Every resource type and function that the provider offers; what is not listed is refused by name."""

from __future__ import annotations

from seawall.sandbox.provider import alerting, cloudtrail, eventbridge, iam, kms, s3, secrets, sqs, ssm
from seawall.sandbox.provider.table import Function, ResourceType

RESOURCES: dict[str, ResourceType] = {
    resource.kind: resource
    for resource in (
        kms.KEY,
        kms.REPLICA_KEY,
        kms.ALIAS,
        iam.ROLE,
        iam.ROLE_POLICY,
        iam.POLICY,
        iam.ROLE_POLICY_ATTACHMENT,
        *s3.RESOURCES,
        secrets.SECRET,
        secrets.SECRET_POLICY,
        sqs.QUEUE,
        sqs.QUEUE_POLICY,
        ssm.PARAMETER,
        alerting.TOPIC,
        alerting.TOPIC_SUBSCRIPTION,
        alerting.METRIC_ALARM,
        eventbridge.EVENT_RULE,
        eventbridge.EVENT_TARGET,
        cloudtrail.TRAIL,
    )
}

FUNCTIONS: dict[str, Function] = {function.kind: function for function in (kms.GET_PUBLIC_KEY, iam.GET_CALLER_IDENTITY)}

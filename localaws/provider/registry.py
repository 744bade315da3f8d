"""Every resource type and function that the provider has; any other is refused by name."""

from __future__ import annotations

from localaws.provider.resources import (
    amp,
    backup,
    cloudtrail,
    cloudwatch,
    ecs,
    eventbridge,
    iam,
    kms,
    logs,
    route53,
    s3,
    scheduler,
    secretsmanager,
    sns,
    sqs,
    ssm,
)
from localaws.provider.table import Function, ResourceType

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
        secretsmanager.SECRET,
        secretsmanager.SECRET_POLICY,
        sqs.QUEUE,
        sqs.QUEUE_POLICY,
        ssm.PARAMETER,
        route53.HEALTH_CHECK,
        route53.RECORD,
        route53.ZONE,
        sns.TOPIC,
        sns.TOPIC_POLICY,
        sns.TOPIC_SUBSCRIPTION,
        cloudwatch.METRIC_ALARM,
        cloudwatch.COMPOSITE_ALARM,
        logs.LOG_GROUP,
        eventbridge.EVENT_RULE,
        eventbridge.EVENT_TARGET,
        cloudtrail.TRAIL,
        scheduler.SCHEDULE_GROUP,
        scheduler.SCHEDULE,
        ecs.TASK_DEFINITION,
        backup.VAULT,
        backup.VAULT_POLICY,
        backup.VAULT_LOCK,
        backup.PLAN,
        backup.SELECTION,
        amp.WORKSPACE,
        amp.RULE_GROUP_NAMESPACE,
        amp.ALERT_MANAGER_DEFINITION,
    )
}

FUNCTIONS: dict[str, Function] = {
    function.kind: function
    for function in (kms.GET_PUBLIC_KEY, iam.GET_CALLER_IDENTITY, route53.GET_ZONE)
}

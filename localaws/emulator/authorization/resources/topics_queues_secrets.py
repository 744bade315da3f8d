"""SNS topics, SQS queues and Secrets Manager secrets: their ARNs and the policies that they carry.

https://docs.aws.amazon.com/service-authorization/latest/reference/: list_amazonsns.html,
list_amazonsqs.html, list_awssecretsmanager.html. A new SNS topic has a policy that allows everyone
under a condition on ``AWS:SourceOwner``; the key is absent from calls that no service makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.secretsmanager.models import secretsmanager_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from localaws.emulator.authorization.call import ApiCall
from localaws.emulator.authorization.resources.requested import UNKNOWN, UNSCOPED, RequestedResource
from seawall.iam.request import ResourcePolicy

_ARN_PARTS = 6
"""Parts of a topic's ARN; a subscription's has one more."""


def requested_topics(call: ApiCall) -> Iterator[RequestedResource]:
    """Yield the topic of an action; a subscription is part of its topic."""
    named = next(
        (
            v
            for p in ("TopicArn", "ResourceArn", "TargetArn", "SubscriptionArn")
            if (v := call.value(p))
        ),
        None,
    )
    if named is None and call.operation == "CreateTopic":
        named = call.arn("sns:{region}:{account}:{value}", call.value("Name") or "")
    if named is None:
        yield UNSCOPED if call.operation.startswith(("List", "Get", "Publish")) else UNKNOWN
        return
    arn = ":".join(named.split(":")[:_ARN_PARTS])
    topic = sns_backends[call.account][call.region].topics.get(arn)
    if topic is None:
        yield RequestedResource(arn=arn, tags=UNSCOPED.tags)
    else:
        yield RequestedResource(
            arn=arn,
            policy=_resource_policy(topic.policy),
            tags=lambda: topic._tags,  # noqa: SLF001 - moto's own
        )


def requested_queues(call: ApiCall) -> Iterator[RequestedResource]:
    """Yield the queue of an action, by its URL, its name, or for a move its ARN."""
    url, name, arn = call.value("QueueUrl"), call.value("QueueName"), call.value("SourceArn")
    name = (
        url.rpartition("/")[2]
        if url is not None
        else name or (arn.rpartition(":")[2] if arn else None)
    )
    if name is None:
        yield UNSCOPED if call.operation == "ListQueues" else UNKNOWN
        return
    queue = sqs_backends[call.account][call.region].queues.get(name)
    arn = call.arn("sqs:{region}:{account}:{value}", name)
    if queue is None:
        yield RequestedResource(arn=arn, tags=UNSCOPED.tags)
    else:
        yield RequestedResource(
            arn=arn, policy=_resource_policy(queue.policy), tags=lambda: queue.tags
        )


def requested_secrets(call: ApiCall) -> Iterator[RequestedResource]:
    """Yield the secret of an action, by its name or ARN.

    The ARN of a new one ends in six characters that are not known yet.
    """
    given = call.value("SecretId") or (
        call.value("Name") if call.operation == "CreateSecret" else None
    )
    if given is None:
        yield UNSCOPED if call.operation.startswith(("List", "Get", "BatchGet")) else UNKNOWN
        return
    secret: Any = secretsmanager_backends[call.account][call.region].secrets.get(given)
    if secret is None:
        arn = (
            given
            if given.startswith("arn:")
            else call.arn("secretsmanager:{region}:{account}:secret:{value}-??????", given)
        )
        yield RequestedResource(arn=arn, tags=UNSCOPED.tags)
        return
    source = getattr(secret, "source", secret)
    yield RequestedResource(
        arn=secret.arn,
        policy=_resource_policy(getattr(secret, "policy", None)),
        tags=lambda: {tag["Key"]: tag["Value"] for tag in source.tags or []},
    )


def _resource_policy(document: str | None) -> ResourcePolicy | None:
    return ResourcePolicy(documents=(document,), decisive=False) if document else None

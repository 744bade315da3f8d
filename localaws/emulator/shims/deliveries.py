"""What AWS services send to topics and queues on their own.

Refused as the receiver's policy says, and never an error of the caller.

AWS delivers asynchronously, so that a queue that is gone or closed costs nobody a failed call: what
cannot be delivered goes to the dead-letter queue of the sender, or nowhere (SNS developer guide,
"Amazon SNS dead-letter queues"). moto delivers within the caller's request, asks no policy, and
fails the request. Here topics and queues get it at once; an HTTP endpoint is called by a thread of
its own.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from moto.core.exceptions import ServiceException
from moto.sns.models import Subscription, sns_backends
from moto.sqs.models import sqs_backends
from werkzeug.exceptions import HTTPException

from localaws.emulator.authorization.service_calls import service_may

SNS_SERVICE = "sns.amazonaws.com"
_HTTP_TIMEOUT_S = 15
"""How long SNS waits for an endpoint (SNS developer guide, "Message delivery retries")."""
_log = logging.getLogger("localaws.emulator.deliveries")
_http = ThreadPoolExecutor(max_workers=8, thread_name_prefix="sns-http")


class UndeliveredError(Exception):
    """Why a receiver did not get something.

    ``code`` is one that EventBridge gives for a failed delivery.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def install() -> None:
    """Deliver subscriptions of topics as SNS does."""
    subscription: Any = Subscription
    subscription.publish = _delivered_by_itself(subscription.publish)


def publish(
    *, topic_arn: str, message: str, subject: str | None, service: str, context: Mapping[str, str]
) -> None:
    """Publish for ``service``.

    Raises :class:`UndeliveredError` if there is no such topic or its policy does not let it.
    """
    region, account = topic_arn.split(":")[3:5]
    topic = sns_backends[account][region].topics.get(topic_arn)
    if topic is None:
        raise UndeliveredError("RESOURCE_NOT_FOUND", f"there is no topic {topic_arn}")
    if not service_may(
        topic.policy, service=service, action="sns:Publish", resource=topic_arn, context=context
    ):
        raise UndeliveredError(
            "NO_PERMISSIONS", f"the policy of {topic_arn} does not let {service} publish"
        )
    topic.publish(message, subject=subject)


def send(
    *,
    queue_arn: str,
    body: str,
    service: str,
    context: Mapping[str, str],
    group_id: str | None = None,
    attributes: Mapping[str, str] | None = None,
) -> None:
    """Send for ``service``.

    Raises :class:`UndeliveredError` if there is no such queue or its policy does not let it.
    """
    queue_named(queue_arn, service=service, context=context)
    region, account, name = queue_arn.split(":")[3:6]
    typed = {
        name: {"DataType": "String", "StringValue": text}
        for name, text in (attributes or {}).items()
    }
    try:
        sqs_backends[account][region].send_message(
            name, body, message_attributes=typed or None, group_id=group_id
        )
    except (ServiceException, HTTPException) as error:
        raise UndeliveredError("SDK_CLIENT_ERROR", f"{queue_arn} refused: {error}") from error


def queue_named(queue_arn: str, *, service: str, context: Mapping[str, str]) -> None:
    """Raise :class:`UndeliveredError` unless there is such a queue and its policy lets ``service``
    send to it.
    """
    region, account, name = queue_arn.split(":")[3:6]
    queue = sqs_backends[account][region].queues.get(name)
    if queue is None:
        raise UndeliveredError("RESOURCE_NOT_FOUND", f"there is no queue {queue_arn}")
    if not service_may(
        queue.policy or None,
        service=service,
        action="sqs:SendMessage",
        resource=queue_arn,
        context=context,
    ):
        raise UndeliveredError(
            "NO_PERMISSIONS", f"the policy of {queue_arn} does not let {service} send"
        )


def note(error: UndeliveredError) -> None:
    """Write to the log of this process what was not delivered; AWS counts it in a metric."""
    _log.warning("not delivered: %s: %s", error.code, error)


def _delivered_by_itself(moto_publish: Callable[..., None]) -> Callable[..., None]:
    def deliver(self: Any, message: str, message_id: str, **more: Any) -> None:
        if self._filter_policy_matcher is not None and not self._filter_policy_matcher.matches(
            more.get("message_attributes"), message
        ):
            return
        context = {"aws:SourceArn": self.topic.arn, "aws:SourceAccount": self.account_id}
        if self.protocol in ("http", "https"):
            _http.submit(_post, self, message, message_id, more.get("subject"))
            return
        try:
            if self.protocol == "sqs":
                queue_named(self.endpoint, service=SNS_SERVICE, context=context)
            moto_publish(self, message, message_id, **more)
        except UndeliveredError as error:
            _give_up(self, message, error)

    return deliver


def _post(subscription: Any, message: str, message_id: str, subject: str | None) -> None:
    raw = bool(subscription.attributes.get("RawMessageDelivery"))
    body = message if raw else json.dumps(subscription.get_post_data(message, message_id, subject))
    headers = {
        "Content-Type": "text/plain; charset=UTF-8",
        "x-amz-sns-message-type": "Notification",
        "x-amz-sns-message-id": message_id,
        "x-amz-sns-topic-arn": subscription.topic.arn,
        **({"x-amz-sns-rawdelivery": "true"} if raw else {}),
    }
    try:
        httpx.post(
            subscription.endpoint, content=body, headers=headers, timeout=_HTTP_TIMEOUT_S
        ).raise_for_status()
    except httpx.HTTPError as error:
        _give_up(
            subscription,
            message,
            UndeliveredError("SDK_CLIENT_ERROR", f"{subscription.endpoint}: {error!r}"),
        )


def _give_up(subscription: Any, message: str, error: UndeliveredError) -> None:
    note(error)
    redrive = json.loads(subscription.attributes.get("RedrivePolicy") or "{}")
    if "deadLetterTargetArn" not in redrive:
        return
    context = {
        "aws:SourceArn": subscription.topic.arn,
        "aws:SourceAccount": subscription.account_id,
    }
    try:
        send(
            queue_arn=redrive["deadLetterTargetArn"],
            body=message,
            service=SNS_SERVICE,
            context=context,
        )
    except UndeliveredError as again:
        note(again)

"""SNS: messages go only to receivers whose policy lets SNS in, and never fail the caller's request.

AWS delivers asynchronously, so that a queue that is gone or closed does not fail the call: what
cannot be delivered goes to the dead-letter queue of the subscription, or nowhere (SNS developer
guide, "Amazon SNS dead-letter queues"). moto delivers within the caller's request, asks no policy,
and fails the request. Here topics and queues get a message at once; an HTTP endpoint is called by a
thread of its own. A topic's policy decides which AWS services may publish to it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from moto.sns.models import Subscription, sns_backends

from localaws.emulator.authorization.service_calls import service_may
from localaws.emulator.services.sqs import UndeliveredError, check_may_send, log_undelivered, send

SNS_SERVICE = "sns.amazonaws.com"
_HTTP_TIMEOUT_S = 15
"""How long SNS waits for an endpoint (SNS developer guide, "Message delivery retries")."""
_http = ThreadPoolExecutor(max_workers=8, thread_name_prefix="sns-http")


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
                check_may_send(self.endpoint, service=SNS_SERVICE, context=context)
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
    log_undelivered(error)
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
        log_undelivered(again)

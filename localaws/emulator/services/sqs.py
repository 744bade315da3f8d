"""SQS: attributes of queues stay as they were set, and queues let in the services they name.

AWS, `SetQueueAttributes`
(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html):
attributes that are not named stay; ``RedriveAllowPolicy`` says which queues may name this one as
their dead-letter queue; "Only one server-side encryption option is supported per queue". moto drops
the policy whenever anything else is set, keeps a redrive policy that it refused, forgets
``RedriveAllowPolicy``, and leaves SSE-SQS on beside a KMS key. It also counts all messages of a
queue for each one that is sent, so that a queue which is never read makes every sender slower.

SNS and EventBridge send through :func:`send`, which asks the queue's policy; moto does not.
"""

# ruff: noqa: SLF001 - a shim reaches into what moto keeps to itself

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.utils import camelcase_to_underscores
from moto.sqs.exceptions import SQSException
from moto.sqs.models import Queue, SQSBackend, sqs_backends
from werkzeug.exceptions import HTTPException

from localaws.emulator.authorization.service_calls import service_may

_ALLOW = "RedriveAllowPolicy"
_log = logging.getLogger("localaws.emulator")
_being_sent: ContextVar[bool] = ContextVar("being_sent", default=False)


class UndeliveredError(Exception):
    """A message or event was not delivered.

    ``code`` is one that EventBridge gives for a failed delivery.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def install() -> None:
    """Check attributes when they are set, and return all of them."""
    queue: Any = Queue
    queue._set_attributes = _setting(queue._set_attributes)
    queue.redrive_allow_policy = None
    queue.BASE_ATTRIBUTES = [*queue.BASE_ATTRIBUTES, _ALLOW]
    backend: Any = SQSBackend
    backend.send_message = _sending(backend.send_message)
    queue.attributes = _without_counts(queue.attributes)


def send(
    *,
    queue_arn: str,
    body: str,
    service: str,
    context: Mapping[str, str],
    group_id: str | None = None,
    attributes: Mapping[str, str] | None = None,
) -> None:
    """Send a message for ``service``.

    Raises :class:`UndeliveredError` if there is no such queue or its policy does not allow it.
    """
    check_may_send(queue_arn, service=service, context=context)
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


def check_may_send(queue_arn: str, *, service: str, context: Mapping[str, str]) -> None:
    """Check that there is such a queue and that its policy lets ``service`` send to it.

    Raises :class:`UndeliveredError` otherwise.
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


def log_undelivered(error: UndeliveredError) -> None:
    """Write what was not delivered to the log of this process; AWS counts it in a metric."""
    _log.warning("not delivered: %s: %s", error.code, error)


def _sending(original: Callable[..., Any]) -> Callable[..., Any]:
    def send_message(self: Any, *arguments: Any, **named: Any) -> Any:
        token = _being_sent.set(True)
        try:
            return original(self, *arguments, **named)
        finally:
            _being_sent.reset(token)

    return send_message


def _without_counts(attributes: Any) -> property:
    """Leave out the counts of messages while one is sent: moto asks for the settings only.

    The counts go over all messages that wait.
    """

    def described(self: Any) -> dict[str, Any]:
        if not _being_sent.get():
            found: dict[str, Any] = attributes.fget(self)
            return found
        names = () if not self.fifo_queue else self.FIFO_ATTRIBUTES
        return {name: str(getattr(self, camelcase_to_underscores(name))).lower() for name in names}

    return property(described)


def _setting(original: Callable[..., None]) -> Callable[..., None]:
    def set_attributes(self: Any, attributes: dict[str, Any], now: float | None = None) -> None:
        _refuse_strange_redrive(self, attributes.get("RedrivePolicy"))
        policy = getattr(self, "policy", None)
        original(self, attributes, now)
        if "Policy" not in attributes:
            self.policy = policy
        self.redrive_allow_policy = self.redrive_allow_policy or None
        if attributes.get("KmsMasterKeyId"):
            self.sqs_managed_sse_enabled = "false"
        elif attributes.get("SqsManagedSseEnabled") == "true":
            self.kms_master_key_id = None

    return set_attributes


def _refuse_strange_redrive(queue: Any, text: Any) -> None:
    """Refuse a dead-letter queue that does not exist or does not take from ``queue``.

    Called before anything is set.
    """
    wanted = json.loads(text) if isinstance(text, str) and text else {}
    target = wanted.get("deadLetterTargetArn")
    if target is None:
        return
    queues = sqs_backends[queue.account_id][queue.region].queues.values()
    found: Any = next((other for other in queues if other.queue_arn == target), None)
    reason = None
    if found is None:
        reason = "Dead letter target does not exist."
    elif not _takes_from(found, queue.queue_arn):
        reason = "The dead letter target does not allow this source queue."
    if reason is not None:
        raise SQSException(
            "InvalidParameterValue",
            f"Value {text} for parameter RedrivePolicy is invalid. Reason: {reason}",
        )


def _takes_from(target: Any, source_arn: str) -> bool:
    policy = json.loads(target.redrive_allow_policy) if target.redrive_allow_policy else {}
    permission = policy.get("redrivePermission", "allowAll")
    return permission == "allowAll" or (
        permission == "byQueue" and source_arn in policy.get("sourceQueueArns", [])
    )

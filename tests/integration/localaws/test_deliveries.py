"""Topics deliver as SNS does.

The queue's policy decides, a failed delivery never fails the publisher, and what is lost is in the
dead-letter queue.
"""

from __future__ import annotations

import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue
from typing import Any

import pytest

from tests.testing.aws_harness import PRIMARY, ROOT_KEY, client

pytestmark = pytest.mark.integration

ACCOUNT = "123456789012"


@pytest.fixture
def topic(aws: str) -> str:
    return str(
        client("sns", aws, ROOT_KEY).create_topic(Name=f"seawall-{uuid.uuid4().hex[:8]}")[
            "TopicArn"
        ]
    )


def queue(aws: str, *, admits: str | None) -> tuple[str, str]:
    """URL and ARN of a queue that lets the topic ``admits`` in."""
    name = f"seawall-{uuid.uuid4().hex[:8]}"
    arn = f"arn:aws:sqs:{PRIMARY}:{ACCOUNT}:{name}"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": admits}},
    }
    policy = (
        {"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})}
        if admits
        else {}
    )
    return client("sqs", aws, ROOT_KEY).create_queue(QueueName=name, Attributes=policy)[
        "QueueUrl"
    ], arn


def messages(aws: str, url: str) -> list[str]:
    found = client("sqs", aws, ROOT_KEY).receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [message["Body"] for message in found.get("Messages", [])]


def test_a_queue_gets_what_its_policy_admits_and_no_more(aws: str, topic: str) -> None:
    sns = client("sns", aws, ROOT_KEY)
    open_url, open_arn = queue(aws, admits=topic)
    closed_url, closed_arn = queue(aws, admits=None)
    other_url, other_arn = queue(aws, admits=f"{topic}-other")
    for arn in (closed_arn, other_arn, open_arn):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sns.publish(TopicArn=topic, Message="hot wallet low")
    assert [json.loads(body)["Message"] for body in messages(aws, open_url)] == ["hot wallet low"]
    assert messages(aws, closed_url) == messages(aws, other_url) == []


def test_what_a_queue_refuses_goes_to_the_subscriptions_dead_letters(aws: str, topic: str) -> None:
    sns = client("sns", aws, ROOT_KEY)
    _, closed = queue(aws, admits=None)
    dead_url, dead_arn = queue(aws, admits=topic)
    redrive = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": dead_arn})}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=closed, Attributes=redrive)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"{closed}-gone", Attributes=redrive)
    sns.publish(TopicArn=topic, Message="lost")
    assert messages(aws, dead_url) == ["lost", "lost"]


def test_a_raw_subscription_gets_the_message_alone_and_a_filter_leaves_out(
    aws: str, topic: str
) -> None:
    sns = client("sns", aws, ROOT_KEY)
    url, arn = queue(aws, admits=topic)
    attributes = {
        "RawMessageDelivery": "true",
        "FilterPolicy": json.dumps({"severity": ["critical"]}),
    }
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)
    for severity in ("info", "critical"):
        value = {"DataType": "String", "StringValue": severity}
        sns.publish(TopicArn=topic, Message=severity, MessageAttributes={"severity": value})
    assert messages(aws, url) == ["critical"]


class Receiver(BaseHTTPRequestHandler):
    """Keeps what is posted to it."""

    got: Queue[tuple[str, dict[str, Any]]] = Queue()

    def do_POST(self) -> None:
        """Take one notification."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.got.put((self.headers["x-amz-sns-message-type"], body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Log nothing."""


def test_an_endpoint_that_is_gone_harms_neither_the_publisher_nor_other_subscriptions(
    aws: str, topic: str
) -> None:
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sns = client("sns", aws, ROOT_KEY)
    for port in (9, server.server_port):
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"http://127.0.0.1:{port}/pages")
    sns.publish(TopicArn=topic, Message="hot wallet low", Subject="critical")
    kind, body = Receiver.got.get(timeout=10)
    server.shutdown()
    server.server_close()
    assert kind == "Notification"
    assert (body["Message"], body["Subject"], body["TopicArn"]) == (
        "hot wallet low",
        "critical",
        topic,
    )

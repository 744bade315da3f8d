"""A topic or queue lets in the services that its policy names, as AWS does."""

from __future__ import annotations

from typing import Any

import pytest

from localaws.emulator.shims.service_policy import service_may

TOPIC = "arn:aws:sns:us-east-1:123456789012:critical"
RULE = "arn:aws:events:us-east-1:123456789012:rule/keys"
ADMITS: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"Service": "events.amazonaws.com"},
    "Action": "sns:Publish",
    "Resource": TOPIC,
}
DENIES = {**ADMITS, "Effect": "Deny"}
OWNER_ONLY = {
    **ADMITS,
    "Principal": {"AWS": "*"},
    "Action": ["SNS:GetTopicAttributes", "SNS:Publish"],
    "Condition": {"StringEquals": {"AWS:SourceOwner": "123456789012"}},
}


@pytest.mark.parametrize(
    ("statements", "may"),
    [
        ([], False),
        ([ADMITS], True),
        ([ADMITS, DENIES], False),
        (
            [
                {
                    **ADMITS,
                    "Principal": {"Service": ["cloudwatch.amazonaws.com", "events.amazonaws.com"]},
                }
            ],
            True,
        ),
        ([{**ADMITS, "Principal": {"Service": "cloudwatch.amazonaws.com"}}], False),
        ([{**ADMITS, "Principal": "*"}], True),
        ([{**ADMITS, "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}], False),
        ([{**ADMITS, "Action": "SNS:*"}], True),
        ([{**ADMITS, "Action": "sns:Subscribe"}], False),
        ([{**ADMITS, "Resource": f"{TOPIC}-other"}], False),
        (
            [{**ADMITS, "Condition": {"ArnLike": {"aws:SourceArn": RULE.replace("keys", "*")}}}],
            True,
        ),
        ([{**ADMITS, "Condition": {"ArnEquals": {"aws:SourceArn": f"{RULE}-other"}}}], False),
        (
            [
                {
                    **ADMITS,
                    "Condition": {"StringEquals": {"aws:SourceAccount": ["1", "123456789012"]}},
                }
            ],
            True,
        ),
        ([{**ADMITS, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}], False),
        ([{**ADMITS, "Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}}], False),
        ([ADMITS, {**DENIES, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}], True),
        ([ADMITS, {**DENIES, "Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}}], False),
        ([OWNER_ONLY], False),
    ],
)
def test_the_policy_decides(statements: list[dict[str, Any]], may: bool) -> None:
    context = {
        "aws:SourceArn": RULE,
        "aws:SourceAccount": "123456789012",
        "aws:SecureTransport": "true",
    }
    asked = {"service": "events.amazonaws.com", "action": "sns:Publish", "resource": TOPIC}
    assert service_may({"Statement": statements}, **asked, context=context) is may


def test_the_default_policy_of_a_topic_admits_who_carries_its_owners_account() -> None:
    asked = {"service": "cloudwatch.amazonaws.com", "action": "sns:Publish", "resource": TOPIC}
    assert service_may(
        {"Statement": OWNER_ONLY}, **asked, context={"AWS:SourceOwner": "123456789012"}
    )
    assert not service_may(
        {"Statement": OWNER_ONLY}, **asked, context={"AWS:SourceOwner": "210987654321"}
    )

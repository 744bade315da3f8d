"""A topic or queue lets in the services that its policy names, as AWS does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localaws.emulator.authorization.service_calls import service_may

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
def test_the_policy_of_a_topic_decides_whether_a_service_may_publish(
    statements: list[dict[str, Any]], may: bool
) -> None:
    context = {
        "aws:SourceArn": RULE,
        "aws:SourceAccount": "123456789012",
        "aws:SecureTransport": "true",
    }
    asked = {"service": "events.amazonaws.com", "action": "sns:Publish", "resource": TOPIC}
    assert service_may(json.dumps({"Statement": statements}), **asked, context=context) is may


def test_the_default_policy_of_a_topic_admits_calls_with_its_owners_account() -> None:
    asked = {"service": "cloudwatch.amazonaws.com", "action": "sns:Publish", "resource": TOPIC}
    policy = json.dumps({"Statement": OWNER_ONLY})
    assert service_may(policy, **asked, context={"AWS:SourceOwner": "123456789012"})
    assert not service_may(policy, **asked, context={"AWS:SourceOwner": "210987654321"})


@pytest.mark.parametrize(
    ("trusted", "may"),
    [
        ({"Principal": {"Service": "s3.amazonaws.com"}}, True),
        ({"Principal": {"Service": "backup.amazonaws.com"}}, False),
        (
            {
                "Principal": {"Service": "s3.amazonaws.com"},
                "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}},
            },
            True,
        ),
        (
            {
                "Principal": {"Service": "s3.amazonaws.com"},
                "Condition": {"StringEquals": {"aws:SourceAccount": "210987654321"}},
            },
            False,
        ),
    ],
)
def test_a_trust_policy_decides_which_service_assumes_the_role(
    trusted: dict[str, Any], *, may: bool
) -> None:
    policy = json.dumps({"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", **trusted}})
    assert (
        service_may(
            policy,
            service="s3.amazonaws.com",
            action="sts:AssumeRole",
            resource="arn:aws:iam::123456789012:role/copies",
            context={"aws:SourceAccount": "123456789012"},
        )
        is may
    )


@pytest.mark.parametrize(
    ("listed", "may"), [(["events.amazonaws.com"], True), (["sns.amazonaws.com"], False)]
)
def test_a_deny_with_not_principal_spares_the_services_that_it_lists(
    listed: list[str], *, may: bool
) -> None:
    deny = {
        "Effect": "Deny",
        "NotPrincipal": {"Service": listed},
        "Action": "sns:Publish",
        "Resource": TOPIC,
    }
    policy = json.dumps({"Statement": [ADMITS, deny]})
    asked = {"service": "events.amazonaws.com", "action": "sns:Publish", "resource": TOPIC}
    assert service_may(policy, **asked, context={}) is may


def test_without_a_policy_no_service_is_let_in() -> None:
    asked = {"service": "events.amazonaws.com", "action": "sns:Publish", "resource": TOPIC}
    assert not service_may(None, **asked, context={})

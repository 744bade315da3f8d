"""Worked examples of IAM's user guide on conditions.

Pages, under https://docs.aws.amazon.com/IAM/latest/UserGuide/:
    operators   reference_policies_elements_condition_operators.html
    logic       reference_policies_condition-logic-multiple-context-keys-or-values.html
    sets        reference_policies_condition-single-vs-multi-valued-context-keys.html
    sets (ex.)  reference_policies_condition_examples-multi-valued-context-keys.html
    keys        reference_policies_condition-keys.html
    tags        access_tags.html
    confused    confused-deputy.html
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.testing.iam_requests import allow, deny, may, user

SOMEONE = user("someone")
WORDS = {"aws:PrincipalTag/department": "Finance"}
KEY = "aws:PrincipalTag/department"
TOPIC = "arn:aws:sns:us-east-2:123456789012:topic"


def holds(condition: dict[str, Any], context: dict[str, Any]) -> bool:
    """Whether an allow under ``condition`` applies."""
    return may(SOMEONE, "x:Y", "*", identity=[allow("x:*", Condition=condition)], context=context)


@pytest.mark.parametrize(
    ("true", "operator", "values", "context"),
    [
        (True, "StringEquals", "Finance", WORDS),
        (False, "StringEquals", "finance", WORDS),
        (False, "StringEquals", "Fin*", WORDS),
        (True, "StringNotEquals", "finance", WORDS),
        (True, "StringEqualsIgnoreCase", "FINANCE", WORDS),
        (False, "StringNotEqualsIgnoreCase", "FINANCE", WORDS),
        (True, "StringLike", "F?n*", WORDS),
        (False, "StringLike", "Fin", WORDS),
        (False, "StringNotLike", "F*", WORDS),
        (True, "StringEquals", ["hr", "Finance"], WORDS),
        (False, "StringNotEquals", ["hr", "Finance"], WORDS),
        (True, "StringNotEquals", ["hr", "legal"], WORDS),
    ],
)
def test_string_operators(true: bool, operator: str, values: Any, context: dict[str, str]) -> None:
    """Page "operators": "String condition operators".

    Logic: several values are an OR, of a negated operator a NOR.
    """
    assert holds({operator: {KEY: values}}, context) is true


@pytest.mark.parametrize(
    ("true", "operator"),
    [
        (False, "StringEquals"),
        (True, "StringNotEquals"),
        (False, "StringLike"),
        (True, "StringNotLike"),
        (False, "ArnLike"),
        (True, "ArnNotEquals"),
        (False, "Bool"),
        (True, "StringEqualsIfExists"),
        (True, "StringNotEqualsIfExists"),
        (True, "BoolIfExists"),
        (True, "ArnLikeIfExists"),
        (True, "ForAllValues:StringEquals"),
        (False, "ForAnyValue:StringEquals"),
        (False, "ForAnyValue:StringNotEquals"),
    ],
)
def test_a_key_that_is_absent(true: bool, operator: str) -> None:
    """Page "operators", "Important".

    No match, unless the operator is negated, has IfExists, or is ForAllValues.
    """
    assert holds({operator: {KEY: "true"}}, {}) is true


@pytest.mark.parametrize(
    ("true", "operator", "value", "has"),
    [
        (True, "NumericLessThanEquals", "10", "10"),
        (False, "NumericLessThanEquals", "10", "11"),
        (True, "NumericLessThan", "10", "9"),
        (False, "NumericLessThan", "10", "10"),
        (True, "NumericGreaterThan", "10", "10.5"),
        (True, "NumericGreaterThanEquals", 10, "10"),
        (True, "NumericEquals", "10", "10.0"),
        (False, "NumericNotEquals", "10", "10"),
        (False, "NumericEquals", "10", "ten"),
        (False, "NumericLessThanEquals", "10", None),
    ],
)
def test_numeric_operators(true: bool, operator: str, value: Any, has: str | None) -> None:
    """Page "operators": "Numeric condition operators", at most ten keys in a listing."""
    assert (
        holds({operator: {"s3:max-keys": value}}, {} if has is None else {"s3:max-keys": has})
        is true
    )


@pytest.mark.parametrize(
    ("true", "operator", "value", "has"),
    [
        (True, "DateGreaterThan", "2020-01-01T00:00:01Z", "2020-01-02T00:00:00Z"),
        (False, "DateGreaterThan", "2020-01-01T00:00:01Z", "2020-01-01T00:00:01Z"),
        (False, "DateGreaterThan", "2020-01-01T00:00:01Z", None),
        (True, "DateLessThan", "2020-07-01T00:00:00Z", "2020-06-30T23:59:59Z"),
        (True, "DateLessThanEquals", "2020-06-30", "2020-06-30T00:00:00+00:00"),
        (True, "DateEquals", "1577836800", "2020-01-01T00:00:00Z"),
        (True, "DateNotEquals", "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"),
        (True, "DateGreaterThanEquals", "2020-01-01T01:00:00+01:00", "2020-01-01T00:00:00Z"),
    ],
)
def test_date_operators(true: bool, operator: str, value: str, has: str | None) -> None:
    """Page "operators": "Date condition operators", credentials issued since 2020."""
    assert (
        holds(
            {operator: {"aws:TokenIssueTime": value}},
            {} if has is None else {"aws:TokenIssueTime": has},
        )
        is true
    )


@pytest.mark.parametrize(("allowed", "secure"), [(True, "true"), (False, "false")])
def test_boolean_operator(allowed: bool, secure: str) -> None:
    """Page "operators": "Boolean condition operators".

    All S3 actions are denied that do not come over TLS.
    """
    statement = deny("s3:*", Condition={"Bool": {"aws:SecureTransport": False}})
    context = {"aws:SecureTransport": secure}
    assert (
        may(
            SOMEONE,
            "s3:GetObject",
            "arn:aws:s3:::b/o",
            identity=[allow("s3:*"), statement],
            context=context,
        )
        is allowed
    )


@pytest.mark.parametrize(
    ("true", "operator", "address"),
    [
        (True, "IpAddress", "203.0.113.7"),
        (False, "IpAddress", "203.0.114.7"),
        (True, "IpAddress", "2001:DB8:1234:5678::1"),
        (False, "NotIpAddress", "203.0.113.7"),
        (True, "NotIpAddress", "198.51.100.1"),
        (False, "IpAddress", None),
        (True, "NotIpAddress", None),
    ],
)
def test_address_operators(true: bool, operator: str, address: str | None) -> None:
    """Page "operators": "IP address condition operators", IPv4 and IPv6 in one list."""
    ranges = ["203.0.113.0/24", "2001:DB8:1234:5678::/64"]
    assert (
        holds(
            {operator: {"aws:SourceIp": ranges}},
            {} if address is None else {"aws:SourceIp": address},
        )
        is true
    )


LONG = "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"


@pytest.mark.parametrize(
    ("true", "operator", "value", "arn"),
    [
        (True, "StringLike", "arn:aws:someservice:*:111122223333:finance/*", LONG),
        (False, "ArnLike", "arn:aws:someservice:*:111122223333:finance/*", LONG),
        (False, "ArnEquals", "arn:aws:someservice:*:111122223333:finance/*", LONG),
        (True, "ArnNotLike", "arn:aws:someservice:*:111122223333:finance/*", LONG),
        (True, "ArnEquals", "arn:aws:sns:*:123456789012:top*", TOPIC),
        (True, "ArnLike", "arn:aws:sns:us-east-?:123456789012:topic", TOPIC),
        (False, "ArnEquals", "arn:aws:sns:*", TOPIC),
        (False, "ArnEquals", TOPIC.upper(), TOPIC),
        (False, "ArnEquals", "arn:aws:iam::123456789012:role/*", "no arn at all"),
    ],
)
def test_arn_operators(true: bool, operator: str, value: str, arn: str) -> None:
    """Page "operators": "Amazon Resource Name (ARN) condition operators".

    StringLike matches and ArnLike does not.
    """
    assert holds({operator: {"aws:PrincipalArn": value}}, {"aws:PrincipalArn": arn}) is true


def test_a_queue_takes_messages_from_one_topic_and_from_no_user() -> None:
    """Page "operators": "Amazon Resource Name (ARN) condition operators", SQS.

    Confused: aws:SourceArn is absent from a direct call.
    """
    statement = allow(
        "SQS:SendMessage",
        "*",
        Principal={"AWS": "123456789012"},
        Condition={"ArnEquals": {"aws:SourceArn": TOPIC}},
    )
    queue, mine = "arn:aws:sqs:us-east-2:123456789012:q", [allow("sqs:*")]
    guarded = deny(
        "sqs:SendMessage", "*", Principal="*", Condition={"ArnNotEquals": {"aws:SourceArn": TOPIC}}
    )
    assert may(SOMEONE, "sqs:SendMessage", queue, on_resource=[statement]) is False
    assert may(SOMEONE, "sqs:SendMessage", queue, identity=mine, on_resource=[statement]) is True
    assert (
        may(SOMEONE, "sqs:SendMessage", queue, identity=mine, on_resource=[statement, guarded])
        is False
    )


@pytest.mark.parametrize(
    ("true", "value", "context"),
    [
        (True, "true", {}),
        (False, "true", {"aws:TokenIssueTime": "2020-01-01T00:00:00Z"}),
        (False, "false", {}),
        (True, False, {"aws:TokenIssueTime": "2020-01-01T00:00:00Z"}),
    ],
)
def test_null_operator(true: bool, value: Any, context: dict[str, str]) -> None:
    """Page "operators": "Condition operator to check existence".

    Only with credentials that are not temporary.
    """
    assert holds({"Null": {"aws:TokenIssueTime": value}}, context) is true


@pytest.mark.parametrize(
    ("allowed", "size"), [(True, "t2.micro"), (False, "c5.large"), (True, None)]
)
def test_if_exists_lets_resources_pass_that_lack_the_key(allowed: bool, size: str | None) -> None:
    """Page "operators": "...IfExists condition operators", there of ec2:InstanceType."""
    condition = {"StringLikeIfExists": {"aws:RequestTag/size": ["t1.*", "t2.*", "m3.*"]}}
    assert holds(condition, {} if size is None else {"aws:RequestTag/size": size}) is allowed
    condition = {"StringLike": {"aws:RequestTag/size": ["t1.*", "t2.*", "m3.*"]}}
    assert holds(condition, {} if size is None else {"aws:RequestTag/size": size}) is (
        size == "t2.micro"
    )


DEPARTMENTS = {
    "StringEqualsIgnoreCase": {
        "aws:PrincipalTag/department": ["finance", "hr", "legal"],
        "aws:PrincipalTag/role": ["audit", "security"],
    },
    "StringEquals": {"aws:PrincipalAccount": "123456789012"},
}


@pytest.mark.parametrize(
    ("true", "department", "role", "account"),
    [
        (True, "Finance", "Audit", "123456789012"),
        (True, "hr", "security", "123456789012"),
        (False, "finance", "engineer", "123456789012"),
        (False, "sales", "audit", "123456789012"),
        (False, "finance", "audit", "210987654321"),
        (False, "finance", None, "123456789012"),
    ],
)
def test_operators_and_keys_are_joined_by_and_values_by_or(
    true: bool, department: str, role: str | None, account: str
) -> None:
    """Page "logic": the example of two operators and three keys."""
    context = {"aws:PrincipalTag/department": department, "aws:PrincipalAccount": account}
    context |= {} if role is None else {"aws:PrincipalTag/role": role}
    assert holds(DEPARTMENTS, context) is true


@pytest.mark.parametrize(
    ("every", "some", "given"),
    [
        pytest.param(True, True, ("ID", "Message", "Tags"), id="all listed"),
        pytest.param(False, True, ("PostDateTime", "Message"), id="one listed, one not"),
        pytest.param(False, False, ("UserName",), id="none listed"),
        pytest.param(True, False, (), id="no values"),
        pytest.param(True, False, ("",), id="an empty value is no value"),
        pytest.param(True, False, None, id="no key"),
    ],
)
def test_sets_of_values(every: bool, some: bool, given: tuple[str, ...] | None) -> None:
    """Page "sets": the attributes of the table Thread, here as keys of tags."""
    context = {} if given is None else {"aws:TagKeys": given}
    listed = {"aws:TagKeys": ["ID", "Message", "Tags"]}
    assert holds({"ForAllValues:StringEquals": listed}, context) is every
    assert holds({"ForAnyValue:StringEquals": listed}, context) is some


@pytest.mark.parametrize(
    ("denied", "keys"),
    [
        pytest.param(True, ("key1-a", "key2-b"), id="every key has a listed prefix"),
        pytest.param(False, ("key1-a", "other"), id="one has not"),
        pytest.param(False, (), id="Null keeps ForAllValues from denying what has no tags"),
    ],
)
def test_for_all_values_needs_null_to_demand_a_value(denied: bool, keys: tuple[str, ...]) -> None:
    """Page "sets (ex.)": "Deny policy with condition set operator ForAllValues"."""
    condition = {
        "Null": {"aws:TagKeys": "false"},
        "ForAllValues:StringLike": {"aws:TagKeys": ["key1*", "key2*", "key3*"]},
    }
    statement = deny(["iam:Tag*", "iam:UnTag*"], Condition=condition)
    context = {"aws:TagKeys": keys} if keys else {}
    asked = may(
        SOMEONE,
        "iam:TagRole",
        "arn:aws:iam::1:role/r",
        identity=[allow("iam:*"), statement],
        context=context,
    )
    assert asked is not denied


@pytest.mark.parametrize(
    ("denied", "keys"), [(True, ("webserver", "x")), (False, ("x",)), (False, ())]
)
def test_for_any_value_denies_if_one_matches(denied: bool, keys: tuple[str, ...]) -> None:
    """Page "sets (ex.)": "Deny policy with condition set operator ForAnyValue".

    Snapshots tagged environment or webserver.
    """
    statement = deny(
        "ec2:CreateSnapshots",
        Condition={"ForAnyValue:StringEquals": {"aws:TagKeys": ["environment", "webserver"]}},
    )
    asked = may(
        SOMEONE,
        "ec2:CreateSnapshots",
        "*",
        identity=[allow("ec2:*"), statement],
        context={"aws:TagKeys": keys},
    )
    assert asked is not denied


@pytest.mark.parametrize(
    ("allowed", "environment", "keys"),
    [
        (True, "preprod", ("environment",)),
        (True, "production", ("environment", "CostCenter")),
        (False, "test", ("environment",)),
        (False, "preprod", ("environment", "team")),
        (False, None, ("CostCenter",)),
    ],
)
def test_tags_in_a_request(allowed: bool, environment: str | None, keys: tuple[str, ...]) -> None:
    """Page "tags": "Controlling access during AWS requests".

    Two keys are allowed, one of them with two values.
    """
    condition = {
        "StringEquals": {"aws:RequestTag/environment": ["preprod", "production"]},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["environment", "CostCenter"]},
    }
    context: dict[str, Any] = {"aws:TagKeys": keys}
    assert (
        holds(
            condition,
            context | ({} if environment is None else {"aws:RequestTag/environment": environment}),
        )
        is allowed
    )


def test_the_name_of_a_key_has_no_case_and_a_tag_of_the_caller_can_equal_one_of_the_resource() -> (
    None
):
    """Page "keys": names are not case-sensitive.

    Tags: access by equal tags of principal and resource.
    """
    condition = {"StringEquals": {"AWS:ResourceTag/Project": "${aws:principaltag/project}"}}
    assert holds(condition, {"aws:ResourceTag/project": "blue", "aws:PrincipalTag/Project": "blue"})
    assert not holds(
        condition, {"aws:ResourceTag/project": "blue", "aws:PrincipalTag/Project": "red"}
    )
    assert not holds(condition, {"aws:PrincipalTag/Project": "red"})


@pytest.mark.parametrize(("allowed", "region"), [(True, "eu-central-1"), (False, "us-east-1")])
def test_a_region_can_be_denied(allowed: bool, region: str) -> None:
    """reference_policies_examples_aws_deny-requested-region.html.

    All but global services, outside of the regions listed.
    """
    statement = {
        "Effect": "Deny",
        "NotAction": ["cloudfront:*", "iam:*", "route53:*", "support:*"],
        "Resource": "*",
        "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["eu-central-1", "eu-west-1"]}},
    }
    context = {"aws:RequestedRegion": region}
    assert (
        may(SOMEONE, "kms:CreateKey", "*", identity=[allow("*"), statement], context=context)
        is allowed
    )
    assert (
        may(SOMEONE, "iam:GetUser", "*", identity=[allow("*"), statement], context=context) is True
    )

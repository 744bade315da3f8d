"""What is not evaluated is an error that names it, whether or not the request would meet it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seawall.iam import (
    Policies,
    Request,
    ResourcePolicy,
    UnevaluatedElementError,
    decide,
    permitted,
)
from tests.testing.iam_requests import allow, deny, document, may, session, user

ME = user("me")
ASKED = Request(principal=ME, action="s3:GetObject", resource="arn:aws:s3:::b/o")


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"Grant": 1}, "Grant"),
        ({"Effect": "Perhaps"}, "Effect Perhaps"),
        ({"NotAction": "s3:*"}, "Action and NotAction"),
        ({"NotResource": "*"}, "Resource and NotResource"),
        ({"Principal": "*"}, "Principal in an identity policy"),
        ({"Resource": "arn:aws:s3:::${aws:Nonsense}"}, r"the variable \$\{aws:Nonsense\}"),
        ({"Resource": "arn:aws:s3:::${aws:TagKeys}"}, r"the variable \$\{aws:TagKeys\}"),
        ({"Resource": "arn:aws:s3:::${aws:CurrentTime}"}, r"the variable \$\{aws:CurrentTime\}"),
        ({"Action": "s3:${aws:username}"}, "a variable in s3:"),
        ({"Action": 7}, "the value 7"),
        (
            {"Condition": {"StringSounds": {"aws:username": "x"}}},
            "the condition operator StringSounds",
        ),
        (
            {"Condition": {"BinaryEquals": {"aws:username": "x"}}},
            "the condition operator BinaryEquals",
        ),
        (
            {"Condition": {"NullIfExists": {"aws:username": "true"}}},
            "the condition operator NullIfExists",
        ),
        (
            {"Condition": {"ForSomeValues:StringEquals": {"aws:TagKeys": "x"}}},
            "ForSomeValues:StringEquals",
        ),
        (
            {"Condition": {"StringEquals": {"aws:UserAgent": "x"}}},
            "the condition key aws:UserAgent",
        ),
        (
            {"Condition": {"StringEquals": {"ec2:InstanceType": "x"}}},
            "the condition key ec2:InstanceType",
        ),
        (
            {"Condition": {"StringEquals": {"aws:TagKeys": "x"}}},
            "StringEquals of aws:TagKeys, a multivalued key",
        ),
        ({"Condition": {"NumericEquals": {"s3:max-keys": "many"}}}, "the value many"),
        ({"Condition": {"NumericEquals": {"s3:max-keys": "${aws:username}"}}}, "a variable in"),
        ({"Condition": {"DateLessThan": {"aws:CurrentTime": "soon"}}}, "the value soon"),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "home"}}}, "the address home"),
        ({"Condition": {"Bool": {"aws:SecureTransport": "maybe"}}}, "the boolean maybe"),
        ({"Condition": {"Null": {"aws:username": "maybe"}}}, "Null of maybe"),
        ({"Condition": {"StringEquals": {"aws:username": {"x": "y"}}}}, "the value"),
        ({"Condition": "never"}, "Condition never"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_element_that_is_not_evaluated_is_an_error(extra: dict[str, Any], named: str) -> None:
    with pytest.raises(UnevaluatedElementError, match=named):
        may(ME, "s3:GetObject", "arn:aws:s3:::b/o", identity=[{**allow("*"), **extra}])


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (allow("*", Principal={"Federated": "accounts.google.com"}), "Principal Federated"),
        (allow("*", Principal={"CanonicalUser": "79a5"}), "Principal CanonicalUser"),
        (
            allow("*", Principal={"AWS": "arn:aws:iam::123456789012:role/*"}),
            "Principal arn:aws:iam::123456789012:role/",
        ),
        (
            allow("*", Principal={"AWS": "arn:aws:sts::123456789012:assumed-role/r/*"}),
            "Principal arn:aws:sts",
        ),
        (allow("*", Principal={"AWS": "somebody"}), "Principal somebody"),
        (allow("*", Principal="somebody"), "Principal somebody"),
        (allow("*"), "lacks its Principal"),
        (allow("*", NotPrincipal={"AWS": ME.arn}), "NotPrincipal with Allow"),
        (
            {"Effect": "Deny", "Action": "*", "NotPrincipal": {"AWS": ME.arn}},
            "NotPrincipal in a trust policy",
        ),
        (deny("*", Principal="*", NotPrincipal="*"), "Principal and NotPrincipal"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_principal_that_is_not_known_is_an_error(statement: dict[str, Any], named: str) -> None:
    with pytest.raises(UnevaluatedElementError, match=named):
        may(ME, "s3:GetObject", "arn:aws:s3:::b/o", on_resource=[statement])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "not JSON"),
        ("[]", "no object"),
        (json.dumps({"Version": "2030-01-01", "Statement": []}), "Version 2030-01-01"),
        (json.dumps({"Statement": [], "Extra": 1}), "Extra"),
        (json.dumps({"Statement": ["x"]}), "the statement x"),
        (json.dumps({"Version": "2012-10-17"}), "without Statement"),
        (json.dumps({"Statement": {"Effect": "Allow", "Action": "*"}}), "lacks its Resource"),
    ],
)
def test_a_document_that_is_not_understood_is_an_error(text: str, named: str) -> None:
    with pytest.raises(UnevaluatedElementError, match=named):
        permitted(ASKED, Policies(identity=(text,)))


def test_an_unknown_element_counts_even_where_another_statement_already_decides() -> None:
    odd = allow("sqs:*", Condition={"StringEquals": {"aws:UserAgent": "x"}})
    with pytest.raises(UnevaluatedElementError, match="aws:UserAgent"):
        may(ME, "s3:GetObject", "arn:aws:s3:::b/o", identity=[allow("s3:*"), odd])


@pytest.mark.parametrize(
    ("reason", "policies"),
    [
        ("because no identity-based policy allows the s3:GetObject action", Policies()),
        (
            "with an explicit deny in an identity-based policy",
            Policies(identity=(document(deny("*")),)),
        ),
        (
            "with an explicit deny in a permissions boundary",
            Policies(identity=(document(allow("*")),), boundary=document(deny("*"))),
        ),
        (
            "because no permissions boundary allows the s3:GetObject action",
            Policies(identity=(document(allow("*")),), boundary=document()),
        ),
        (
            "because no session policy allows the s3:GetObject action",
            Policies(identity=(document(allow("*")),), session=()),
        ),
        (
            "with an explicit deny in a resource-based policy",
            Policies(
                resource=ResourcePolicy(
                    documents=(document(deny("*", Principal="*")),), decisive=False
                )
            ),
        ),
        (
            "because no resource-based policy allows the s3:GetObject action",
            Policies(resource=ResourcePolicy(documents=(document(),), decisive=True)),
        ),
    ],
)
def test_a_refusal_says_why(reason: str, policies: Policies) -> None:
    """reference_policies_evaluation-logic and troubleshoot_access-denied.html.

    The wording of access denied messages.
    """
    request = Request(principal=session("r"), action="s3:GetObject", resource="arn:aws:s3:::b/o")
    assert decide(request, policies).reason == reason

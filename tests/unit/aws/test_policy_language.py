"""What policies say about a request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seawall.sandbox.aws.shims.policy_language import Request, ResourcePolicy, UnevaluatedElementError, permitted

KEY = "arn:aws:kms:us-east-1:123456789012:key/mrk-1"
ROLE = "arn:aws:iam::123456789012:role/signer"
SESSION = "arn:aws:sts::123456789012:assumed-role/signer/venue"
ROOT = "arn:aws:iam::123456789012:root"
ALLOW_ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def request(*, action: str = "kms:Sign", resource: str | None = KEY) -> Request:
    return Request(principals=frozenset({ROLE, SESSION}), account="123456789012", action=action, resource=resource)


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.mark.parametrize(
    ("allowed", "statements"),
    [
        pytest.param(False, [], id="nothing is allowed by default"),
        pytest.param(True, [{"Effect": "Allow", "Action": "kms:Sign", "Resource": KEY}], id="the very key"),
        pytest.param(True, [{"Effect": "Allow", "Action": ["KMS:s?gn"], "Resource": [f"{KEY[:-1]}*"]}], id="wildcards"),
        pytest.param(False, [{"Effect": "Allow", "Action": "kms:Sign", "Resource": f"{KEY}0"}], id="another key"),
        pytest.param(
            False,
            [{"Effect": "Allow", "Action": "kms:Sign", "Resource": KEY.replace("east", "west")}],
            id="another region",
        ),
        pytest.param(False, [{"Effect": "Allow", "Action": "kms:Verify", "Resource": KEY}], id="another action"),
        pytest.param(
            False, [ALLOW_ALL, {"Effect": "Deny", "Action": "kms:Sign", "Resource": KEY}], id="an explicit deny wins"
        ),
        pytest.param(True, [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], id="not action"),
        pytest.param(False, [{"Effect": "Allow", "NotAction": "kms:*", "Resource": "*"}], id="excluded action"),
        pytest.param(False, [{"Effect": "Allow", "Action": "*", "NotResource": KEY}], id="excluded resource"),
    ],
)
def test_identity_policies_decide_where_the_resource_has_none(allowed: bool, statements: list[dict[str, Any]]) -> None:
    assert permitted(request(), identity=[document(*statements)], resource=None) is allowed


@pytest.mark.parametrize(
    ("allowed", "principal", "effect", "identity"),
    [
        pytest.param(True, {"AWS": ROLE}, "Allow", [], id="the role itself needs no identity policy"),
        pytest.param(True, "*", "Allow", [], id="everyone"),
        pytest.param(False, {"AWS": ROOT}, "Allow", [], id="the account leaves it to identity policies"),
        pytest.param(True, {"AWS": ROOT}, "Allow", [ALLOW_ALL], id="which may allow"),
        pytest.param(True, {"AWS": ["123456789012"]}, "Allow", [ALLOW_ALL], id="the account by its number"),
        pytest.param(False, {"AWS": "arn:aws:iam::210987654321:root"}, "Allow", [ALLOW_ALL], id="another account"),
        pytest.param(
            False, {"Service": "events.amazonaws.com"}, "Allow", [ALLOW_ALL], id="a service is not the caller"
        ),
        pytest.param(False, {"AWS": ROOT}, "Deny", [ALLOW_ALL], id="a deny of the account hits everyone in it"),
    ],
)
def test_the_policy_of_a_key_has_the_first_and_last_word(
    allowed: bool,
    principal: Any,
    effect: str,
    identity: list[dict[str, Any]],
) -> None:
    key_policy = document({"Effect": effect, "Principal": principal, "Action": "kms:*", "Resource": "*"})
    resource = ResourcePolicy(document=key_policy, decisive=True)
    assert permitted(request(), identity=[document(*identity)] if identity else [], resource=resource) is allowed


def test_a_deny_applies_where_the_resource_is_not_known() -> None:
    statements = document(ALLOW_ALL, {"Effect": "Deny", "Action": "sns:*", "Resource": "arn:aws:sns:*:*:pager"})
    assert permitted(request(action="sns:Publish", resource=None), identity=[statements], resource=None) is False


def test_only_a_star_allows_where_the_resource_is_not_known() -> None:
    named = document({"Effect": "Allow", "Action": "sns:*", "Resource": "arn:aws:sns:*"})
    assert permitted(request(action="sns:Publish", resource=None), identity=[named], resource=None) is False
    assert (
        permitted(request(action="sns:Publish", resource=None), identity=[document(ALLOW_ALL)], resource=None) is True
    )


@pytest.mark.parametrize(
    "extra",
    [
        {"Condition": {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}},
        {"NotPrincipal": {"AWS": ROLE}},
        {"Resource": "arn:aws:kms:*:*:key/${aws:username}"},
        {"Effect": "Perhaps"},
        {"Grant": 1},
    ],
    ids=lambda extra: next(iter(extra)),
)
def test_an_element_that_is_not_evaluated_is_an_error(extra: dict[str, Any]) -> None:
    with pytest.raises(UnevaluatedElementError):
        permitted(request(), identity=[document({**ALLOW_ALL, **extra})], resource=None)


def test_a_federated_principal_is_an_error() -> None:
    policy = document({"Effect": "Allow", "Principal": {"Federated": "saml"}, "Action": "*", "Resource": "*"})
    with pytest.raises(UnevaluatedElementError, match="Federated"):
        permitted(request(), identity=[], resource=ResourcePolicy(document=policy, decisive=True))

"""Worked examples of the elements' own pages in IAM's user guide.

Pages, under https://docs.aws.amazon.com/IAM/latest/UserGuide/:
    notaction     reference_policies_elements_notaction.html
    notresource   reference_policies_elements_notresource.html
    resource      reference_policies_elements_resource.html
    action        reference_policies_elements_action.html
    variables     reference_policies_variables.html
    notprincipal  reference_policies_elements_notprincipal.html
    principal     reference_policies_elements_principal.html
    boundaries    access_policies_boundaries.html
"""

from __future__ import annotations

from typing import Any

import pytest

from seawall.iam import Policies, Principal, Request, permitted
from tests.testing.iam_requests import allow, deny, document, may, session, user

SOMEONE = user("someone")


@pytest.mark.parametrize(
    ("allowed", "statement", "action", "resource"),
    [
        pytest.param(
            True,
            {"Effect": "Allow", "NotAction": "s3:DeleteBucket", "Resource": "arn:aws:s3:::*"},
            "s3:PutObject",
            "arn:aws:s3:::b/o",
            id="notaction: every S3 action",
        ),
        pytest.param(
            False,
            {"Effect": "Allow", "NotAction": "s3:DeleteBucket", "Resource": "arn:aws:s3:::*"},
            "s3:DeleteBucket",
            "arn:aws:s3:::b",
            id="notaction: except for deleting a bucket",
        ),
        pytest.param(
            False,
            {"Effect": "Allow", "NotAction": "s3:DeleteBucket", "Resource": "arn:aws:s3:::*"},
            "s3:ListAllMyBuckets",
            "*",
            id="notaction: nor ListAllMyBuckets, which needs the * resource",
        ),
        pytest.param(
            False,
            {"Effect": "Allow", "NotAction": "s3:DeleteBucket", "Resource": "arn:aws:s3:::*"},
            "sqs:SendMessage",
            "arn:aws:sqs:us-east-1:1:q",
            id="notaction: nor another service's actions",
        ),
        pytest.param(
            True,
            {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},
            "sqs:SendMessage",
            "arn:aws:sqs:us-east-1:1:q",
            id="notaction: everything",
        ),
        pytest.param(
            False,
            {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},
            "iam:GetUser",
            "arn:aws:iam::1:user/u",
            id="notaction: except IAM",
        ),
        pytest.param(
            True, allow("iam:*AccessKey*"), "iam:CreateAccessKey", "*", id="action: wildcards"
        ),
        pytest.param(
            True,
            allow("IAM:listaccesskeys"),
            "iam:ListAccessKeys",
            "*",
            id="action: names have no case",
        ),
        pytest.param(
            False,
            allow("iam:ListAccessKeys"),
            "iam:ListAccessKeysX",
            "*",
            id="action: the whole name counts",
        ),
        pytest.param(False, allow([]), "iam:GetUser", "*", id="no action, no permission"),
    ],
)
def test_actions(allowed: bool, statement: dict[str, Any], action: str, resource: str) -> None:
    assert may(SOMEONE, action, resource, identity=[statement]) is allowed


@pytest.mark.parametrize(
    ("allowed", "mfa", "action"),
    [
        pytest.param(False, "false", "s3:GetObject", id="notaction: no second factor, not IAM"),
        pytest.param(True, "false", "iam:GetUser", id="notaction: no second factor, IAM"),
        pytest.param(True, "true", "s3:GetObject", id="notaction: second factor"),
        pytest.param(
            False, None, "s3:GetObject", id="notaction: BoolIfExists denies where the key is absent"
        ),
    ],
)
def test_a_deny_with_not_action(allowed: bool, mfa: str | None, action: str) -> None:
    statement = {
        "Effect": "Deny",
        "NotAction": "iam:*",
        "Resource": "*",
        "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
    }
    context = {} if mfa is None else {"aws:MultiFactorAuthPresent": mfa}
    assert may(SOMEONE, action, "*", identity=[allow("*"), statement], context=context) is allowed


PAYROLL = {
    "Effect": "Deny",
    "Action": "s3:*",
    "NotResource": ["arn:aws:s3:::HRBucket/Payroll", "arn:aws:s3:::HRBucket/Payroll/*"],
}


@pytest.mark.parametrize(
    ("allowed", "identity", "action", "resource"),
    [
        pytest.param(
            True,
            [allow("*"), PAYROLL],
            "s3:GetObject",
            "arn:aws:s3:::HRBucket/Payroll/may",
            id="notresource: in Payroll",
        ),
        pytest.param(
            False,
            [allow("*"), PAYROLL],
            "s3:GetObject",
            "arn:aws:s3:::HRBucket/new",
            id="notresource: a new folder",
        ),
        pytest.param(
            True,
            [allow("*"), PAYROLL],
            "ec2:StopInstances",
            "arn:aws:ec2:us-east-1:1:instance/i",
            id="notresource: another service",
        ),
        pytest.param(
            False,
            [PAYROLL],
            "s3:GetObject",
            "arn:aws:s3:::HRBucket/Payroll/may",
            id="notresource: grants nothing",
        ),
        pytest.param(
            True,
            [{"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::HRBucket"}],
            "iam:PutUserPolicy",
            "arn:aws:iam::1:user/u",
            id="notresource: the dangerous allow of everything else",
        ),
        pytest.param(
            False,
            [{"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::HRBucket"}],
            "s3:ListBucket",
            "arn:aws:s3:::HRBucket",
            id="notresource: but the bucket",
        ),
    ],
)
def test_not_resource(
    allowed: bool, identity: list[dict[str, Any]], action: str, resource: str
) -> None:
    assert may(SOMEONE, action, resource, identity=identity) is allowed


@pytest.mark.parametrize(
    ("matches", "pattern", "resource"),
    [
        (True, "arn:aws:sqs:us-east-2:1:queue1", "arn:aws:sqs:us-east-2:1:queue1"),
        (False, "arn:aws:sqs:us-east-2:1:queue1", "arn:aws:sqs:us-east-2:1:queue10"),
        (True, "arn:aws:iam::1:user/accounting/*", "arn:aws:iam::1:user/accounting/clerks/bob"),
        (False, "arn:aws:iam::1:user/accounting/*", "arn:aws:iam::1:user/Accounting/bob"),
        (True, "arn:aws:s3:::example/*/test/*", "arn:aws:s3:::example/1/2/3/test/4/object.jpg"),
        (True, "arn:aws:s3:::example/*/test/*", "arn:aws:s3:::example//test/object.jpg"),
        (True, "arn:aws:s3:::example/*/test/*", "arn:aws:s3:::example/1/test/"),
        (False, "arn:aws:s3:::example/*/test/*", "arn:aws:s3:::example/1-test/object.jpg"),
        (False, "arn:aws:s3:::example/*/test/*", "arn:aws:s3:::example/test/object.jpg"),
        (False, "arn:aws:s3:::example/*/test/*", "arn:aws:s3:::example/1/2/test.jpg"),
        (True, "arn:aws:kms:*:1:key/?rk-1", "arn:aws:kms:eu-west-1:1:key/mrk-1"),
        (False, "arn:aws:kms:*:key/mrk-1", "arn:aws:kms:us-east-1:1:key/mrk-1"),
        (True, "arn:aws:sqs", "arn:aws:sqs:us-east-1:1:queue"),
        (True, "arn:aws:logs:*:*:*", "arn:aws:logs:us-east-1:1:log-group:g:log-stream:s"),
        (True, "*", "arn:aws:sqs:us-east-1:1:queue"),
        (True, "*", "*"),
        (False, "arn:aws:sqs:*", "*"),
        (False, "arn:aws:s3:::a.c", "arn:aws:s3:::abc"),
    ],
)
def test_resources_match_within_the_segments_of_an_arn(
    matches: bool, pattern: str, resource: str
) -> None:
    """resource: "Using wildcards in resource ARNs", "Incomplete ARNs"."""
    assert may(SOMEONE, "any:Action", resource, identity=[allow("*", pattern)]) is matches


def test_where_the_resource_is_not_known_only_a_star_allows_and_every_deny_applies() -> None:
    """Ours: an action that the sandbox cannot place must not slip through."""
    assert may(SOMEONE, "x:Y", None, identity=[allow("x:*")])
    assert not may(SOMEONE, "x:Y", None, identity=[allow("x:*", "arn:aws:x:*")])
    assert not may(
        SOMEONE,
        "x:Y",
        None,
        identity=[{"Effect": "Allow", "Action": "x:*", "NotResource": "arn:aws:x:::y"}],
    )
    assert not may(SOMEONE, "x:Y", None, identity=[allow("x:*"), deny("x:*", "arn:aws:x:::y")])


HOME = [
    allow(
        "s3:ListBucket",
        "arn:aws:s3:::b",
        Condition={"StringLike": {"s3:prefix": ["", "homes/", "homes/${aws:username}/"]}},
    ),
    allow(
        "s3:*", ["arn:aws:s3:::b/homes/${aws:username}", "arn:aws:s3:::b/homes/${aws:username}/*"]
    ),
    allow("x:*", "arn:aws:x:::team-${aws:PrincipalTag/team, 'company-wide'}"),
    allow("y:*", "arn:aws:y:::${*}${?}${$}"),
    deny(
        "z:*", Condition={"StringNotEquals": {"aws:ResourceTag/Team": "${aws:PrincipalTag/Team}"}}
    ),
    allow("z:*"),
]
BOB = {"aws:username": "bob"}


@pytest.mark.parametrize(
    ("allowed", "action", "resource", "context"),
    [
        pytest.param(
            True, "s3:PutObject", "arn:aws:s3:::b/homes/bob/o", BOB, id="variables: his own home"
        ),
        pytest.param(
            False, "s3:PutObject", "arn:aws:s3:::b/homes/eve/o", BOB, id="variables: another's home"
        ),
        pytest.param(
            False,
            "s3:PutObject",
            "arn:aws:s3:::b/homes//o",
            {},
            id="variables: no value matches no resource",
        ),
        pytest.param(
            True,
            "s3:ListBucket",
            "arn:aws:s3:::b",
            {**BOB, "s3:prefix": "homes/bob/"},
            id="variables: in a condition",
        ),
        pytest.param(
            True,
            "s3:ListBucket",
            "arn:aws:s3:::b",
            {**BOB, "s3:prefix": ""},
            id="variables: an empty prefix",
        ),
        pytest.param(
            False,
            "s3:ListBucket",
            "arn:aws:s3:::b",
            {**BOB, "s3:prefix": "homes/eve/"},
            id="variables: another's prefix",
        ),
        pytest.param(
            False,
            "s3:ListBucket",
            "arn:aws:s3:::b",
            {"s3:prefix": "homes//"},
            id="variables: no value equals nothing",
        ),
        pytest.param(
            True,
            "x:Y",
            "arn:aws:x:::team-yellow",
            {"aws:PrincipalTag/team": "yellow"},
            id="variables: a tag",
        ),
        pytest.param(True, "x:Y", "arn:aws:x:::team-company-wide", {}, id="variables: a default"),
        pytest.param(False, "x:Y", "arn:aws:x:::team-yellow", {}, id="variables: only the default"),
        pytest.param(
            False,
            "x:Y",
            "arn:aws:x:::team-anything",
            {"aws:PrincipalTag/team": "*"},
            id="a value is no wildcard",
        ),
        pytest.param(
            False,
            "x:Y",
            "arn:aws:x:::team-anything",
            {"aws:PrincipalTag/team": ".*"},
            id="a value is no expression",
        ),
        pytest.param(True, "y:Z", "arn:aws:y:::*?$", {}, id="variables: special characters"),
        pytest.param(False, "y:Z", "arn:aws:y:::abc", {}, id="variables: which are no wildcards"),
        pytest.param(
            False,
            "z:A",
            "*",
            {"aws:ResourceTag/Team": "red"},
            id="variables: a negated operator matches no value",
        ),
        pytest.param(
            True,
            "z:A",
            "*",
            {"aws:ResourceTag/Team": "red", "aws:PrincipalTag/Team": "red"},
            id="variables: equal tags",
        ),
    ],
)
def test_variables(allowed: bool, action: str, resource: str, context: dict[str, str]) -> None:
    assert may(SOMEONE, action, resource, identity=HOME, context=context) is allowed


@pytest.mark.parametrize("version", ["2008-10-17", None])
def test_an_old_version_takes_variables_for_text(version: str | None) -> None:
    """reference_policies_elements_version.html.

    Without version 2012-10-17 a variable is a literal string.
    """
    text = document(allow("s3:*", "arn:aws:s3:::b/${aws:username}"), version=version)

    def asks(name: str) -> bool:
        request = Request(
            principal=SOMEONE,
            action="s3:GetObject",
            resource=f"arn:aws:s3:::b/{name}",
            context={"aws:username": "bob"},
        )
        return permitted(request, Policies(identity=(text,)))

    assert asks("${aws:username}")
    assert not asks("bob")


BUCKET = ["arn:aws:s3:::BUCKETNAME", "arn:aws:s3:::BUCKETNAME/*"]
BOB_HIMSELF = user("Bob", account="444455556666")
AUDIT = session("cross-account-read-only-role", "cross-account-audit-app", account="444455556666")
ROOT = "arn:aws:iam::444455556666:root"


@pytest.mark.parametrize(
    ("allowed", "who", "spared", "more"),
    [
        pytest.param(
            True, BOB_HIMSELF, [BOB_HIMSELF.arn, ROOT], {}, id="notprincipal: Bob and his account"
        ),
        pytest.param(
            False,
            user("Eve", account="444455556666"),
            [BOB_HIMSELF.arn, ROOT],
            {},
            id="notprincipal: Eve",
        ),
        pytest.param(
            False, BOB_HIMSELF, [BOB_HIMSELF.arn], {}, id="notprincipal: Bob without his account"
        ),
        pytest.param(
            True,
            AUDIT,
            [AUDIT.arn, AUDIT.role, ROOT],
            {},
            id="notprincipal: session, role and account",
        ),
        pytest.param(
            False, AUDIT, [AUDIT.arn, ROOT], {}, id="notprincipal: a session without its role"
        ),
        pytest.param(
            False,
            AUDIT,
            [AUDIT.arn, AUDIT.role],
            {},
            id="notprincipal: a session without its account",
        ),
        pytest.param(
            False,
            session("cross-account-read-only-role", "other", account="444455556666"),
            [AUDIT.arn, AUDIT.role, ROOT],
            {},
            id="notprincipal: another session of the role",
        ),
        pytest.param(
            False,
            BOB_HIMSELF,
            [BOB_HIMSELF.arn, ROOT],
            {"boundary": [allow("*")]},
            id="boundaries: a principal with a boundary is always denied",
        ),
    ],
)
def test_not_principal_denies_all_but_those_listed_in_full(
    allowed: bool, who: Principal, spared: list[str], more: dict[str, Any]
) -> None:
    statement = {
        "Effect": "Deny",
        "NotPrincipal": {"AWS": spared},
        "Action": "s3:*",
        "Resource": BUCKET,
    }
    asked = may(
        who,
        "s3:GetObject",
        "arn:aws:s3:::BUCKETNAME/o",
        identity=[allow("*")],
        on_resource=[statement],
        **more,
    )
    assert asked is allowed


ME = user("me")
MY_ROLE = session("mine")


@pytest.mark.parametrize(
    ("named", "who", "principal"),
    [
        pytest.param(True, ME, "*", id="principal: everyone"),
        pytest.param(True, ME, {"AWS": "*"}, id="principal: everyone, the other way"),
        pytest.param(True, ME, {"AWS": ME.arn}, id="principal: the user"),
        pytest.param(
            True,
            ME,
            {"AWS": ["arn:aws:iam::123456789012:user/other", ME.arn]},
            id="principal: one of two",
        ),
        pytest.param(
            False, ME, {"AWS": "arn:aws:iam::123456789012:user/Me"}, id="principal: names have case"
        ),
        pytest.param(True, ME, {"AWS": "AIDAME"}, id="principal: the user's unique id"),
        pytest.param(False, ME, {"AWS": "AIDADELETED"}, id="principal: a user that was deleted"),
        pytest.param(True, MY_ROLE, {"AWS": MY_ROLE.role}, id="principal: the role"),
        pytest.param(True, MY_ROLE, {"AWS": MY_ROLE.arn}, id="principal: the session"),
        pytest.param(
            False, MY_ROLE, {"AWS": session("mine", "other").arn}, id="principal: another session"
        ),
        pytest.param(
            False, ME, {"Service": "ecs.amazonaws.com"}, id="principal: a service is not the caller"
        ),
        pytest.param(
            True,
            ME,
            {"Service": "ecs.amazonaws.com", "AWS": ME.arn},
            id="principal: a service and the user",
        ),
    ],
)
def test_a_principal_names_the_caller(named: bool, who: Principal, principal: Any) -> None:
    statement = allow("sqs:*", "*", Principal=principal)
    assert (
        may(who, "sqs:SendMessage", "arn:aws:sqs:us-east-1:1:q", on_resource=[statement]) is named
    )
    statement = deny("sqs:*", "*", Principal=principal)
    asked = may(
        who,
        "sqs:SendMessage",
        "arn:aws:sqs:us-east-1:1:q",
        identity=[allow("*")],
        on_resource=[statement],
    )
    assert asked is not named


def test_everyone_can_be_denied_but_one_by_a_condition() -> None:
    """principal: "All principals", the statement to use instead of NotPrincipal."""
    statement = deny(
        "s3:*",
        BUCKET,
        Principal="*",
        Condition={"ArnNotEquals": {"aws:PrincipalArn": MY_ROLE.role}},
    )
    for who, allowed in ((MY_ROLE, True), (session("other"), False), (ME, False)):
        context = {"aws:PrincipalArn": who.role or who.arn}
        asked = may(
            who,
            "s3:GetObject",
            "arn:aws:s3:::BUCKETNAME/o",
            identity=[allow("*")],
            on_resource=[statement],
            context=context,
        )
        assert asked is allowed

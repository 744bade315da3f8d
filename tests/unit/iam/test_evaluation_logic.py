"""Worked examples of IAM's user guide on how policies are evaluated together.

Pages, under https://docs.aws.amazon.com/IAM/latest/UserGuide/:
    basics        reference_policies_evaluation-logic_policy-eval-basics.html
    denyallow     reference_policies_evaluation-logic_policy-eval-denyallow.html
    interplay     reference_policies_evaluation-logic_AccessPolicyLanguage_Interplay.html
    cross-account reference_policies_evaluation-logic-cross-account.html
    assumerole    id_credentials_temp_control-access_assumerole.html
    principal     reference_policies_elements_principal.html
"""

from __future__ import annotations

from typing import Any

import pytest

from seawall.iam import Principal
from tests.testing.iam_requests import allow, deny, may, session, user

CARLOS = user("carlossalazar")
HIS_BUCKET = ["arn:aws:s3:::carlossalazar/*", "arn:aws:s3:::carlossalazar"]
CARLOS_MAY = [allow("s3:*", HIS_BUCKET), deny("s3:*", "arn:aws:s3:::*log*")]
BUCKET_POLICY = [allow("s3:*", HIS_BUCKET, Principal={"AWS": CARLOS.arn})]


@pytest.mark.parametrize(
    ("allowed", "identity", "bucket", "policy"),
    [
        pytest.param(
            False,
            CARLOS_MAY,
            "carlossalazar-logs",
            None,
            id="basics: a log bucket is denied explicitly",
        ),
        pytest.param(
            True,
            CARLOS_MAY,
            "carlossalazar",
            BUCKET_POLICY,
            id="basics: both policies allow his own bucket",
        ),
        pytest.param(
            True,
            [],
            "carlossalazar",
            BUCKET_POLICY,
            id="basics: the bucket's policy alone is enough",
        ),
        pytest.param(
            True, CARLOS_MAY, "carlossalazar", None, id="basics: his own policy alone is enough"
        ),
        pytest.param(
            False, [], "carlossalazar", None, id="denyallow: everything is denied by default"
        ),
        pytest.param(
            False,
            CARLOS_MAY,
            "carlossalazar",
            [deny("s3:*", HIS_BUCKET, Principal={"AWS": CARLOS.arn})],
            id="basics: a deny in either wins",
        ),
    ],
)
def test_an_identity_policy_or_the_buckets_policy_allows(
    allowed: bool, identity: list[dict[str, Any]], bucket: str, policy: list[dict[str, Any]] | None
) -> None:
    asked = f"arn:aws:s3:::{bucket}/file"
    assert may(CARLOS, "s3:PutObject", asked, identity=identity, on_resource=policy) is allowed


GET_AND_LIST = [allow(["iam:Get*", "iam:List*"]), deny("iam:*Report")]


@pytest.mark.parametrize(
    ("allowed", "action", "added"),
    [
        pytest.param(True, "iam:GetRole", [], id="interplay: allowed"),
        pytest.param(False, "iam:CreatePolicy", [], id="interplay: denied implicitly"),
        pytest.param(
            False, "iam:GetOrganizationsAccessReport", [], id="interplay: denied explicitly"
        ),
        pytest.param(
            False,
            "iam:GenerateCredentialReport",
            [allow("iam:GenerateCredentialReport")],
            id="interplay: still denied where another policy allows it",
        ),
    ],
)
def test_an_explicit_deny_is_not_overcome(
    allowed: bool, action: str, added: list[dict[str, Any]]
) -> None:
    assert may(CARLOS, action, "*", identity=[*GET_AND_LIST, *added]) is allowed


FOREIGN = user("carlossalazar", account="111111111111")
FOREIGN_MAY = [
    allow("s3:ListAllMyBuckets"),
    allow("s3:*Object*", "arn:aws:s3:::Production/*"),
    deny("s3:*", ["arn:aws:s3:::*log*", "arn:aws:s3:::*log*/*"]),
]
PRODUCTION = [
    allow(
        ["s3:GetObject*", "s3:PutObject*", "s3:ReplicateObject", "s3:RestoreObject"],
        "arn:aws:s3:::Production/*",
        Principal={"AWS": FOREIGN.arn},
    )
]


@pytest.mark.parametrize(
    ("allowed", "action", "bucket", "identity", "policy"),
    [
        pytest.param(
            False,
            "s3:PutObject",
            "Production-logs",
            FOREIGN_MAY,
            None,
            id="cross-account: denied in his own account",
        ),
        pytest.param(
            True,
            "s3:PutObject",
            "Production",
            FOREIGN_MAY,
            PRODUCTION,
            id="cross-account: allowed in both accounts",
        ),
        pytest.param(
            False,
            "s3:DeleteObject",
            "Production",
            FOREIGN_MAY,
            PRODUCTION,
            id="cross-account: only his own allows",
        ),
        pytest.param(
            False,
            "s3:PutObject",
            "Production",
            [],
            PRODUCTION,
            id="cross-account: only the bucket's policy allows",
        ),
        pytest.param(
            True,
            "s3:PutObject",
            "Production",
            FOREIGN_MAY,
            [allow("s3:PutObject", "arn:aws:s3:::Production/*", Principal={"AWS": "111111111111"})],
            id="cross-account: the bucket's policy may name the whole account",
        ),
    ],
)
def test_across_accounts_both_sides_must_allow(
    allowed: bool,
    action: str,
    bucket: str,
    identity: list[dict[str, Any]],
    policy: list[dict[str, Any]] | None,
) -> None:
    asked = f"arn:aws:s3:::{bucket}/file"
    assert (
        may(FOREIGN, action, asked, identity=identity, on_resource=policy, owner="222222222222")
        is allowed
    )


ROLE = session("examplerole", "examplerolesessionname")
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:s-abcdef"
NOTHING: list[dict[str, Any]] = []


def granted(principal: Any, **more: Any) -> list[dict[str, Any]]:
    return [allow("secretsmanager:GetSecretValue", "*", Principal=principal, **more)]


OF_THE_ROLE = {"ArnEquals": {"aws:PrincipalArn": ROLE.role}}


@pytest.mark.parametrize(
    ("allowed", "who", "policy", "limits"),
    [
        pytest.param(
            True, ROLE, granted({"AWS": ROLE.role}), {}, id="denyallow: role, no identity policy"
        ),
        pytest.param(
            False,
            ROLE,
            granted({"AWS": ROLE.role}),
            {"boundary": NOTHING},
            id="denyallow: role, boundary silent",
        ),
        pytest.param(
            False,
            ROLE,
            granted({"AWS": ROLE.role}),
            {"passed": [NOTHING]},
            id="denyallow: role, session policy silent",
        ),
        pytest.param(
            True,
            ROLE,
            granted({"AWS": ROLE.arn}),
            {"boundary": NOTHING, "passed": [NOTHING]},
            id="denyallow: session, boundary and session policy silent",
        ),
        pytest.param(
            True,
            user("examplerole"),
            granted({"AWS": user("examplerole").arn}),
            {"boundary": NOTHING},
            id="denyallow: user, boundary silent",
        ),
        pytest.param(
            False,
            ROLE,
            granted({"AWS": "arn:aws:iam::123456789012:root"}),
            {},
            id="principal: the account delegates to its identity policies",
        ),
        pytest.param(
            True,
            ROLE,
            granted({"AWS": "123456789012"}),
            {"identity": [allow("secretsmanager:*")]},
            id="principal: which then allow",
        ),
        pytest.param(
            True,
            ROLE,
            granted("*", Condition=OF_THE_ROLE),
            {"boundary": NOTHING, "passed": [NOTHING]},
            id="principal: everyone with aws:PrincipalArn of the role, past boundary and "
            "session policy",
        ),
        pytest.param(
            False,
            session("another"),
            granted("*", Condition=OF_THE_ROLE),
            {},
            id="principal: everyone with aws:PrincipalArn of the role, and another role",
        ),
        pytest.param(
            False,
            ROLE,
            granted({"AWS": ROLE.arn}),
            {"boundary": [deny("secretsmanager:*")]},
            id="denyallow: session, denied by the boundary explicitly",
        ),
        pytest.param(
            False,
            ROLE,
            granted({"AWS": ROLE.arn}),
            {"passed": [[deny("*")]]},
            id="denyallow: session, denied by the session policy explicitly",
        ),
        pytest.param(
            False,
            ROLE,
            granted({"AWS": ROLE.arn}),
            {"identity": [deny("*")]},
            id="denyallow: session, denied by an identity policy explicitly",
        ),
    ],
)
def test_what_a_grant_allows_depends_on_the_principal_that_it_names(
    allowed: bool, who: Principal, policy: list[dict[str, Any]], limits: dict[str, Any]
) -> None:
    context = {"aws:PrincipalArn": who.role or who.arn}
    asked = may(
        who, "secretsmanager:GetSecretValue", SECRET, on_resource=policy, context=context, **limits
    )
    assert asked is allowed


APP = "arn:aws:s3:::productionapp"
ROLE_MAY = [
    allow("s3:ListBucket", APP),
    allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], f"{APP}/*"),
]
PASSED = [allow("s3:ListBucket", APP), allow(["s3:GetObject", "s3:PutObject"], f"{APP}/*")]
NO_DELETION = [deny("s3:DeleteObject", f"{APP}/*", Principal={"AWS": "*"})]


@pytest.mark.parametrize(
    ("allowed", "action", "resource", "more"),
    [
        pytest.param(
            True, "s3:DeleteObject", f"{APP}/o", {}, id="assumerole: the role's own permissions"
        ),
        pytest.param(
            False,
            "s3:DeleteObject",
            f"{APP}/o",
            {"passed": [PASSED]},
            id="assumerole: filtered out by the session policy",
        ),
        pytest.param(
            True, "s3:PutObject", f"{APP}/o", {"passed": [PASSED]}, id="assumerole: in both"
        ),
        pytest.param(
            True,
            "s3:ListBucket",
            APP,
            {"passed": [PASSED]},
            id="assumerole: the bucket itself, in both",
        ),
        pytest.param(
            False,
            "s3:PutObjectAcl",
            f"{APP}/o",
            {"passed": [[allow("s3:*")]]},
            id="assumerole: a session policy grants nothing that the role lacks",
        ),
        pytest.param(
            True,
            "s3:PutObject",
            f"{APP}/o",
            {"passed": [[allow("s3:GetObject")], [allow("s3:PutObject")]]},
            id="assumerole: several session policies add up",
        ),
        pytest.param(
            False,
            "s3:DeleteObject",
            f"{APP}/o",
            {"on_resource": NO_DELETION},
            id="assumerole: the bucket's policy denies everyone",
        ),
        pytest.param(
            True,
            "s3:GetObject",
            f"{APP}/o",
            {"on_resource": NO_DELETION},
            id="assumerole: and only what it says",
        ),
    ],
)
def test_a_session_policy_narrows_a_role(
    allowed: bool, action: str, resource: str, more: dict[str, Any]
) -> None:
    assert may(session("app"), action, resource, identity=ROLE_MAY, **more) is allowed


def test_a_session_is_within_boundary_and_session_policy_at_once() -> None:
    """access_policies_boundaries.html.

    The effective permissions are the intersection of all three policy types.
    """
    everything = [allow("*")]
    only_sns, only_sqs = [allow("sns:*")], [allow("sqs:*")]
    topic, who = "arn:aws:sns:us-east-1:123456789012:t", session("app")
    assert may(who, "sns:Publish", topic, identity=everything, boundary=only_sns, passed=[only_sns])
    assert not may(
        who, "sns:Publish", topic, identity=everything, boundary=only_sns, passed=[only_sqs]
    )
    assert not may(
        who, "sns:Publish", topic, identity=everything, boundary=only_sqs, passed=[only_sns]
    )
    assert not may(
        who, "sns:Publish", topic, identity=only_sqs, boundary=only_sns, passed=[only_sns]
    )

"""KMS keys and roles: the policy of the resource decides.

Worked examples of KMS's developer guide and IAM's user guide.

Pages, under https://docs.aws.amazon.com/kms/latest/developerguide/ unless they say otherwise:
    key-policies  key-policies.html
    default       key-policy-default.html
    overview      key-policy-overview.html
    conditions    conditions-kms.html
    grants        grants.html
    trust         IAM user guide, reference_policies_evaluation-logic_policy-eval-denyallow.html
                  and id_roles_terms-and-concepts.html
"""

from __future__ import annotations

from typing import Any

import pytest

from seawall.iam import Principal
from tests.testing.iam_requests import allow, deny, may, session, user

KEY = "arn:aws:kms:us-east-1:123456789012:key/mrk-1"
ROOT = {"AWS": "arn:aws:iam::123456789012:root"}
SIGNER, ADMIN = session("signer"), session("admin")
NOTHING: list[dict[str, Any]] = []
DEFAULT = [allow("kms:*", Principal=ROOT)]
ROLES = [
    allow(["kms:Sign", "kms:Verify", "kms:DescribeKey"], Principal={"AWS": SIGNER.role}),
    allow(
        ["kms:DescribeKey", "kms:Put*", "kms:ScheduleKeyDeletion"], Principal={"AWS": ADMIN.role}
    ),
]


@pytest.mark.parametrize(
    ("allowed", "who", "action", "policy", "more"),
    [
        pytest.param(
            True,
            SIGNER,
            "kms:Sign",
            DEFAULT,
            {"identity": [allow("kms:Sign", KEY)]},
            id="default: an IAM policy allows",
        ),
        pytest.param(
            False,
            SIGNER,
            "kms:Sign",
            DEFAULT,
            {},
            id="default: the account's statement alone grants nothing",
        ),
        pytest.param(
            False,
            SIGNER,
            "kms:Sign",
            ROLES[1:],
            {"identity": [allow("kms:*")]},
            id="key-policies: without the key policy's permission IAM policies have no effect",
        ),
        pytest.param(
            False,
            SIGNER,
            "kms:Sign",
            NOTHING,
            {"identity": [allow("kms:*")]},
            id="key-policies: an empty policy locks the key",
        ),
        pytest.param(
            True, SIGNER, "kms:Sign", ROLES, {}, id="key-policies: the key policy alone is enough"
        ),
        pytest.param(
            False,
            SIGNER,
            "kms:Sign",
            ROLES,
            {"identity": [deny("kms:Sign", KEY)]},
            id="key-policies: an IAM policy may deny without the key policy's permission",
        ),
        pytest.param(
            False,
            SIGNER,
            "kms:Sign",
            [*ROLES, deny("kms:Sign", Principal={"AWS": SIGNER.role})],
            {"identity": [allow("*")]},
            id="key-policies: denied explicitly by the key policy",
        ),
        pytest.param(
            False,
            SIGNER,
            "kms:Sign",
            [*ROLES, deny("kms:Sign", Principal=ROOT)],
            {"identity": [allow("*")]},
            id="key-policies: a deny of the account hits everyone in it",
        ),
        pytest.param(
            False, SIGNER, "kms:PutKeyPolicy", ROLES, {}, id="overview: a user is no administrator"
        ),
        pytest.param(
            True,
            ADMIN,
            "kms:ScheduleKeyDeletion",
            ROLES,
            {},
            id="overview: an administrator administers",
        ),
        pytest.param(False, ADMIN, "kms:Sign", ROLES, {}, id="overview: and does not use the key"),
        pytest.param(
            False,
            user("Eve", account="210987654321"),
            "kms:Sign",
            DEFAULT,
            {"identity": [allow("*")]},
            id="default: another account is not meant",
        ),
        pytest.param(
            False,
            SIGNER,
            "kms:Sign",
            ROLES,
            {"boundary": [allow("s3:*")]},
            id="trust: a role's grant stays within its boundary",
        ),
        pytest.param(
            True,
            SIGNER,
            "kms:Sign",
            ROLES,
            {"boundary": [allow("kms:Sign")]},
            id="trust: which may allow it",
        ),
        pytest.param(
            False,
            SIGNER,
            "kms:Sign",
            [*ROLES, *DEFAULT],
            {"passed": [[allow("kms:Verify")]]},
            id="trust: and within the session's policy",
        ),
    ],
)
def test_a_key_policy_has_the_first_and_last_word(
    allowed: bool, who: Principal, action: str, policy: list[dict[str, Any]], more: dict[str, Any]
) -> None:
    assert (
        may(who, action, KEY, on_resource=policy, decisive=True, owner="123456789012", **more)
        is allowed
    )


@pytest.mark.parametrize(
    ("allowed", "action", "condition", "context"),
    [
        pytest.param(
            True,
            "kms:Sign",
            {"StringEquals": {"kms:SigningAlgorithm": "ECDSA_SHA_256"}},
            {"kms:SigningAlgorithm": "ECDSA_SHA_256"},
            id="conditions: kms:SigningAlgorithm",
        ),
        pytest.param(
            False,
            "kms:Sign",
            {"StringEquals": {"kms:SigningAlgorithm": "ECDSA_SHA_512"}},
            {"kms:SigningAlgorithm": "ECDSA_SHA_256"},
            id="conditions: another kms:SigningAlgorithm",
        ),
        pytest.param(
            True,
            "kms:Sign",
            {"StringEquals": {"kms:MessageType": "DIGEST"}},
            {"kms:MessageType": "DIGEST"},
            id="conditions: kms:MessageType",
        ),
        pytest.param(
            False,
            "kms:Sign",
            {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}},
            {},
            id="conditions: kms:ViaService is absent from a direct call",
        ),
        pytest.param(
            False,
            "kms:ScheduleKeyDeletion",
            {"NumericGreaterThanEquals": {"kms:ScheduleKeyDeletionPendingWindowInDays": "30"}},
            {"kms:ScheduleKeyDeletionPendingWindowInDays": "7"},
            id="conditions: kms:ScheduleKeyDeletionPendingWindowInDays",
        ),
        pytest.param(
            True,
            "kms:Sign",
            {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/hot"}},
            {"kms:ResourceAliases": ("alias/a", "alias/hot")},
            id="conditions: kms:ResourceAliases",
        ),
        pytest.param(
            False,
            "kms:Sign",
            {"StringEquals": {"kms:RequestAlias": "alias/hot"}},
            {},
            id="conditions: kms:RequestAlias is absent where the key is named by its id",
        ),
        pytest.param(
            False,
            "kms:CreateGrant",
            {"Bool": {"kms:GrantIsForAWSResource": True}},
            {"kms:GrantIsForAWSResource": "false"},
            id="conditions: kms:GrantIsForAWSResource",
        ),
    ],
)
def test_conditions_of_a_key_policy(
    allowed: bool, action: str, condition: dict[str, Any], context: dict[str, Any]
) -> None:
    statement = allow(action, Principal={"AWS": SIGNER.role}, Condition=condition)
    assert (
        may(SIGNER, action, KEY, on_resource=[statement], decisive=True, context=context) is allowed
    )


ROLE_ARN = "arn:aws:iam::123456789012:role/target"


@pytest.mark.parametrize(
    ("allowed", "trusted", "identity"),
    [
        pytest.param(True, {"AWS": user("me").arn}, [], id="trust: the user itself"),
        pytest.param(False, {"AWS": user("other").arn}, [allow("sts:*")], id="trust: another user"),
        pytest.param(
            False, ROOT, [], id="trust: the account, which leaves it to the user's policies"
        ),
        pytest.param(
            True,
            ROOT,
            [allow("sts:AssumeRole", ROLE_ARN)],
            id="trust: the account, and a policy of the user",
        ),
        pytest.param(
            False, {"Service": "ecs.amazonaws.com"}, [allow("sts:*")], id="trust: a service"
        ),
        pytest.param(
            False,
            {"AWS": user("me").arn},
            [deny("sts:AssumeRole")],
            id="trust: the user, whose policy denies",
        ),
    ],
)
def test_a_trust_policy_must_name_who_assumes_the_role(
    allowed: bool, trusted: dict[str, str], identity: list[dict[str, Any]]
) -> None:
    trust = {"Effect": "Allow", "Principal": trusted, "Action": "sts:AssumeRole"}
    asked = may(
        user("me"),
        "sts:AssumeRole",
        ROLE_ARN,
        identity=identity,
        on_resource=[trust],
        decisive=True,
    )
    assert asked is allowed


@pytest.mark.parametrize(("allowed", "given"), [(True, "12345"), (False, "54321"), (False, None)])
def test_an_external_id_is_asked_for(allowed: bool, given: str | None) -> None:
    """IAM user guide, id_roles_common-scenarios_third-party.html.

    The key sts:ExternalId in the trust policy of another account.
    """
    stranger = user("them", account="210987654321")
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": "210987654321"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": "12345"}},
    }
    asked = may(
        stranger,
        "sts:AssumeRole",
        ROLE_ARN,
        identity=[allow("sts:*")],
        on_resource=[trust],
        decisive=True,
        owner="123456789012",
        context={} if given is None else {"sts:ExternalId": given},
    )
    assert asked is allowed

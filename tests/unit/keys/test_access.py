"""The declared matrix of who may do what with which key, stated here a second time by hand."""

from __future__ import annotations

import json
from collections import Counter
from itertools import product

import pytest

from seawall.iam.evaluation import decide
from seawall.iam.request import Policies, Request, ResourcePolicy
from seawall.iam.request import Principal as IamPrincipal
from seawall.keys import access as s
from tests.testing.declared import ACCOUNT, POLICY, PRIMARY, STANDBY

ESCROW = s.wallet_key(POLICY, "escrow-aster-hot")
CUSTOMER = s.wallet_key(POLICY, "customer-aster-hot")
LEAD = s.approver_key(POLICY, "treasury-lead")
SIGNER = s.signer(POLICY, "escrow-aster-hot", PRIMARY)
ADMIN, GLASS = s.admin(POLICY, "escrow"), s.break_glass(POLICY, "escrow")
APPROVER = s.approver(POLICY, "treasury-lead")
CHANGES = {tried.action for tried in s.TRIED if tried.changes}


def allowed(
    principal: s.Principal, key: s.SigningKey, region: str = PRIMARY, *, protected: bool = True
) -> set[str]:
    """Return the tried actions that must succeed for ``principal``."""
    found = {
        cell.tried.action
        for cell in s.matrix(POLICY, protected=protected, who=[principal])
        if (cell.key, cell.region) == (key, region) and cell.allowed
    }
    for tried in s.TRIED:
        one = s.expected(
            POLICY,
            principal=principal,
            key=key,
            region=region,
            action=tried.action,
            protected=protected,
        )
        assert one is (tried.action in found)
    return found


def test_a_signer_signs_with_its_own_key_in_its_own_region_and_nothing_else() -> None:
    assert allowed(SIGNER, ESCROW) == {"kms:Sign", "kms:GetPublicKey"}
    assert allowed(SIGNER, ESCROW, STANDBY) == set()
    assert allowed(SIGNER, CUSTOMER) == set()
    assert allowed(SIGNER, LEAD) == set()


@pytest.mark.parametrize("protected", [True, False])
def test_an_admin_writes_policies_and_neither_signs_nor_stops(*, protected: bool) -> None:
    for region in (PRIMARY, STANDBY):
        assert allowed(ADMIN, ESCROW, region, protected=protected) == {
            "kms:GetPublicKey",
            "kms:DescribeKey",
            "kms:GetKeyPolicy",
            "kms:PutKeyPolicy",
            "kms:TagResource",
            "kms:UpdateKeyDescription",
        }
        assert allowed(ADMIN, CUSTOMER, region, protected=protected) == set()


@pytest.mark.parametrize("protected", [True, False])
def test_break_glass_stops_and_rescues_and_neither_signs_nor_deletes(*, protected: bool) -> None:
    expected = {"kms:DescribeKey", "kms:DisableKey", "kms:EnableKey", "kms:CancelKeyDeletion"}
    assert allowed(GLASS, ESCROW, protected=protected) == expected
    assert (
        allowed(GLASS, CUSTOMER, protected=protected)
        == allowed(GLASS, LEAD, protected=protected)
        == set()
    )


def test_an_approver_signs_with_its_own_key_in_both_regions() -> None:
    for region in (PRIMARY, STANDBY):
        assert allowed(APPROVER, LEAD, region) == {"kms:Sign", "kms:GetPublicKey"}
    assert (
        allowed(APPROVER, ESCROW)
        == allowed(APPROVER, s.approver_key(POLICY, "incident-commander"))
        == set()
    )


def test_the_kit_game_days_and_faults_reach_no_key() -> None:
    who = [s.kit(POLICY), s.gameday(POLICY), s.fault(POLICY)]
    cells = s.matrix(POLICY, protected=True, who=who)
    assert Counter(cell.allowed for cell in cells) == {
        False: len(who) * len(s.keys(POLICY)) * 2 * len(s.TRIED)
    }


def test_the_deployer_provisions_never_signs_and_cannot_stop_or_delete_a_protected_key() -> None:
    provisions = {
        "kms:GetPublicKey", "kms:DescribeKey", "kms:GetKeyPolicy", "kms:PutKeyPolicy",
        "kms:TagResource", "kms:UpdateKeyDescription", "kms:UpdateAlias", "kms:ReplicateKey",
    }  # fmt: skip
    for key in (ESCROW, LEAD):
        assert allowed(s.DEPLOYER, key) == provisions
        assert allowed(s.DEPLOYER, key, protected=False) == provisions | {
            "kms:ScheduleKeyDeletion",
            "kms:DisableKey",
            "kms:EnableKey",
            "kms:CancelKeyDeletion",
        }


def test_no_role_makes_a_grant_or_moves_the_primary_and_one_signs_per_wallet_and_region() -> None:
    cells = [cell for protected in (True, False) for cell in s.matrix(POLICY, protected=protected)]
    cells += s.matrix(POLICY, protected=False, who=[s.DEPLOYER])
    assert not [
        cell
        for cell in cells
        if cell.tried.action in ("kms:CreateGrant", "kms:UpdatePrimaryRegion") and cell.allowed
    ]
    signs = Counter(
        (cell.key.name, cell.region)
        for cell in s.matrix(POLICY, protected=True)
        if cell.tried.action == "kms:Sign" and cell.allowed
    )
    assert signs == {
        (key.name, region): 1 for key, region in product(s.keys(POLICY), (PRIMARY, STANDBY))
    }


def test_the_matrix_has_every_cell_once() -> None:
    cells = Counter(
        (cell.principal, cell.key, cell.region, cell.tried)
        for cell in s.matrix(POLICY, protected=True)
    )
    assert set(cells.values()) == {1}
    assert len(cells) == len(s.principals(POLICY)) * len(s.keys(POLICY)) * 2 * len(s.TRIED)


def test_every_role_has_a_name_of_its_own() -> None:
    names = [principal.name for principal in s.principals(POLICY)]
    assert len(names) == len(set(names))


def test_a_document_allows_what_its_statements_allow() -> None:
    """The document is evaluated here as AWS does for these elements.

    Named principals, and a deny for all but the named.
    """
    for key, region, protected in product((ESCROW, LEAD), (PRIMARY, STANDBY), (True, False)):
        statements = s.key_policy(POLICY, key, region, account=ACCOUNT, protected=protected)[
            "Statement"
        ]
        for principal in s.principals(POLICY):
            arn = principal.arn(ACCOUNT)
            for tried in s.TRIED:
                effects = set()
                for statement in statements:
                    named = statement["Principal"]["AWS"]
                    excepted = (
                        statement.get("Condition", {})
                        .get("ArnNotEquals", {})
                        .get("aws:PrincipalArn")
                    )
                    if (
                        tried.action in statement["Action"]
                        and named in ("*", arn)
                        and excepted != arn
                    ):
                        effects.add(statement["Effect"])
                expected = s.expected(
                    POLICY,
                    principal=principal,
                    key=key,
                    region=region,
                    action=tried.action,
                    protected=protected,
                )
                assert expected is (effects == {"Allow"}), (principal, key, region, tried)


@pytest.mark.parametrize("protected", [True, False])
def test_what_is_attached_to_a_role_of_the_stack_allows_it_nothing_more(*, protected: bool) -> None:
    """The fault role may write any inline policy of a signer's role; so an Allow must be in vain.

    Evaluated as AWS does, without the boundary, which denies most of it a second time.
    """
    document = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
    everything = json.dumps({"Version": "2012-10-17", "Statement": [document]})
    for key, region in product((ESCROW, CUSTOMER, LEAD), (PRIMARY, STANDBY)):
        written = s.key_policy(POLICY, key, region, account=ACCOUNT, protected=protected)
        resource = ResourcePolicy(documents=(json.dumps(written),), decisive=True)
        for principal in (*s.principals(POLICY), s.DEPLOYER):
            arn = principal.arn(ACCOUNT)
            role = None if principal is s.DEPLOYER else arn
            before = allowed(principal, key, region, protected=protected)
            for tried in s.TRIED:
                request = Request(
                    principal=IamPrincipal(arn=arn, account=ACCOUNT, role=role),
                    action=tried.action,
                    resource=f"arn:aws:kms:{region}:{ACCOUNT}:key/k",
                    context={"aws:principalarn": arn},
                )
                policies = Policies(identity=(everything,), resource=resource)
                found = decide(request, policies).allowed
                assert found is (tried.action in before), (principal, key, region, tried)


def test_what_changes_a_key_is_marked() -> None:
    assert {tried.action for tried in s.TRIED} - CHANGES == {
        "kms:Sign",
        "kms:GetPublicKey",
        "kms:DescribeKey",
        "kms:GetKeyPolicy",
    }

"""A call with ``DryRun`` says whether it would succeed, and does nothing.

Each test fails without ``localaws.emulator.services.kms``.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.testing.iam_requests import allow
from tests.testing.policy_harness import PolicyHarness, code

pytestmark = pytest.mark.integration

DIGEST = hashlib.sha256(b"payout").digest()
SIGNING = {"Message": DIGEST, "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}


@pytest.fixture
def key(policy_harness: PolicyHarness) -> str:
    made = policy_harness.root("kms").create_key(KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY")
    return str(made["KeyMetadata"]["KeyId"])


def test_an_allowed_dry_run_of_signing_answers_412_and_no_signature(
    policy_harness: PolicyHarness, key: str
) -> None:
    _, me = policy_harness.user(allow("kms:Sign"))
    with pytest.raises(ClientError) as raised:
        policy_harness.client("kms", me).sign(KeyId=key, DryRun=True, **SIGNING)
    answer: Any = raised.value.response
    assert answer["Error"]["Code"] == "DryRunOperationException"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert "Signature" not in answer


def test_a_denied_dry_run_is_denied(policy_harness: PolicyHarness, key: str) -> None:
    _, me = policy_harness.user(allow("kms:Verify"))
    assert (
        code(lambda: policy_harness.client("kms", me).sign(KeyId=key, DryRun=True, **SIGNING))
        == "AccessDeniedException"
    )


def test_a_dry_run_that_would_fail_fails_in_the_same_way(
    policy_harness: PolicyHarness, key: str
) -> None:
    kms = policy_harness.root("kms")
    short = {**SIGNING, "Message": DIGEST[1:]}
    assert code(lambda: kms.sign(KeyId=key, DryRun=True, **short)) == "ValidationException"
    kms.disable_key(KeyId=key)
    assert code(lambda: kms.sign(KeyId=key, DryRun=True, **SIGNING)) == "DisabledException"
    missing = "00000000-0000-0000-0000-000000000000"
    assert code(lambda: kms.sign(KeyId=missing, DryRun=True, **SIGNING)) == "NotFoundException"


def test_a_dry_run_of_a_grant_makes_and_revokes_none(
    policy_harness: PolicyHarness, key: str
) -> None:
    arn, me = policy_harness.user()
    kms = policy_harness.root("kms")
    grant = {"KeyId": key, "GranteePrincipal": arn, "Operations": ["Sign"]}
    assert (
        code(lambda: policy_harness.client("kms", me).create_grant(DryRun=True, **grant))
        == "AccessDeniedException"
    )
    assert code(lambda: kms.create_grant(DryRun=True, **grant)) == "DryRunOperationException"
    assert kms.list_grants(KeyId=key)["Grants"] == []
    made = kms.create_grant(**grant)["GrantId"]
    assert (
        code(lambda: kms.revoke_grant(KeyId=key, GrantId=made, DryRun=True))
        == "DryRunOperationException"
    )
    assert [one["GrantId"] for one in kms.list_grants(KeyId=key)["Grants"]] == [made]


def test_a_call_that_is_no_dry_run_acts(policy_harness: PolicyHarness, key: str) -> None:
    kms = policy_harness.root("kms")
    signature = kms.sign(KeyId=key, DryRun=False, **SIGNING)["Signature"]
    assert kms.verify(KeyId=key, Signature=signature, **SIGNING)["SignatureValid"]
    assert (
        code(lambda: kms.verify(KeyId=key, Signature=signature, DryRun=True, **SIGNING))
        == "DryRunOperationException"
    )

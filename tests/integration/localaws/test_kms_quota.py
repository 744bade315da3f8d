"""KMS throttles elliptic-curve operations of an account and Region together.

Only the account's owner changes the quota.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from localaws.emulator.control import KMS_QUOTA_PATH, kms_quota, set_kms_quota, throttled
from seawall.conventions.local_aws import (
    KMS_CROWDING_PATH,
    ROOT_ACCESS_KEY_ID,
    ROOT_SECRET_ACCESS_KEY,
)
from seawall.errors import ServiceError
from tests.testing.aws_harness import ROOT_KEY, STANDBY, client, running_aws
from tests.testing.nightly import repetitions

pytestmark = pytest.mark.integration

DIGEST = hashlib.sha256(b"payout").digest()


@pytest.fixture
def aws() -> Iterator[str]:
    with running_aws("--kms-ecc-per-s", "2") as endpoint:
        yield endpoint


def key(kms: Any, spec: str = "ECC_SECG_P256K1") -> str:
    return str(kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"])


def sign(kms: Any, key_id: str, algorithm: str = "ECDSA_SHA_256") -> str:
    """``ok``, or the code of the error."""
    try:
        kms.sign(KeyId=key_id, Message=DIGEST, MessageType="DIGEST", SigningAlgorithm=algorithm)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "ok"


def test_all_keys_of_a_region_share_one_quota_and_other_regions_and_keys_do_not(aws: str) -> None:
    kms, there = client("kms", aws, ROOT_KEY), client("kms", aws, ROOT_KEY, region=STANDBY)
    one, other, rsa, far = key(kms), key(kms), key(kms, "RSA_2048"), key(there)
    # full buckets; refilling takes a second, far longer than the next two calls
    set_kms_quota(aws, 1)
    assert [sign(kms, one), sign(kms, other)] == ["ok", "ThrottlingException"]
    assert sign(kms, rsa, "RSASSA_PKCS1_V1_5_SHA_256") == "ok"
    assert sign(there, far) == "ok"
    assert throttled(aws) == 1


def test_the_error_reads_as_that_of_kms(aws: str) -> None:
    kms = client("kms", aws, ROOT_KEY)
    one = key(kms)
    set_kms_quota(aws, 1)
    sign(kms, one)
    with pytest.raises(
        ClientError,
        match=r"You have exceeded the rate at which you may call KMS\. "
        r"Reduce the frequency of your calls\.",
    ) as raised:
        kms.sign(KeyId=one, Message=DIGEST, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256")
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_the_quota_of_the_command_line_can_be_lifted(aws: str) -> None:
    kms = client("kms", aws, ROOT_KEY)
    one = key(kms)
    assert kms_quota(aws) == 2
    set_kms_quota(aws, None)
    assert kms_quota(aws) is None
    assert [sign(kms, one) for _ in range(5)] == ["ok"] * 5


def test_only_root_changes_the_quota(aws: str) -> None:
    for auth in (None, (ROOT_ACCESS_KEY_ID, "wrong"), ("deployer", ROOT_SECRET_ACCESS_KEY)):
        assert (
            httpx.put(f"{aws}{KMS_QUOTA_PATH}", json={"per_s": 1000}, auth=auth).status_code == 401
        )
    assert kms_quota(aws) == 2


@pytest.mark.parametrize(
    "body",
    repetitions([b'{"per_s": 0}', b"", b"{}", b'{"per_s": true}', b'{"per_s": "many"}'], keep=1),
)
def test_a_quota_without_meaning_is_refused(aws: str, body: bytes) -> None:
    auth = (ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY)
    assert httpx.put(f"{aws}{KMS_QUOTA_PATH}", content=body, auth=auth).status_code == 400
    assert kms_quota(aws) == 2


def test_another_tenant_uses_up_the_quota_of_one_region_until_it_leaves(aws: str) -> None:
    """Beside any quota of its own; leaving twice is an answer of its own."""
    kms, there = client("kms", aws, ROOT_KEY), client("kms", aws, ROOT_KEY, region=STANDBY)
    one, rsa, far = key(kms), key(kms, "RSA_2048"), key(there)
    set_kms_quota(aws, None)
    crowding = f"{aws}{KMS_CROWDING_PATH}/us-east-1"
    assert httpx.put(crowding, json={"refused": 1}).status_code == 204
    assert [sign(kms, one), sign(there, far)] == ["ThrottlingException", "ok"]
    assert sign(kms, rsa, "RSASSA_PKCS1_V1_5_SHA_256") == "ok"
    assert [httpx.delete(crowding).status_code for _ in range(2)] == [204, 404]
    assert sign(kms, one) == "ok"


@pytest.mark.parametrize(
    "body", repetitions([b'{"refused": 2}', b"", b'{"refused": true}', b'{"refused": 0}'], keep=1)
)
def test_crowding_without_meaning_is_refused(aws: str, body: bytes) -> None:
    url = f"{aws}{KMS_CROWDING_PATH}/us-east-1"
    assert httpx.put(url, content=body).status_code == 400
    assert httpx.get(url).status_code == 405
    assert httpx.delete(url).status_code == 404


def test_an_aws_that_is_not_there_is_an_error_that_says_so() -> None:
    with pytest.raises(ServiceError, match="did not take the KMS quota"):
        set_kms_quota("http://127.0.0.1:9", 5)

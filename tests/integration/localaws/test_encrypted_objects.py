"""Objects under a KMS key in the emulator: permissions in S3 alone do not open them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.testing.aws_harness import PRIMARY, ROOT_KEY, client, running_aws

pytestmark = pytest.mark.integration

ACCOUNT = "123456789012"
BUCKET = "seawall-kit"


def user(iam: Any, name: str) -> dict[str, str]:
    """A user who may do anything in S3, and nothing in KMS by itself."""
    iam.create_user(UserName=name)
    allow = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
    }
    iam.put_user_policy(UserName=name, PolicyName="s3", PolicyDocument=json.dumps(allow))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }


@pytest.fixture(scope="module")
def people() -> Iterator[dict[str, Any]]:
    """S3 as the key's writer, as its reader, and as a user that its policy does not name.

    Enforcement is on.
    """
    with running_aws() as endpoint:
        iam = client("iam", endpoint, ROOT_KEY)
        users = {name: user(iam, name) for name in ("writer", "reader", "stranger")}

        def may(name: str, action: str) -> dict[str, Any]:
            condition = {"StringEquals": {"kms:ViaService": f"s3.{PRIMARY}.amazonaws.com"}}
            principal = {"AWS": f"arn:aws:iam::{ACCOUNT}:user/{name}"}
            return {
                "Effect": "Allow",
                "Principal": principal,
                "Action": action,
                "Resource": "*",
                "Condition": condition,
            }

        root = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "kms:PutKeyPolicy",
            "Resource": "*",
        }
        policy = {
            "Version": "2012-10-17",
            "Statement": [root, may("writer", "kms:GenerateDataKey"), may("reader", "kms:Decrypt")],
        }
        key = client("kms", endpoint, ROOT_KEY).create_key(Policy=json.dumps(policy))[
            "KeyMetadata"
        ]["Arn"]
        s3 = client("s3", endpoint, ROOT_KEY)
        for bucket in (BUCKET, "seawall-plain"):
            s3.create_bucket(Bucket=bucket)
        by = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
        rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": by, "BucketKeyEnabled": True}]}
        s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration=rules)
        iam.create_user(UserName="deployer")
        yield {name: client("s3", endpoint, who) for name, who in users.items()}


def refused(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call(**request)
    assert raised.value.response["Error"]["Code"] == "AccessDenied"
    return str(raised.value)


def test_writing_needs_a_data_key_and_reading_needs_decrypt(people: dict[str, Any]) -> None:
    people["writer"].put_object(Bucket=BUCKET, Key="runbook", Body=b"stop the signer")
    assert (
        people["reader"].get_object(Bucket=BUCKET, Key="runbook")["Body"].read()
        == b"stop the signer"
    )
    assert "kms:Decrypt" in refused(people["writer"].get_object, Bucket=BUCKET, Key="runbook")
    assert "kms:Decrypt" in refused(people["stranger"].get_object, Bucket=BUCKET, Key="runbook")
    for name in ("reader", "stranger"):
        assert "kms:GenerateDataKey" in refused(
            people[name].put_object, Bucket=BUCKET, Key="forged", Body=b"x"
        )


def test_a_head_needs_no_key(people: dict[str, Any]) -> None:
    people["writer"].put_object(Bucket=BUCKET, Key="head", Body=b"1")
    assert (
        people["stranger"].head_object(Bucket=BUCKET, Key="head")["ServerSideEncryption"]
        == "aws:kms"
    )


def test_an_object_under_s3s_own_keys_asks_kms_for_nothing(people: dict[str, Any]) -> None:
    people["stranger"].put_object(Bucket="seawall-plain", Key="a", Body=b"1")
    assert people["stranger"].get_object(Bucket="seawall-plain", Key="a")["Body"].read() == b"1"

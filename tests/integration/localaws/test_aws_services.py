"""The emulator refuses and computes what AWS does and plain moto does not.

Each test fails without its correction in ``localaws.emulator.services``.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sandbox.identities import Identities, create_identities
from seawall.conventions import aws as aws_names
from seawall.policy_file import load_policy
from tests.testing.aws_harness import PRIMARY, ROOT_KEY, STANDBY, client, running_aws

pytestmark = pytest.mark.integration

POLICY = load_policy(Path(__file__).resolve().parents[3] / "policies" / "sandbox.yaml")
DIGEST = hashlib.sha256(b"payout").digest()


@pytest.fixture(scope="module")
def identities(aws: str) -> Identities:
    return create_identities(endpoint=aws, policy=POLICY)


@pytest.fixture
def key(aws: str, identities: Identities) -> str:
    deployer = client("kms", aws, identities.deployer.environment())
    return str(
        deployer.create_key(KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY", MultiRegion=True)[
            "KeyMetadata"
        ]["Arn"]
    )


def sign(kms: Any, key_id: str, message: bytes = DIGEST, message_type: str = "DIGEST") -> bytes:
    answer = kms.sign(
        KeyId=key_id, Message=message, MessageType=message_type, SigningAlgorithm="ECDSA_SHA_256"
    )
    return bytes(answer["Signature"])


def statement(effect: str, action: Any, resource: Any, **more: Any) -> str:
    body = {"Effect": effect, "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [body]})


def refused(call: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call()
    return str(raised.value.response["Error"]["Code"])


@pytest.fixture
def signer(aws: str, identities: Identities, key: str) -> Iterator[Any]:
    """A client that is the role which may sign with ``key`` in the primary region."""
    iam = client("iam", aws, identities.deployer.environment())
    role = aws_names.signer_role(POLICY.venue.name, "customer-aster-hot", PRIMARY)
    principal = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": identities.signers[PRIMARY]["customer"].arn},
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [principal]})
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(
        RoleName=role, PolicyName="sign", PolicyDocument=statement("Allow", "kms:Sign", key)
    )
    yield client("kms", aws, assumed(aws, identities, arn))
    iam.delete_role_policy(RoleName=role, PolicyName="sign")
    iam.delete_role(RoleName=role)


def assumed(aws: str, identities: Identities, role_arn: str, **more: Any) -> dict[str, str]:
    sts = client("sts", aws, identities.signers[PRIMARY]["customer"].environment())
    got = sts.assume_role(RoleArn=role_arn, RoleSessionName="test", **more)["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": got["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": got["SecretAccessKey"],
        "AWS_SESSION_TOKEN": got["SessionToken"],
    }


def test_a_digest_is_signed_as_it_is(aws: str, key: str) -> None:
    kms = client("kms", aws, ROOT_KEY)
    public = load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(sign(kms, key), DIGEST, ec.ECDSA(Prehashed(SHA256())))
    public.verify(sign(kms, key, message_type="RAW"), DIGEST, ec.ECDSA(SHA256()))
    with pytest.raises(InvalidSignature):
        public.verify(sign(kms, key, message_type="RAW"), DIGEST, ec.ECDSA(Prehashed(SHA256())))


def test_kms_verifies_what_it_signed(aws: str, key: str) -> None:
    kms = client("kms", aws, ROOT_KEY)
    answer = kms.verify(
        KeyId=key,
        Message=DIGEST,
        MessageType="DIGEST",
        Signature=sign(kms, key),
        SigningAlgorithm="ECDSA_SHA_256",
    )
    assert answer["SignatureValid"] is True


def test_a_digest_of_another_length_is_refused(aws: str, key: str) -> None:
    assert (
        refused(lambda: sign(client("kms", aws, ROOT_KEY), key, DIGEST[1:]))
        == "ValidationException"
    )


def test_a_disabled_key_refuses_to_sign_until_it_is_enabled(aws: str, key: str) -> None:
    kms = client("kms", aws, ROOT_KEY)
    key_id = key.rpartition("/")[2]
    kms.disable_key(KeyId=key_id)
    assert refused(lambda: sign(kms, key_id)) == "DisabledException"
    kms.enable_key(KeyId=key_id)
    assert sign(kms, key_id)


def test_a_key_that_is_to_be_deleted_refuses_to_sign(aws: str, key: str) -> None:
    kms = client("kms", aws, ROOT_KEY)
    kms.schedule_key_deletion(KeyId=key.rpartition("/")[2], PendingWindowInDays=7)
    assert refused(lambda: sign(kms, key)) == "KMSInvalidStateException"


def test_a_replica_signs_for_the_same_address_and_is_its_own_resource(aws: str, key: str) -> None:
    primary, standby = client("kms", aws, ROOT_KEY), client("kms", aws, ROOT_KEY, region=STANDBY)
    tags = [{"TagKey": "owner", "TagValue": "someone"}]
    primary.replicate_key(KeyId=key, ReplicaRegion=STANDBY, Description="the other", Tags=tags)
    key_id = key.rpartition("/")[2]
    for region in (primary, standby):
        region.create_alias(AliasName="alias/seawall/shared-name", TargetKeyId=key_id)
    described = standby.describe_key(KeyId="alias/seawall/shared-name")["KeyMetadata"]
    assert described["Description"] == "the other"
    assert described["MultiRegionConfiguration"]["MultiRegionKeyType"] == "REPLICA"
    assert (
        primary.describe_key(KeyId=key_id)["KeyMetadata"]["MultiRegionConfiguration"][
            "MultiRegionKeyType"
        ]
        == "PRIMARY"
    )
    assert standby.list_resource_tags(KeyId=key_id)["Tags"] == tags
    assert (
        standby.get_public_key(KeyId=key_id)["PublicKey"]
        == primary.get_public_key(KeyId=key_id)["PublicKey"]
    )
    assert sign(standby, key_id)
    assert (
        refused(lambda: primary.replicate_key(KeyId=key_id, ReplicaRegion=STANDBY))
        == "AlreadyExistsException"
    )


def test_the_arn_of_a_key_means_nothing_in_another_region(
    aws: str, identities: Identities, key: str
) -> None:
    deployer = identities.deployer.environment()
    client("kms", aws, deployer).replicate_key(KeyId=key, ReplicaRegion=STANDBY)
    standby = client("kms", aws, deployer, region=STANDBY)
    assert standby.describe_key(KeyId=key.rpartition("/")[2])
    assert refused(lambda: standby.describe_key(KeyId=key)) == "NotFoundException"


def test_a_role_signs_with_its_own_key_and_no_other(
    signer: Any, aws: str, identities: Identities, key: str
) -> None:
    other = client("kms", aws, identities.deployer.environment()).create_key(
        KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY"
    )["KeyMetadata"]
    assert sign(signer, key)
    assert refused(lambda: sign(signer, other["KeyId"])) == "AccessDeniedException"
    assert refused(lambda: signer.describe_key(KeyId=key)) == "AccessDeniedException"


def test_a_role_of_one_region_does_not_sign_in_another(
    signer: Any, aws: str, identities: Identities, key: str
) -> None:
    client("kms", aws, ROOT_KEY).replicate_key(KeyId=key, ReplicaRegion=STANDBY)
    session = assumed(aws, identities, role_arn())
    elsewhere = client("kms", aws, session, region=STANDBY)
    assert refused(lambda: sign(elsewhere, key.rpartition("/")[2])) == "AccessDeniedException"


def role_arn() -> str:
    role = aws_names.signer_role(POLICY.venue.name, "customer-aster-hot", PRIMARY)
    return f"arn:aws:iam::123456789012:role/{role}"


def test_an_explicit_deny_in_the_key_policy_wins(signer: Any, aws: str, key: str) -> None:
    kms = client("kms", aws, ROOT_KEY)
    account = {"AWS": "arn:aws:iam::123456789012:root"}
    delegates = {"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Principal": account}
    denies = {
        "Effect": "Deny",
        "Action": "kms:Sign",
        "Resource": "*",
        "Principal": {"AWS": role_arn()},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [delegates, denies]})
    assert sign(signer, key)
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=document)
    assert refused(lambda: sign(signer, key)) == "AccessDeniedException"


def test_a_key_policy_without_the_account_leaves_nothing_to_identity_policies(
    signer: Any, aws: str, key: str
) -> None:
    nobody = statement(
        "Allow", "kms:*", "*", Principal={"AWS": "arn:aws:iam::123456789012:user/nobody"}
    )
    client("kms", aws, ROOT_KEY).put_key_policy(KeyId=key, PolicyName="default", Policy=nobody)
    assert refused(lambda: sign(signer, key)) == "AccessDeniedException"


def test_only_the_trusted_signer_assumes_a_role(
    signer: Any, aws: str, identities: Identities
) -> None:
    stranger = client("sts", aws, identities.signers[STANDBY]["customer"].environment())
    assert (
        refused(lambda: stranger.assume_role(RoleArn=role_arn(), RoleSessionName="test"))
        == "AccessDenied"
    )


def test_a_role_that_does_not_exist_cannot_be_assumed(aws: str, identities: Identities) -> None:
    role = aws_names.signer_role(POLICY.venue.name, "treasury-birch-hot", PRIMARY)
    assert (
        refused(lambda: assumed(aws, identities, f"arn:aws:iam::123456789012:role/{role}"))
        == "AccessDenied"
    )


def test_the_deployer_cannot_sign_and_a_signer_can_do_nothing_by_itself(
    aws: str, identities: Identities, key: str
) -> None:
    assert (
        refused(lambda: sign(client("kms", aws, identities.deployer.environment()), key))
        == "AccessDeniedException"
    )
    alone = identities.signers[PRIMARY]["customer"].environment()
    assert refused(lambda: sign(client("kms", aws, alone), key)) == "AccessDeniedException"
    assert (
        refused(lambda: client("s3", aws, alone).create_bucket(Bucket="seawall-x"))
        == "AccessDenied"
    )


@pytest.mark.parametrize(("key_id", "secret"), [("AKIAUNKNOWNUNKNOWN00", "x"), (None, "wrong")])
def test_unknown_and_wrong_credentials_are_refused(
    aws: str, identities: Identities, key_id: str | None, secret: str
) -> None:
    who = {
        "AWS_ACCESS_KEY_ID": key_id or identities.deployer.access_key_id,
        "AWS_SECRET_ACCESS_KEY": secret,
    }
    assert refused(lambda: client("kms", aws, who).list_keys()) in {
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
    }


def test_before_there_is_a_deployer_nothing_is_enforced() -> None:
    with running_aws() as fresh:
        anyone = {"AWS_ACCESS_KEY_ID": "AKIAUNKNOWNUNKNOWN00", "AWS_SECRET_ACCESS_KEY": "x"}
        assert client("kms", fresh, anyone).list_keys()["Keys"] == []
        create_identities(endpoint=fresh, policy=POLICY)
        assert (
            refused(lambda: client("kms", fresh, anyone).list_keys())
            == "UnrecognizedClientException"
        )


def test_credentials_are_for_their_owner_only(identities: Identities, tmp_path: Path) -> None:
    path = tmp_path / "identities.json"
    identities.write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Identities.read(path) == identities
    assert identities.deployer.secret_access_key not in repr(identities)


def test_a_hundred_signatures_from_four_threads_all_succeed(signer: Any, key: str) -> None:
    """How fast they are shows in a game day."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        assert all(pool.map(lambda _: sign(signer, key), range(100)))


def test_a_connection_stays_open_after_an_answer_an_error_and_a_body_in_chunks(aws: str) -> None:
    """As AWS's: a drill asks thousands of times."""
    address = urlsplit(aws)
    assert address.hostname is not None
    connection = HTTPConnection(address.hostname, address.port, timeout=10)
    try:
        connection.request("POST", "/", body=b"{}", headers={"X-Amz-Target": "TrentService.Nope"})
        answered = [connection.getresponse()]
        answered[-1].read()
        opened = connection.sock
        connection.request("PUT", "/a-bucket/a-key", body=iter([b"one", b"two"]))
        answered.append(connection.getresponse())
        answered[-1].read()
        connection.request("HEAD", "/a-bucket/a-key")
        answered.append(connection.getresponse())
        answered[-1].read()
        connection.request("GET", "/")
        answered.append(connection.getresponse())
        answered[-1].read()
        assert connection.sock is opened is not None
    finally:
        connection.close()
    assert [each.will_close for each in answered] == [False] * 4

"""The log of signatures is read from the emulated CloudTrail by the stack's audit role alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.audit import looking_up
from sandbox.identities import Identities, create_identities
from seawall.aws import session_of_profile
from seawall.conventions.local_aws import ACCOUNT_ID
from seawall.evidence.aws_log import AwsLogReading
from seawall.formats.deployment import Deployment
from seawall.keys import access
from seawall.policy_file import load_policy
from seawall.scorecard.readers import read_table
from seawall.scorecard.rows import SignCall
from tests.testing.aws_harness import PRIMARY, ROOT_KEY, STANDBY, client, running_aws
from tests.testing.deployments import make_deployment
from tests.testing.venue_harness import POLICY

pytestmark = pytest.mark.integration

POLICY_IN_FORCE = load_policy(POLICY)
WALLET = "customer-aster-hot"
ADDRESS = "0x" + "ab" * 20
REGIONS = (PRIMARY, STANDBY)


@dataclass(frozen=True, kw_only=True)
class Account:
    """An emulated account with one wallet's key, its signers' roles, and the audit role."""

    endpoint: str
    identities: Identities
    key_id: str

    def sign(self, region: str, *, as_root: bool = False) -> None:
        """Have the key sign in ``region``, asked for by the signer's role there, or by root."""
        if as_root:
            kms: Any = client("kms", self.endpoint, ROOT_KEY, region=region)
        else:
            bucket = POLICY_IN_FORCE.wallets[WALLET].bucket
            who = self.identities.signers[region][bucket].environment()
            role = access.signer(POLICY_IN_FORCE, WALLET, region).arn(ACCOUNT_ID)
            taken = client("sts", self.endpoint, who).assume_role(
                RoleArn=role, RoleSessionName=f"signer-{region}"
            )["Credentials"]
            kms = boto3.client(
                "kms",
                region_name=region,
                endpoint_url=self.endpoint,
                aws_access_key_id=taken["AccessKeyId"],
                aws_secret_access_key=taken["SecretAccessKey"],
                aws_session_token=taken["SessionToken"],
            )
        kms.sign(
            KeyId=self.key_id,
            Message=b"d" * 32,
            MessageType="DIGEST",
            SigningAlgorithm="ECDSA_SHA_256",
        )


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    """One emulator for the module."""
    with running_aws() as endpoint:
        identities = create_identities(endpoint=endpoint, policy=POLICY_IN_FORCE)
        kms, iam = client("kms", endpoint, ROOT_KEY), client("iam", endpoint, ROOT_KEY)
        key = kms.create_key(KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY", MultiRegion=True)
        key_id = str(key["KeyMetadata"]["KeyId"])
        kms.replicate_key(KeyId=key_id, ReplicaRegion=STANDBY)
        bucket = POLICY_IN_FORCE.wallets[WALLET].bucket
        roles: dict[str, tuple[str, Any]] = {
            access.signer(POLICY_IN_FORCE, WALLET, region).name: (
                identities.signers[region][bucket].arn,
                {"Effect": "Allow", "Action": "kms:Sign", "Resource": "*"},
            )
            for region in REGIONS
        }
        [may] = looking_up()
        roles[access.audit(POLICY_IN_FORCE).name] = (identities.audit.arn, dict(may))
        for name, (trusted, statement) in roles.items():
            trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": trusted}}
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(trust))
            iam.put_role_policy(
                RoleName=name, PolicyName="drill", PolicyDocument=_document(statement)
            )
        yield Account(endpoint=endpoint, identities=identities, key_id=key_id)


def _document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@contextmanager
def signer(account: Account, region: str) -> Iterator[str]:
    """The URL of a signer that signs its probe in ``region``."""

    class Probe(BaseHTTPRequestHandler):
        """Signs whenever it is asked."""

        def do_POST(self) -> None:
            """The probe."""
            account.sign(region)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Probe)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def deployment_of(account: Account, folder: Path, signers: dict[str, str]) -> Deployment:
    """A deployment that offers AWS's own log."""
    principals, outputs = folder / "principals.config", folder / "outputs.json"
    account.identities.write_profiles(
        principals, policy=POLICY_IN_FORCE, account=ACCOUNT_ID, endpoint=account.endpoint
    )
    declared = {WALLET: {"key_id": account.key_id, "address": ADDRESS}}
    outputs.write_text(json.dumps({"signers": declared}), encoding="utf-8")
    return make_deployment(
        folder,
        principals=str(principals),
        outputs=str(outputs),
        signers={region: {"url": url, "operations_per_s": 100} for region, url in signers.items()},
        aws_log={"within_s": 60, "settled_s": 2.0},
    )


def test_the_log_of_both_regions_is_waited_for_and_names_wallet_and_role(
    account: Account, tmp_path: Path
) -> None:
    started_at = time.time()
    account.sign(PRIMARY)
    account.sign(STANDBY)
    account.sign(STANDBY, as_root=True)
    lines: list[str] = []
    with ExitStack() as stack:
        signers = {region: stack.enter_context(signer(account, region)) for region in REGIONS}
        ended_at = int(time.time())
        reading = AwsLogReading(
            deployment_of(account, tmp_path, signers),
            POLICY_IN_FORCE,
            started_at=started_at,
            report=lines.append,
        )
        reading.finish(wait=True, into=tmp_path)

    assert lines == []
    rows = read_table(tmp_path / "aws" / "sign_calls.csv", SignCall)
    assert {(row.wallet, row.address, row.error) for row in rows} == {(WALLET, ADDRESS, None)}
    own = {region: access.signer(POLICY_IN_FORCE, WALLET, region).name for region in REGIONS}
    asked = [(row.region, row.principal) for row in rows]
    assert asked.count((PRIMARY, own[PRIMARY])) == 2  # one of them is the probe's
    assert asked.count((STANDBY, own[STANDBY])) == 2
    assert asked.count((STANDBY, f"arn:aws:iam::{ACCOUNT_ID}:root")) == 1
    for region in REGIONS:
        assert max(row.at for row in rows if row.region == region) > ended_at * 1_000_000


def test_the_audit_role_signs_with_no_key_and_stops_no_trail(
    account: Account, tmp_path: Path
) -> None:
    deployment = deployment_of(account, tmp_path, {})
    session = session_of_profile(access.audit(POLICY_IN_FORCE).name, deployment.principals)
    with pytest.raises(ClientError, match="AccessDenied"):
        session.client("kms", region_name=PRIMARY).sign(
            KeyId=account.key_id, Message=b"d" * 32, SigningAlgorithm="ECDSA_SHA_256"
        )
    with pytest.raises(ClientError, match="AccessDenied"):
        session.client("cloudtrail", region_name=PRIMARY).stop_logging(Name="any")

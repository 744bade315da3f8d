"""The signer as a process on the sandbox's AWS.

Signs by KMS, each bucket as itself, and answers while KMS hangs.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from sandbox.identities import Identities, create_identities
from seawall.conventions import aws as aws_names
from seawall.conventions import environment as environment_names
from seawall.conventions import metrics as metrics_names
from seawall.conventions.local_aws import ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY
from seawall.ethereum.keys import address_of_public_key_der
from seawall.formats.venue_config import load_config
from seawall.policy_file import load_policy
from tests.integration.test_signer import WALLET, request_for
from tests.testing.venue_harness import (
    HANGS_AFTER_S,
    POLICY,
    connected,
    free_port,
    opening_balances,
    urls_of,
    write_config,
)
from venue.genesis.found import found_venue
from venue.ledger.chart import payout_routes

pytestmark = pytest.mark.integration


@dataclass(kw_only=True)
class Region:
    """The primary region of a sandbox.

    Its AWS as a process, and a signer's configuration for it.
    """

    aws: asyncio.subprocess.Process
    config_path: Path
    environment: dict[str, str]
    escrow: dict[str, str]
    url: str
    address: str


def _make_keys(endpoint: str, identities: Identities) -> dict[str, dict[str, str]]:
    """What the stack makes, by hand: a key per wallet and a role that may sign with it."""
    policy = load_policy(POLICY)
    region = policy.regions.primary
    root = {
        "endpoint_url": endpoint,
        "region_name": region,
        "aws_access_key_id": ROOT_ACCESS_KEY_ID,
        "aws_secret_access_key": ROOT_SECRET_ACCESS_KEY,
    }
    kms, iam = boto3.client("kms", **root), boto3.client("iam", **root)  # type: ignore[call-overload]
    keys = {}
    for wallet, declared in policy.signing_wallets().items():
        signer = identities.signers[region][declared.bucket]
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": signer.arn}}
        key = kms.create_key(KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY", MultiRegion=True)[
            "KeyMetadata"
        ]
        name = aws_names.signer_role(policy.venue.name, wallet, region)
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(trust))["Role"]
        may = {
            "Effect": "Allow",
            "Action": ["kms:Sign", "kms:GetPublicKey"],
            "Resource": key["Arn"],
        }
        iam.put_role_policy(RoleName=name, PolicyName="sign", PolicyDocument=_document(may))
        address = address_of_public_key_der(kms.get_public_key(KeyId=key["KeyId"])["PublicKey"])
        keys[wallet] = {"key_id": key["KeyId"], "address": address, "role_arn": role["Arn"]}
    return keys


def _document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
async def region(database_url: str, tmp_path: Path) -> AsyncIterator[Region]:
    """The sandbox's AWS with keys and identities, and a founded venue whose lanes have the keys'
    addresses.
    """
    policy = load_policy(POLICY)
    aws_port, port = free_port(), free_port()
    argv = (sys.executable, "-m", "localaws.emulator", "--port", str(aws_port))
    aws = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    try:
        assert aws.stdout is not None
        async with asyncio.timeout(HANGS_AFTER_S):
            assert await aws.stdout.readline() == b"ready\n"
        endpoint = f"http://127.0.0.1:{aws_port}"
        identities = await asyncio.to_thread(create_identities, endpoint=endpoint, policy=policy)
        keys = await asyncio.to_thread(_make_keys, endpoint, identities)
        profiles = tmp_path / "credentials"
        identities.write_signers(policy.regions.primary, profiles)
        path = tmp_path / "venue.json"
        write_config(path, database_url, policy)
        payload = json.loads(path.read_text(encoding="utf-8"))
        url = f"http://127.0.0.1:{port}"
        payload["signers"][policy.regions.primary] = {
            "listen_port": port,
            "operations_per_s": 100,
            "url": url,
            "kms_endpoint": endpoint,
            "sts_endpoint": endpoint,
            "keys": keys,
        }
        path.write_text(json.dumps(payload), encoding="utf-8")
        nonces = {wallet: 0 for route in payout_routes(policy).values() for wallet in route.lanes}
        async with connected(database_url) as owner:
            customers = opening_balances(policy, 3)
            config, urls = load_config(path), urls_of(database_url)
            await found_venue(
                owner,
                config=config,
                policy=policy,
                customers=customers,
                nonces=nonces,
                roles=urls.roles,
            )
        yield Region(
            aws=aws,
            config_path=path,
            environment={
                "AWS_SHARED_CREDENTIALS_FILE": str(profiles),
                environment_names.DATABASE_VARIABLE: urls.signer,
            },
            escrow=identities.signers[policy.regions.primary]["escrow"].environment(),
            url=url,
            address=keys[WALLET]["address"],
        )
    finally:
        aws.kill()
        await aws.wait()


async def test_the_process_signs_by_kms_and_answers_while_kms_hangs(region: Region) -> None:
    """Signed, replayed, refused and unavailable, over HTTP; SIGTERM ends it with 0."""
    argv = (
        sys.executable,
        "-m",
        "venue.signer",
        "--config",
        str(region.config_path),
        "--region",
        "us-east-1",
    )
    signer = await asyncio.create_subprocess_exec(
        *argv, env=os.environ | region.environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert signer.stdout is not None
        async with asyncio.timeout(HANGS_AFTER_S):
            assert await signer.stdout.readline() == b"ready\n"
        async with httpx.AsyncClient(base_url=region.url, timeout=HANGS_AFTER_S) as client:

            async def sign(**change: Any) -> httpx.Response:
                return await client.post(
                    "/sign", content=request_for(region.address, **change).model_dump_json()
                )

            signed, replayed = await sign(), await sign()
            conflict = await sign(value="7")
            for nonce in range(1, 31):
                assert (await sign(nonce=nonce)).status_code == 200
            region.aws.send_signal(signal.SIGSTOP)
            # Both answers arrive before KMS goes on.
            dark, probe = await asyncio.gather(sign(nonce=31), client.post("/probe"))
            region.aws.send_signal(signal.SIGCONT)
            healed, healthy = await sign(nonce=31), await client.post("/probe")
            metrics = (await client.get("/metrics")).text
        signer.terminate()
        async with asyncio.timeout(HANGS_AFTER_S):
            code = await signer.wait()
    finally:
        if signer.returncode is None:
            signer.kill()
            await signer.wait()

    assert (signed.status_code, replayed.json()) == (200, signed.json())
    assert (conflict.status_code, conflict.json()["code"]) == (409, "digest_conflict")
    assert [(each.status_code, each.json()["code"]) for each in (dark, probe)] == [
        (503, "provider_unavailable")
    ] * 2
    assert (healed.status_code, healthy.status_code) == (200, 200)
    assert (
        f'{metrics_names.SIGN_REQUESTS}{{outcome="unavailable",region="us-east-1"}} 1.0' in metrics
    )
    assert f'{metrics_names.SIGN_REQUESTS}{{outcome="signed",region="us-east-1"}} 32.0' in metrics
    assert code == 0


async def _ended(region: Region, *arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code and the complaint of a signer that cannot start."""
    argv = (
        sys.executable,
        "-m",
        "venue.signer",
        "--config",
        str(region.config_path),
        "--region",
        "us-east-1",
        *arguments,
    )
    process = await asyncio.create_subprocess_exec(
        *argv,
        env=os.environ | region.environment | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(HANGS_AFTER_S):
            _, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, complaint.decode()


async def test_a_bucket_is_signed_for_with_its_own_credentials_and_no_others(
    region: Region, tmp_path: Path
) -> None:
    """One principal for all, another bucket's, or none at all.

    The process says whose is missing, and does not start.
    """
    one_for_all = {
        name: value
        for name, value in region.escrow.items()
        if name != "AWS_SHARED_CREDENTIALS_FILE"
    }
    lone = tmp_path / "lone"
    profile = "[{}]\naws_access_key_id = {AWS_ACCESS_KEY_ID}\naws_secret_access_key = {AWS_SECRET_ACCESS_KEY}\n"
    lone.write_text(profile.format("escrow", **region.escrow), encoding="utf-8")
    code, complaint = await _ended(region, AWS_SHARED_CREDENTIALS_FILE=str(lone), **one_for_all)
    assert code == 3
    assert "there are no credentials for bucket" in complaint

    swapped = tmp_path / "swapped"
    buckets = {wallet.bucket for wallet in load_policy(POLICY).signing_wallets().values()}
    swapped.write_text(
        "".join(profile.format(bucket, **region.escrow) for bucket in sorted(buckets)),
        encoding="utf-8",
    )
    code, complaint = await _ended(region, AWS_SHARED_CREDENTIALS_FILE=str(swapped))
    assert code == 4
    assert "AccessDenied" in complaint

    code, complaint = await _ended(region, "--bucket", "customer", **region.escrow)
    assert code == 4
    assert "AccessDenied" in complaint

    code, complaint = await _ended(region, "--bucket", "nobody")
    assert code == 3
    assert "has no key of bucket nobody" in complaint


async def test_a_process_may_sign_for_one_bucket_alone(region: Region) -> None:
    """As whoever its environment says; it knows the wallets of the others not at all."""
    argv = (
        sys.executable,
        "-m",
        "venue.signer",
        "--config",
        str(region.config_path),
        "--region",
        "us-east-1",
    )
    signer = await asyncio.create_subprocess_exec(
        *argv,
        "--bucket",
        "escrow",
        env=os.environ | region.environment | region.escrow,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert signer.stdout is not None
        async with asyncio.timeout(HANGS_AFTER_S):
            assert await signer.stdout.readline() == b"ready\n"
        async with httpx.AsyncClient(base_url=region.url, timeout=HANGS_AFTER_S) as client:
            probe = await client.post("/probe")
            other = await client.post(
                "/sign", content=request_for(region.address).model_dump_json()
            )
    finally:
        signer.kill()
        await signer.wait()
    assert probe.status_code == 200
    assert (other.status_code, other.json()["code"]) == (422, "bad_request")

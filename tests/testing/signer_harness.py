"""A signer's surroundings on the emulated AWS: keys, roles, identities and a founded venue."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.faults import denying
from sandbox.identities import Identities, create_identities
from seawall.conventions import aws as aws_names
from seawall.conventions import environment as environment_names
from seawall.conventions.local_aws import ACCOUNT_ID, ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY
from seawall.ethereum.keys import address_of_public_key_der
from seawall.formats.venue_config import load_config
from seawall.policy import Policy
from seawall.policy_file import load_policy
from tests.testing.aws_harness import Aws, aws_process
from tests.testing.venue_harness import (
    HANGS_AFTER_S,
    POLICY,
    connected,
    free_port,
    make_sign_log,
    opening_balances,
    urls_of,
    write_config,
)
from venue.genesis.found import found_venue
from venue.ledger.chart import payout_routes

WALLET = "customer-aster-hot"


@dataclass(kw_only=True)
class Region:
    """The primary region of a sandbox.

    Its AWS as a process, and a configuration of its signers; ``urls`` are theirs by bucket, ``url``
    is that of the bucket that pays customers.
    """

    aws: Aws
    config_path: Path
    environment: dict[str, str]
    url: str
    urls: dict[str, str]
    address: str
    contract: str
    owner_url: str
    endpoint: str
    identities: Identities

    def credentials(self, bucket: str) -> dict[str, str]:
        """What the signer of ``bucket`` has in its environment to be itself."""
        return self.identities.signers["us-east-1"][bucket].environment()

    @asynccontextmanager
    async def signing(
        self, bucket: str = "customer", *, module: str = "venue.signer"
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """The signer of ``bucket`` as a process that is ready; killed at the end.

        Or the front, which is of no bucket.
        """
        alone = ("--bucket", bucket) if bucket else ()
        signer = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, "--config", str(self.config_path)),
            *("--region", "us-east-1", *alone),
            env=os.environ | self.environment | (self.credentials(bucket) if bucket else {}),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert signer.stdout is not None
            async with asyncio.timeout(HANGS_AFTER_S):
                assert await signer.stdout.readline() == b"ready\n"
            yield signer
        finally:
            if signer.returncode is None:
                signer.kill()
                await signer.wait()


Keys = dict[str, dict[str, str]]
"""By wallet, as a signer's configuration has them: ``key_id``, ``address`` and ``role_arn``."""


@dataclass(frozen=True, kw_only=True)
class EmulatedKeys:
    """The sandbox's AWS at ``endpoint``, with identities and the keys of every region."""

    aws: Aws
    endpoint: str
    identities: Identities
    keys: dict[str, Keys]


@asynccontextmanager
async def emulated_keys() -> AsyncIterator[EmulatedKeys]:
    """An emulated AWS of its own, which ends with the block."""
    policy = load_policy(POLICY)
    with ExitStack() as stack:
        aws = await asyncio.to_thread(stack.enter_context, aws_process())
        identities = await asyncio.to_thread(
            create_identities, endpoint=aws.endpoint, policy=policy
        )
        keys = await asyncio.to_thread(_make_keys, aws.endpoint, identities)
        yield EmulatedKeys(aws=aws, endpoint=aws.endpoint, identities=identities, keys=keys)


def _make_keys(endpoint: str, identities: Identities) -> dict[str, Keys]:
    """What the stack makes, by hand: a key per wallet and a role that may sign with it.

    By region, the standby has replicas. Also the fault role, with the policy that the stack gives
    it.
    """
    policy = load_policy(POLICY)
    region, standby = policy.regions.primary, policy.regions.standby
    root = {
        "endpoint_url": endpoint,
        "region_name": region,
        "aws_access_key_id": ROOT_ACCESS_KEY_ID,
        "aws_secret_access_key": ROOT_SECRET_ACCESS_KEY,
    }
    kms, iam = boto3.client("kms", **root), boto3.client("iam", **root)  # type: ignore[call-overload]
    venue, account = policy.venue.name, ACCOUNT_ID
    boundary = iam.create_policy(
        PolicyName=aws_names.boundary(venue, "signer"),
        PolicyDocument=_document({"Effect": "Allow", "Action": "kms:*", "Resource": "*"}),
    )["Policy"]["Arn"]
    fault = aws_names.fault_role(venue)
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": identities.faults.arn},
    }
    iam.create_role(RoleName=fault, AssumeRolePolicyDocument=_document(trust))
    for statement in denying(venue=venue, account=account):
        iam.put_role_policy(
            RoleName=fault, PolicyName="drill", PolicyDocument=_document(dict(statement))
        )
    keys: dict[str, Keys] = {region: {}, standby: {}}
    for wallet, declared in policy.signing_wallets().items():
        key = kms.create_key(KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY", MultiRegion=True)[
            "KeyMetadata"
        ]
        address = address_of_public_key_der(kms.get_public_key(KeyId=key["KeyId"])["PublicKey"])
        kms.replicate_key(KeyId=key["KeyId"], ReplicaRegion=standby)
        for where, made in keys.items():
            user = identities.signers[where][declared.bucket]
            trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": user.arn}}
            name = aws_names.signer_role(policy.venue.name, wallet, where)
            role = iam.create_role(
                RoleName=name,
                AssumeRolePolicyDocument=_document(trust),
                PermissionsBoundary=boundary,
            )["Role"]
            may = {
                "Effect": "Allow",
                "Action": ["kms:Sign", "kms:GetPublicKey"],
                "Resource": key["Arn"].replace(region, where),
            }
            iam.put_role_policy(RoleName=name, PolicyName="sign", PolicyDocument=_document(may))
            made[wallet] = {"key_id": key["KeyId"], "address": address, "role_arn": role["Arn"]}
    return keys


def signer_site(found: EmulatedKeys, policy: Policy, region: str, port: int) -> dict[str, Any]:
    """The signers of a region in a venue's configuration, each bucket's on a port of its own.

    ``port`` is the front's.
    """
    ports = {bucket: free_port() for bucket in policy.signing_buckets()}
    return {
        "listen_port": port,
        "buckets": {
            bucket: {"listen_port": ports[bucket], "url": f"http://127.0.0.1:{ports[bucket]}"}
            for bucket in ports
        },
        "operations_per_s": 100,
        "url": f"http://127.0.0.1:{port}",
        "kms_endpoint": found.endpoint,
        "sts_endpoint": found.endpoint,
        "keys": found.keys[region],
    }


def _document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
async def region(database_url: str, tmp_path: Path) -> AsyncIterator[Region]:
    """The sandbox's AWS with keys and identities, and a venue whose lanes have their addresses."""
    policy = load_policy(POLICY)
    primary = policy.regions.primary
    async with emulated_keys() as found:
        path = tmp_path / "venue.json"
        write_config(path, database_url, policy)
        payload = json.loads(path.read_text(encoding="utf-8"))
        site = signer_site(found, policy, primary, free_port())
        payload["signers"][primary] = site
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
        await make_sign_log(urls)
        urls_by_bucket = {bucket: each["url"] for bucket, each in site["buckets"].items()}
        yield Region(
            aws=found.aws,
            config_path=path,
            environment={
                environment_names.DATABASE_VARIABLE: urls.signer,
                environment_names.SIGN_LOG_VARIABLE: urls.sign_log.signer,
            },
            url=urls_by_bucket["customer"],
            urls=urls_by_bucket | {"": site["url"]},
            address=found.keys[primary][WALLET]["address"],
            contract=config.contracts(policy, [WALLET])[WALLET],
            owner_url=database_url,
            endpoint=found.endpoint,
            identities=found.identities,
        )

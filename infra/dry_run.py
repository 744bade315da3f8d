"""Run the program's declarations without an engine and without AWS, and list what they declare.

The stack's settings are placeholders: names, types, regions and protection follow from the policy
alone, and where a setting decides after all (the region of the cluster that runs game days), the
placeholder is what the list shows.

Must run in a process of its own: the SDK keeps global state and event loops.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
from pulumi.runtime import mocks, register_stack_transformation
from pulumi.runtime.stack import run_pulumi_func

from infra.expected_resources import ExpectedResource
from infra.generated_files import MonitoringFiles
from infra.principals import Principals
from infra.program import declare_resources
from infra.refusals.declared import UNKNOWN, Declared
from infra.refusals.gate import Collector
from infra.settings import Deletion, Runner, Settings
from seawall.keys import access
from seawall.policy import Policy

_ACCOUNT = "0" * 12
_ARN = f"arn:aws:iam::{_ACCOUNT}:role/placeholder"
_RUNNER_REGION = "<runner>"
_DIGEST = "0" * 64
_PUBLIC_KEY = (
    "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEeb5mfvncu6xVoGKVzocLBwKb/NstzijZ"
    "WfKBWxb4F5hIOtp3JqPEZV2k+/wOEQio/Re0SKaFVBmcR9CP+xDUuA=="
)
"""That of the private key 1, in base64 of DER."""
_OF_THE_ENGINE = "pulumi:"
"""Prefix of the types that the engine itself knows, such as providers."""


class MadeUpAws(mocks.Mocks):
    """Answers for AWS: computed properties are made up from a resource's region and name.

    Args:
        account: whose credentials are in use.
    """

    def __init__(self, account: str) -> None:
        self.account = account

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        """The inputs, and an id and ARN."""
        arn = f"arn:{args.inputs.get('region', '')}:{args.name}"
        made_up = {
            "arn": arn,
            "keyId": f"mrk-{args.name}",
            "url": f"url:{args.name}",
            "prometheusEndpoint": f"prometheus:{args.name}/",
        }
        return f"{args.name}-id", {**made_up, **args.inputs}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        """What the data sources in use answer."""
        return {
            "accountId": self.account,
            "publicKey": _PUBLIC_KEY,
            "zoneId": f"zone:{args.args.get('name', '')}",
        }, []


def expected_of(policy: Policy, *, repository: Path) -> list[ExpectedResource]:
    """What a stack of ``policy`` declares, as the program in this folder is now.

    Raises:
        UsageError: if the program refuses the policy.
        PolicyError: the same.
    """
    collector = Collector()

    def declare() -> None:
        register_stack_transformation(collector.keep)
        provider = aws.Provider("aws", region=policy.regions.primary)
        declare_resources(
            _settings(policy),
            MonitoringFiles(rules="", routing=""),
            repository=repository,
            declared=collector.resources,
            opts=pulumi.ResourceOptions(providers={"aws": provider}),
        )

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    mocks.set_mocks(MadeUpAws(_ACCOUNT), project="seawall", stack="expected", preview=False)
    loop.run_until_complete(run_pulumi_func(declare))
    return [
        _expected(each) for each in collector.declared if not each.kind.startswith(_OF_THE_ENGINE)
    ]


def _expected(declared: Declared) -> ExpectedResource:
    region = declared.given("region")
    return ExpectedResource(
        kind=declared.kind,
        name=declared.name,
        region="" if region in (None, UNKNOWN) else str(region),
        protected=declared.protect,
    )


def _settings(policy: Policy) -> Settings:
    """Placeholders: the settings of a protected stack in an account that does not exist."""
    buckets = access.key_buckets(policy)
    regions = access.regions(policy)
    people = dict.fromkeys(buckets, _ARN)
    return Settings(
        stack="expected",
        account=_ACCOUNT,
        policy=policy,
        deletion=Deletion.PROTECTED,
        principals=Principals(
            signers=dict.fromkeys(regions, people),
            admins=people,
            break_glass=people,
            kit=_ARN,
            approvers=dict.fromkeys(policy.approver_roles(), _ARN),
            gamedays=_ARN,
            faults=_ARN,
            audit=_ARN,
            rails=dict.fromkeys(regions, _ARN),
            treasury=dict.fromkeys(regions, _ARN),
            deployer=_ARN,
        ),
        runner=Runner(
            vpc="vpc-placeholder",
            subnets=("subnet-placeholder",),
            security_groups=("sg-placeholder",),
            cluster=f"arn:aws:ecs:{_RUNNER_REGION}:{_ACCOUNT}:cluster/placeholder",
            image=f"{_ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/placeholder@sha256:{_DIGEST}",
        ),
        irrevocable_compliance=False,
        indicators_published=False,
    )

"""The hosted zones that the sandbox's account has before the stack is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.hosted_zones import prepare_hosted_zones
from seawall.errors import ServiceError
from seawall.policy_file import load_policy
from tests.testing.aws_harness import ROOT_KEY, client, running_aws

pytestmark = pytest.mark.integration

POLICY = load_policy(Path(__file__).resolve().parents[2] / "policies" / "sandbox.yaml")


def test_each_zone_that_is_served_is_made_once() -> None:
    with running_aws() as endpoint:
        assert prepare_hosted_zones(endpoint=endpoint, policy=POLICY) == ["harbour.example"]
        assert prepare_hosted_zones(endpoint=endpoint, policy=POLICY) == []
        zones = client("route53", endpoint, ROOT_KEY).list_hosted_zones()["HostedZones"]
        assert [zone["Name"] for zone in zones] == ["harbour.example."]


def test_an_account_that_does_not_answer_is_named() -> None:
    with pytest.raises(ServiceError, match="refused to make its hosted zones"):
        prepare_hosted_zones(endpoint="http://127.0.0.1:1", policy=POLICY)

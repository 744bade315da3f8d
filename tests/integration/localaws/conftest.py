"""One emulator for each module of tests, alone or with what the tests ask through."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.testing.aws_harness import running_aws
from tests.testing.policy_harness import PolicyHarness
from tests.testing.provider_harness import ProviderHarness, running_harness


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """The endpoint of an emulator that enforces no policies yet."""
    with running_aws() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def policy_harness() -> Iterator[PolicyHarness]:
    """An emulator that enforces policies."""
    with running_aws() as endpoint:
        harness = PolicyHarness(endpoint)
        harness.iam.create_user(UserName="deployer")
        yield harness


@pytest.fixture(scope="module")
def provider_harness() -> Iterator[ProviderHarness]:
    """An emulator, its users, and the provider."""
    with running_harness() as running:
        yield running

"""The emulator, its users and the provider, for tests of resource types."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localaws.provider.values import Properties
from sandbox.identities import create_identities
from seawall.policy_file import load_policy
from tests.testing.aws_harness import PRIMARY, ROOT_KEY, client, running_aws
from tests.testing.provider_engine import Engine, running_provider

POLICY = load_policy(Path(__file__).resolve().parents[2] / "policies" / "sandbox.yaml")


@dataclass(frozen=True, kw_only=True)
class ProviderHarness:
    """``engine`` is configured for the primary Region, with the deployer's rights."""

    endpoint: str
    engine: Engine

    def root(self, service: str, *, region: str = PRIMARY) -> Any:
        """A client with the root key, for changes that are made outside the program."""
        return client(service, self.endpoint, ROOT_KEY, region=region)

    def made(self, kind: str, inputs: Properties) -> tuple[str, Properties, Properties]:
        """Check and create, as the engine does: id, state and checked inputs."""
        checked = self.engine.checked(kind, inputs)
        return *self.engine.create(kind, checked), checked


@contextmanager
def running_harness() -> Iterator[ProviderHarness]:
    """The harness, while everything runs."""
    with running_aws() as endpoint:
        deployer = create_identities(endpoint=endpoint, policy=POLICY).deployer
        with running_provider(endpoint, deployer) as port:
            engine = Engine(port, region=PRIMARY)
            yield ProviderHarness(endpoint=endpoint, engine=engine)
            engine.channel.close()

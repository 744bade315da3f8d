"""Who moves money for the venue of a sandbox: its custodian, and its carrier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.carriage import Carriage
from sandbox.custody import Custody
from seawall.conventions import components, environment
from seawall.formats.deployment import Network
from seawall.formats.venue_config import VenueConfig
from seawall.policy import Policy


@dataclass(frozen=True, kw_only=True)
class Keepers:
    """Those that the policy names, made for one sandbox."""

    custody: Custody | None
    carriage: Carriage | None

    @classmethod
    def of(cls, policy: Policy) -> Keepers:
        """Fresh ones."""
        return cls(custody=Custody.of(policy), carriage=Carriage.of(policy))

    @property
    def plan(self) -> dict[str, str | None]:
        """The addresses of their keys, as the plan of a deployment has them."""
        return {
            "custodian": None if self.custody is None else self.custody.address,
            "carrier": None if self.carriage is None else self.carriage.address,
        }

    def write(
        self, data_dir: Path, policy: Policy, venue: VenueConfig, networks: Mapping[str, Network]
    ) -> None:
        """Write what their processes read."""
        for each in (self.custody, self.carriage):
            if each is not None:
                each.write(data_dir, policy, venue, networks)

    def processes(
        self, data_dir: Path, upstream_port: Callable[[str], int]
    ) -> dict[str, tuple[list[str], dict[str, str]]]:
        """Module with arguments, and environment, by process; ports are those of their proxies."""
        found = {}
        if self.custody is not None:
            port = upstream_port(components.CUSTODIAN_PROXY)
            found[components.CUSTODIAN_PROCESS] = self.custody.process(data_dir, port=port)
        if self.carriage is not None:
            port = upstream_port(components.CARRIER_PROXY)
            found[components.CARRIER_PROCESS] = self.carriage.process(data_dir, port=port)
        return found

    @property
    def credentials(self) -> dict[str, str]:
        """What the treasury shows them, as its environment."""
        found = {}
        if self.custody is not None:
            found[environment.CUSTODY_CREDENTIAL_VARIABLE] = self.custody.client
        if self.carriage is not None:
            found[environment.CARRIER_CREDENTIAL_VARIABLE] = self.carriage.client
        return found

"""The carrier between the networks of a sandbox: its key, its terms with the venue, its process.

Like the custodian's, its process starts beside those of the venue, because its contracts must be
deployed before it can say which they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.counterparties.carrier import KEY_VARIABLE
from sandbox.keeper import Keeper
from seawall.controls.rebalancing import routes
from seawall.conventions.signing import fingerprint
from seawall.formats.atomic import write_private
from seawall.formats.deployment import Network
from seawall.formats.venue_config import VenueConfig
from seawall.policy import Policy

CONFIG = "carrier.json"
"""In the data directory, mode 0600: its configuration."""
STATE = "carrier.sqlite"
"""In the data directory: its records."""
CONTROL = "carrier-control.credential"
"""In the data directory, mode 0600: what its own people show it, to pause it."""
DELAY_S = 5
"""From a deposit that is final to its payment, at the earliest."""


@dataclass(frozen=True, kw_only=True)
class Carriage(Keeper):
    """A carrier made for one sandbox."""

    @classmethod
    def of(cls, policy: Policy) -> Carriage | None:
        """A fresh one; None if the policy names no carrier."""
        return None if policy.rebalancing is None else cls.fresh()

    def write(
        self, data_dir: Path, policy: Policy, venue: VenueConfig, networks: Mapping[str, Network]
    ) -> None:
        """Write its configuration, and what its own people show it.

        It reaches each network past the proxies: its nodes are not the venue's.
        """
        config = self._config(policy, venue, networks)
        write_private(data_dir / CONFIG, json.dumps(config, indent=1))
        write_private(data_dir / CONTROL, self.control + "\n")

    def _config(
        self, policy: Policy, venue: VenueConfig, networks: Mapping[str, Network]
    ) -> dict[str, Any]:
        reserves: dict[str, set[str]] = {}
        for route in routes(policy):
            reserves.setdefault(route.to_network, set()).add(venue.holder_of(policy, route.target))
        return {
            "networks": {
                name: {
                    "chain_id": networks[name].chain_id,
                    "rpc": networks[name].node,
                    "tokens": dict(venue.networks[name].tokens),
                }
                for name in reserves
            },
            "contracts": {name: venue.networks[name].carrier for name in reserves},
            "customers": {name: sorted(addresses) for name, addresses in reserves.items()},
            "delay_s": DELAY_S,
            "client_sha256": fingerprint(self.client),
            "control_sha256": fingerprint(self.control),
        }

    def process(self, data_dir: Path, *, port: int) -> tuple[list[str], dict[str, str]]:
        """Module and arguments of its process, and its environment."""
        files = ("--config", str(data_dir / CONFIG), "--state", str(data_dir / STATE))
        module = ["sandbox.counterparties.carrier", *files, "--port", str(port)]
        return module, {KEY_VARIABLE: "0x" + self.key.hex()}

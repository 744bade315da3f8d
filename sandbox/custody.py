"""The custodian of a sandbox: its key, its terms with the venue, and how it is started.

Its process starts beside those of the venue, because the contracts of its cold wallets must be
deployed before it can say which they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.keeper import Keeper
from seawall.conventions.signing import fingerprint
from seawall.formats.atomic import write_private
from seawall.formats.deployment import Network
from seawall.formats.venue_config import VenueConfig
from seawall.policy import Policy

CONFIG = "custodian.json"
"""In the data directory, mode 0600: its configuration."""
STATE = "custodian.sqlite"
"""In the data directory: its records."""
CONTROL = "custodian-control.credential"
"""In the data directory, mode 0600: what its own people show it, to pause it."""
KEY_VARIABLE = "SEAWALL_CUSTODIAN_KEY"
_COIN = "0x" + "00" * 20


@dataclass(frozen=True, kw_only=True)
class Custody(Keeper):
    """A custodian made for one sandbox."""

    @classmethod
    def of(cls, policy: Policy) -> Custody | None:
        """A fresh one; None if the policy names no custodian."""
        return None if policy.custody is None else cls.fresh()

    def write(
        self, data_dir: Path, policy: Policy, venue: VenueConfig, networks: Mapping[str, Network]
    ) -> None:
        """Write its configuration, and what its own people show it.

        It reaches each network past the proxies: its nodes are not the venue's.
        """
        write_private(
            data_dir / CONFIG, json.dumps(self._config(policy, venue, networks), indent=1)
        )
        write_private(data_dir / CONTROL, self.control + "\n")

    def _config(
        self, policy: Policy, venue: VenueConfig, networks: Mapping[str, Network]
    ) -> dict[str, Any]:
        terms = policy.custody
        assert terms is not None  # else there is no custodian
        routine = policy.approvals.routine
        reserves = [name for name, each in policy.wallets.items() if each.wallet_class == "reserve"]
        return {
            "networks": {
                name: {
                    "chain_id": network.chain_id,
                    "rpc": network.node,
                    "tokens": {policy.networks[name].native: _COIN, **venue.networks[name].tokens},
                }
                for name, network in networks.items()
            },
            "wallets": {
                cold: {
                    "network": policy.wallets[reserve].network,
                    "contract": venue.holder_of(policy, cold),
                    "destination": venue.holder_of(policy, reserve),
                }
                for reserve in reserves
                if (cold := policy.cold_of(reserve)) is not None
            },
            "approvers": {role: venue.approvers[role] for role in routine.approvers},
            "needed": routine.needed,
            "delay_s": terms.delay / 1_000,
            "opens_s": terms.opens_s,
            "closes_s": terms.closes_s,
            "client_sha256": fingerprint(self.client),
            "control_sha256": fingerprint(self.control),
        }

    def process(self, data_dir: Path, *, port: int) -> tuple[list[str], dict[str, str]]:
        """Module and arguments of its process, and its environment."""
        files = ("--config", str(data_dir / CONFIG), "--state", str(data_dir / STATE))
        module = ["sandbox.counterparties.custodian", *files, "--port", str(port)]
        return module, {KEY_VARIABLE: "0x" + self.key.hex()}

"""Where a venue process finds its neighbours.

One JSON file, written by the sandbox or by a user from stack outputs.

It holds no secret: each process gets the database URL of its own role, and each signer its AWS
credentials, by its environment or by a shared credentials file with a profile per bucket.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from seawall.conventions.environment import DATABASE_VARIABLE
from seawall.errors import UsageError
from seawall.formats.documents import read_json_model
from seawall.policy import Policy
from seawall.policy_file import load_policy


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Endpoint(_Part):
    """One way to a service, and its alternative."""

    primary: str
    standby: str


class NetworkSite(_Part):
    """Where a network is reached and what lives on it.

    Contract addresses by wallet name, token addresses by asset.

    Reserve wallets are contracts of the same code (docs/decisions/0005): they hold exactly what the
    ledger says, gas lies elsewhere.
    """

    chain_id: int
    rpc: Endpoint
    payout_contracts: dict[str, str]
    reserve_contracts: dict[str, str] = Field(default_factory=dict)
    tokens: dict[str, str]

    def contract_of(self, wallet: str) -> str | None:
        """The contract that holds ``wallet``'s money.

        None if it lies at the address of its own key.
        """
        return self.payout_contracts.get(wallet) or self.reserve_contracts.get(wallet)


class Key(_Part):
    """A wallet's key as the stack made it.

    The id is valid in both regions, the address follows from the public key.
    """

    key_id: str
    address: str
    role_arn: str


class SignerSite(_Part):
    """A region's signer: where it listens, where others reach it, where its KMS and STS answer, its
    keys by wallet.

    ``operations_per_s``: elliptic-curve operations that the account may use in this region (Service
    Quotas); buckets share them.
    """

    listen_port: int
    operations_per_s: int = Field(gt=0)
    url: str
    kms_endpoint: str
    sts_endpoint: str
    keys: dict[str, Key]


class VenueConfig(_Part):
    """Everything that a venue process is told."""

    run_id: str
    policy: Path
    networks: dict[str, NetworkSite]
    signers: dict[str, SignerSite]
    exchange: Endpoint
    api_listen_port: int
    api_url: str
    metrics_ports: dict[str, int]

    def own_addresses(self, policy: Policy) -> frozenset[str]:
        """Lower-case addresses on any network that are the venue's own.

        What is paid there would be paid to itself.
        """
        cold = {wallet.address for wallet in policy.wallets.values() if wallet.address is not None}
        keys = {key.address for signer in self.signers.values() for key in signer.keys.values()}
        sites = self.networks.values()
        placed = {
            each
            for site in sites
            for each in (*site.payout_contracts.values(), *site.reserve_contracts.values())
        }
        tokens = {token for site in sites for token in site.tokens.values()}
        return frozenset(address.lower() for address in cold | keys | placed | tokens)

    def holder_of(self, policy: Policy, wallet: str) -> str:
        """Lower-case address at which ``wallet``'s money lies.

        Its contract, its cold address, or that of its key.
        """
        declared = policy.wallets[wallet]
        address = self.networks[declared.network].contract_of(wallet) or declared.address
        return (address or self.signers[policy.regions.primary].keys[wallet].address).lower()

    def load_policy(self) -> Policy:
        """The policy in force."""
        return load_policy(self.policy)


def database_url() -> str:
    """Where this process finds its database, as its own role. Raises :class:`UsageError`."""
    url = os.environ.get(DATABASE_VARIABLE)
    if not url:
        message = f"{DATABASE_VARIABLE} is not set"
        raise UsageError(message, remedy="set it to the PostgreSQL URL of this process's role")
    return url


def load_config(path: Path) -> VenueConfig:
    """Read the file at ``path``. Raises :class:`UsageError` if it is missing or malformed."""
    return read_json_model(path, VenueConfig)


def config_from_arguments(
    description: str, *, optional: Mapping[str, str] | None = None, **options: str
) -> tuple[VenueConfig, argparse.Namespace]:
    """Parse ``--config FILE`` and the named string ``options`` (name -> help), all required but the
    ``optional`` ones.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", type=Path, required=True, help="the venue's configuration file")
    for name, text in options.items():
        parser.add_argument(f"--{name}", required=True, help=text)
    for name, text in (optional or {}).items():
        parser.add_argument(f"--{name}", help=text)
    arguments = parser.parse_args()
    return load_config(arguments.config), arguments

"""The venue's configuration file, `venue.json`: where each venue process reaches what it needs.

It is written by the sandbox, or by a user from the outputs of a stack, and read by every process of
the venue. It holds no secret: each process gets the database URL of its own role from its
environment, each caller of a signer its credential, and each signer the AWS credentials of its
bucket.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from seawall.conventions.environment import (
    CARRIER_CREDENTIAL_VARIABLE,
    CUSTODY_CREDENTIAL_VARIABLE,
    DATABASE_VARIABLE,
    RAIL_CREDENTIALS_VARIABLE,
    SABOTAGE_VARIABLE,
    SIGN_LOG_VARIABLE,
    SIGNER_CREDENTIAL_VARIABLE,
)
from seawall.errors import UsageError
from seawall.formats.atomic import write_private
from seawall.formats.documents import read_json_model
from seawall.policy import Policy
from seawall.policy_file import load_policy

_CREDENTIALS = TypeAdapter(dict[str, dict[str, str]])


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Endpoint(_Part):
    """The URLs of a service and of its standby; providers put keys in them."""

    primary: str = Field(repr=False)
    standby: str = Field(repr=False)


class NetworkConfig(_Part):
    """Where a network is reached, and the venue's contracts on it.

    ``payout_contracts`` and ``reserve_contracts`` are addresses by wallet, ``tokens`` by asset.
    Reserve wallets are contracts of the same code (docs/decisions/0005): they hold exactly what the
    ledger says, and the gas money of their keys lies elsewhere. ``gas_tank`` is the contract that
    refills it (docs/decisions/0046); without one people do. Of a cold wallet that is not in
    ``cold_contracts`` the policy has the address. ``carrier`` is the contract by which the carrier
    between networks takes and pays money here (docs/decisions/0058).
    """

    chain_id: int
    rpc: Endpoint
    payout_contracts: dict[str, str]
    reserve_contracts: dict[str, str] = Field(default_factory=dict)
    cold_contracts: dict[str, str] = Field(default_factory=dict)
    tokens: dict[str, str]
    gas_tank: str | None = None
    carrier: str | None = None

    def contract_of(self, wallet: str) -> str | None:
        """The contract that holds the money of ``wallet``; None if its key's address holds it."""
        for contracts in (self.payout_contracts, self.reserve_contracts, self.cold_contracts):
            if wallet in contracts:
                return contracts[wallet]
        return None


class Key(_Part):
    """The key of a wallet; the id is valid in both regions, the address is that of the key."""

    key_id: str
    address: str
    role_arn: str


class BucketSigner(_Part):
    """The signer of one bucket in a region: where it listens, and where its front reaches it."""

    listen_port: int
    url: str


class SignerConfig(_Part):
    """The signers of one region, one per bucket, behind a front.

    ``listen_port`` is where the front listens, ``url`` where others reach it; ``buckets`` are the
    signers by bucket, ``keys`` are by wallet. ``operations_per_s``: elliptic-curve operations that
    the account may use in this region (Service Quotas); all buckets share them.
    """

    listen_port: int
    buckets: dict[str, BucketSigner]
    operations_per_s: int = Field(gt=0)
    url: str
    kms_endpoint: str
    sts_endpoint: str
    keys: dict[str, Key]


SignerAct = Literal["sign", "prove", "probe"]


class SignerCaller(_Part):
    """Who may ask the signers for what; ``sha256`` is that of its credential, in hex."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    may: tuple[SignerAct, ...]


class VenueConfig(_Part):
    """The whole file; ``networks`` by name, ``signers`` by region, ``metrics_ports`` by process.

    ``signer_callers`` by name: all others are refused. To change a credential, add the new one
    under another name, restart the caller with it, and remove the old one.

    ``approvers`` are addresses of approvers' keys by role, as reserves were deployed with them.

    ``rails`` are the two providers of each rail that withdrawals are paid over, by rail; a rail
    that is not there is not offered. Who pays over them gets their credentials from its
    environment.

    ``custodian`` is where the custodian of the cold wallets is reached; without it nothing is asked
    of it. ``carrier`` is where the carrier between networks is reached, likewise. The treasury gets
    their credentials from its environment.

    ``sandbox``: nothing of value can be lost, so that controls may be switched off.
    """

    run_id: str
    sandbox: bool = False
    policy: Path
    networks: dict[str, NetworkConfig]
    signers: dict[str, SignerConfig]
    signer_callers: dict[str, SignerCaller]
    approvers: dict[str, str] = Field(default_factory=dict)
    exchange: Endpoint
    rails: dict[str, Endpoint] = Field(default_factory=dict)
    custodian: str | None = Field(default=None, repr=False)
    carrier: str | None = Field(default=None, repr=False)
    api_listen_port: int
    api_url: str
    metrics_ports: dict[str, int]

    def own_addresses(self, policy: Policy) -> frozenset[str]:
        """Lower-case addresses on any network that are the venue's own.

        The venue refuses to pay to them, because such a payment would stay in the venue.
        """
        cold = {wallet.address for wallet in policy.wallets.values() if wallet.address is not None}
        keys = {key.address for signer in self.signers.values() for key in signer.keys.values()}
        networks = self.networks.values()
        contracts = {
            address
            for network in networks
            for address in (
                *network.payout_contracts.values(),
                *network.reserve_contracts.values(),
                *network.cold_contracts.values(),
            )
        }
        tokens = {token for network in networks for token in network.tokens.values()}
        tanks = {network.gas_tank for network in networks if network.gas_tank is not None}
        return frozenset(address.lower() for address in cold | keys | contracts | tokens | tanks)

    def contracts(self, policy: Policy, wallets: Iterable[str]) -> dict[str, str]:
        """Lower-case contract of each of ``wallets`` that has one."""
        found = {
            wallet: self.networks[policy.wallets[wallet].network].contract_of(wallet)
            for wallet in wallets
        }
        return {wallet: address.lower() for wallet, address in found.items() if address}

    def tanks(self, policy: Policy, wallets: Iterable[str]) -> dict[str, str]:
        """Lower-case address of what pays the gas of each of ``wallets``, where there is that."""
        found = {
            wallet: self.networks[policy.wallets[wallet].network].gas_tank for wallet in wallets
        }
        return {wallet: address.lower() for wallet, address in found.items() if address}

    def recipients(self, policy: Policy, wallets: Iterable[str]) -> dict[str, str]:
        """Lower-case address of the only recipient of each of ``wallets`` that pays one alone.

        These are reserves: each pays the contract of the hot wallet that it refills, or itself,
        hence nobody.
        """
        reserves = [
            wallet for wallet in wallets if policy.wallets[wallet].wallet_class == "reserve"
        ]
        paid = {wallet: policy.refilled_by(wallet) or wallet for wallet in reserves}
        contracts = self.contracts(policy, paid.values())
        return {wallet: contracts[to] for wallet, to in paid.items() if to in contracts}

    def holder_of(self, policy: Policy, wallet: str) -> str:
        """Lower-case address at which the money of ``wallet`` lies.

        Its contract, its cold address, or the address of its key.
        """
        declared = policy.wallets[wallet]
        address = self.networks[declared.network].contract_of(wallet) or declared.address
        return (address or self.signers[policy.regions.primary].keys[wallet].address).lower()

    def load_policy(self) -> Policy:
        """The policy in force."""
        return load_policy(self.policy)

    def write(self, path: Path) -> None:
        """Write the file at ``path``, whole or not at all. Raises :class:`WorldError`."""
        write_private(path, self.model_dump_json(indent=1))


def database_url() -> str:
    """The database URL of this process, with its own role. Raises :class:`UsageError`."""
    return _url(DATABASE_VARIABLE)


def sign_log_url() -> str:
    """The URL of the signers' own database, with the role of this process there.

    Raises :class:`UsageError`.
    """
    return _url(SIGN_LOG_VARIABLE)


def _url(variable: str) -> str:
    url = os.environ.get(variable)
    if not url:
        raise UsageError(
            f"{variable} is not set", remedy="set it to the PostgreSQL URL of this process's role"
        )
    return url


def signer_credential() -> str:
    """What this process shows the signers. Raises :class:`UsageError`."""
    credential = os.environ.get(SIGNER_CREDENTIAL_VARIABLE)
    if not credential:
        raise UsageError(
            f"{SIGNER_CREDENTIAL_VARIABLE} is not set",
            remedy="set it to the credential whose SHA-256 stands under signer_callers",
        )
    return credential


def rail_credentials() -> dict[str, dict[str, str]]:
    """What this process shows each provider, by rail and side. Raises :class:`UsageError`."""
    try:
        return _CREDENTIALS.validate_json(os.environ.get(RAIL_CREDENTIALS_VARIABLE, ""))
    except ValidationError as error:
        raise UsageError(
            f"{RAIL_CREDENTIALS_VARIABLE} holds no credentials by rail and side",
            remedy='set it to JSON such as {"fiat": {"primary": "...", "standby": "..."}}',
        ) from error


def custody_credential() -> str:
    """What this process shows the custodian. Raises :class:`UsageError`."""
    credential = os.environ.get(CUSTODY_CREDENTIAL_VARIABLE)
    if not credential:
        raise UsageError(
            f"{CUSTODY_CREDENTIAL_VARIABLE} is not set",
            remedy="set it to what the custodian gave the venue, or name no custodian",
        )
    return credential


def carrier_credential() -> str:
    """What this process shows the carrier. Raises :class:`UsageError`."""
    credential = os.environ.get(CARRIER_CREDENTIAL_VARIABLE)
    if not credential:
        raise UsageError(
            f"{CARRIER_CREDENTIAL_VARIABLE} is not set",
            remedy="set it to what the carrier gave the venue, or name no carrier",
        )
    return credential


def load_config(path: Path) -> VenueConfig:
    """Read the file at ``path``. Raises :class:`UsageError` if it is missing or malformed."""
    return read_json_model(path, VenueConfig)


def config_from_arguments(
    description: str, *, flags: Mapping[str, str] | None = None, **options: str
) -> tuple[VenueConfig, argparse.Namespace]:
    """Parse ``--config FILE`` and string options of the command line; load the file.

    Args:
        description: What the program does, for its help.
        flags: Help by name of options without a value.
        options: Help by name of options that are required.

    Raises :class:`UsageError`, also if a control is switched off outside a sandbox.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", type=Path, required=True, help="the venue's configuration file")
    for name, text in options.items():
        parser.add_argument(f"--{name}", required=True, help=text)
    for name, text in (flags or {}).items():
        parser.add_argument(f"--{name}", action="store_true", help=text)
    arguments = parser.parse_args()
    config = load_config(arguments.config)
    refuse_sabotage(config)
    return config, arguments


def refuse_sabotage(config: VenueConfig) -> None:
    """Let no process of a real venue start without one of its controls.

    Raises :class:`UsageError`.
    """
    sabotage = os.environ.get(SABOTAGE_VARIABLE)
    if sabotage and not config.sandbox:
        raise UsageError(
            f"{SABOTAGE_VARIABLE} switches {sabotage} off, and this venue is no sandbox",
            remedy=f"remove {SABOTAGE_VARIABLE} from the environment of this process",
        )

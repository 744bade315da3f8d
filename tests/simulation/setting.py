"""What is the same in every run: the policy, the addresses, the keys; made once per process."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import prometheus_client

from seawall.controls.sizing import contract_caps, window_seconds
from seawall.ethereum.keys import address_of_private_key, keccak256
from seawall.formats.venue_config import VenueConfig
from seawall.policy import Policy
from seawall.policy_file import load_policy
from tests.simulation.chain import Contract
from tests.simulation.reserve import Lane, Rules
from venue.contracts.calls import NATIVE
from venue.settler.metrics import SettlerMetrics

NETWORK = "aster"
CUSTOMERS = 12
APPROVALS_NEEDED = 2
HOUSE = "treasury-aster-hot"
HOUSE_ADDRESS = f"0x{0xE0:040x}"
"""A wallet of another bucket, without a contract."""
_POLICY = Path(__file__).parents[2] / "policies" / "sandbox.yaml"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The venue of every run, on one network: its payout wallet and the reserve that refills it.

    ``tokens`` are addresses by asset, the coin's included; ``secrets`` are keys by wallet,
    ``approvers`` keys of who approves what else leaves the reserve, by address.
    """

    policy: Policy
    config: VenueConfig
    secrets: dict[str, bytes]
    hot: str
    reserve: str
    bucket: str
    approvers: dict[str, bytes]
    tokens: dict[str, str]
    metrics: SettlerMetrics
    registry: prometheus_client.CollectorRegistry

    @property
    def chain_id(self) -> int:
        """Of the network."""
        return self.config.networks[NETWORK].chain_id

    def address(self, wallet: str) -> str:
        """Of the wallet's key."""
        return self.config.signers[self.policy.regions.primary].keys[wallet].address

    def contract(self, wallet: str) -> str:
        """Of the wallet's contract."""
        found = self.config.networks[NETWORK].contract_of(wallet)
        assert found is not None
        return found

    @property
    def tank(self) -> str:
        """Of what refills the gas money of both keys."""
        found = self.config.networks[NETWORK].gas_tank
        assert found is not None
        return found

    def held_at_first(self, wallet: str, asset: str) -> int:
        """Base units that the policy wants there."""
        return self.policy.base_units(asset, self.policy.wallets[wallet].holdings[asset].target)

    def contracts(self) -> dict[str, Contract]:
        """The payout contracts as they are deployed, by address."""
        return {
            self.contract(wallet): Contract(
                address=self.contract(wallet),
                signer=self.address(wallet),
                caps={
                    self.tokens[asset]: cap
                    for asset, cap in contract_caps(self.policy, wallet).items()
                },
                window_s=window_seconds(self.policy),
                only_to=self.contract(self.hot) if wallet == self.reserve else None,
                approving=self._approving() if wallet == self.reserve else None,
            )
            for wallet in (self.hot, self.reserve)
        }

    def lane_cap(self, asset: str, *, fast: bool) -> int:
        """Base units that approvals of a lane move in one of its windows."""
        return self.held_at_first(self.reserve, asset) // (400 if fast else 100)

    def _approving(self) -> Rules:
        """Delays and windows as short as a run is."""
        approvers = frozenset(self.approvers)
        lanes = [
            Lane(
                approvers=approvers,
                needed=APPROVALS_NEEDED,
                delay_s=1 if fast else 3,
                window_s=5,
                caps={self.tokens[asset]: self.lane_cap(asset, fast=fast) for asset in self.tokens},
            )
            for fast in (False, True)
        ]
        return Rules(bucket=self.bucket, lanes=(lanes[0], lanes[1]), review_within_s=4)


@functools.cache
def setting() -> Setting:
    """The one venue."""
    policy = load_policy(_POLICY)
    hot = next(
        name for name, wallet in policy.payout_wallets().items() if wallet.network == NETWORK
    )
    reserve = policy.reserve_of(hot)
    secrets = {name: keccak256(f"key of {name}".encode()) for name in policy.signing_wallets()}
    keys = {
        name: {
            "key_id": name,
            "address": address_of_private_key(secret),
            "role_arn": f"arn:aws:iam::123456789012:role/{name}",
        }
        for name, secret in secrets.items()
    }
    approvers = [keccak256(f"approver {number}".encode()) for number in range(3)]
    regions = (policy.regions.primary, policy.regions.standby)
    nowhere = {"primary": "http://nowhere", "standby": "http://nowhere"}
    token = f"0x{0x70:040x}"
    config = VenueConfig.model_validate(
        {
            "run_id": "simulation",
            "sandbox": True,
            "policy": str(_POLICY),
            "networks": {
                NETWORK: {
                    "chain_id": policy.networks[NETWORK].chain_id,
                    "rpc": {"primary": "http://primary", "standby": "http://standby"},
                    "payout_contracts": {hot: f"0x{0xC0:040x}"},
                    "reserve_contracts": {reserve: f"0x{0xD0:040x}"},
                    "tokens": dict.fromkeys(policy.networks[NETWORK].tokens, token),
                    "gas_tank": f"0x{0xE0:040x}",
                }
            },
            "signers": {
                region: {
                    "listen_port": 9,
                    "buckets": {},
                    "operations_per_s": policy.signing.operations_per_s,
                    "url": f"http://{region}",
                    "kms_endpoint": "http://nowhere",
                    "sts_endpoint": "http://nowhere",
                    "keys": keys,
                }
                for region in regions
            },
            "signer_callers": {},
            "exchange": nowhere,
            "api_listen_port": 9,
            "api_url": "http://nowhere",
            "metrics_ports": {},
        }
    )
    native = policy.networks[NETWORK].native
    registry = prometheus_client.CollectorRegistry()
    return Setting(
        policy=policy,
        config=config,
        secrets=secrets,
        hot=hot,
        reserve=reserve,
        bucket=policy.wallets[hot].bucket,
        approvers={address_of_private_key(secret): secret for secret in approvers},
        tokens={native: NATIVE} | config.networks[NETWORK].tokens,
        metrics=SettlerMetrics(NETWORK, assets=policy.networks[NETWORK].assets, registry=registry),
        registry=registry,
    )

"""Exposure: the money behind a resource that a change would touch; pure.

It is the most that the policy lets the resource's wallets hold, and their balance now. The wallet
of a resource is found by its tags, or by its name, which begins with the wallet's. Amounts are
integer base units; values are millionths of the unit of account at the policy's reference prices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from seawall.change_review.preview import Change
from seawall.policy import Policy
from seawall.policy.quantities import MICRO

WALLET_TAG = "wallet"
BUCKET_TAG = "bucket"


@dataclass(frozen=True, kw_only=True)
class LiveBalance:
    """The balance of one asset in base units, or the reason why it is not known."""

    amount: int | None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class AssetExposure:
    """One asset of one wallet.

    ``maximum``: base units that the policy lets it hold; ``live``: None if no chain was asked.
    """

    wallet: str
    network: str
    chain_id: int
    asset: str
    native: bool
    decimals: int
    maximum: int
    maximum_value_micro: int
    price: Decimal
    live: LiveBalance | None = None

    @property
    def live_value_micro(self) -> int | None:
        """Value of the balance now; None if it is not known."""
        if self.live is None or self.live.amount is None:
            return None
        return int(Decimal(self.live.amount) * self.price * MICRO / 10**self.decimals)


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """The money that a change puts at risk.

    ``wallets`` is empty if the policy has none of that name; ``addresses``: address by wallet.
    """

    scope: Literal["wallet", "bucket"]
    name: str
    owner: str | None
    unit: str
    wallets: tuple[str, ...]
    holdings: tuple[AssetExposure, ...]
    addresses: Mapping[str, str]

    @property
    def maximum_value_micro(self) -> int:
        """The most that the wallets may hold, over all assets."""
        return sum(each.maximum_value_micro for each in self.holdings)

    @property
    def live_value_micro(self) -> int | None:
        """Value of the balances now; None if one of them is not known."""
        values = [each.live_value_micro for each in self.holdings]
        known = [value for value in values if value is not None]
        return sum(known) if values and len(known) == len(values) else None

    @property
    def why_unknown(self) -> str:
        """Each reason why a balance is not known, once."""
        reasons = [
            each.live.reason
            for each in self.holdings
            if each.live is not None and each.live.amount is None
        ]
        return "; ".join(dict.fromkeys(reasons)) or "no endpoint was named"

    def with_live(self, found: Mapping[tuple[str, str], LiveBalance]) -> Exposure:
        """Return a copy with the balances ``found``, by wallet and asset."""
        holdings = tuple(
            replace(each, live=found.get((each.wallet, each.asset), each.live))
            for each in self.holdings
        )
        return replace(self, holdings=holdings)


def wallet_of(change: Change, wallets: Iterable[str]) -> str | None:
    """Return the wallet that a resource belongs to, by its tag, or else by its name.

    The wallet in a tag may be one that the policy no longer declares.
    """
    tagged = change.tags.get(WALLET_TAG)
    if isinstance(tagged, str) and tagged:
        return tagged
    names = [name for name in wallets if change.name == name or change.name.startswith(f"{name}-")]
    return max(names, key=len) if names else None


def exposure_of(
    change: Change, policy: Policy, addresses: Mapping[str, str], *, also: Policy
) -> Exposure | None:
    """Return the money behind the resource of ``change``; None without a wallet or a bucket.

    Args:
        change: one step of the preview.
        policy: the policy in force until now.
        addresses: address by wallet, from the stack's outputs.
        also: the policy that the change brings, for wallets that only it declares.
    """
    wallet = wallet_of(change, {*policy.wallets, *also.wallets, *addresses})
    bucket = change.tags.get(BUCKET_TAG)
    if wallet is not None:
        declaring = policy if wallet in policy.wallets else also
        declared = declaring.wallets.get(wallet)
        inside = [wallet] if declared is not None else []
        return _exposure(
            wallet,
            inside,
            declaring,
            addresses,
            bucket=declared.bucket if declared is not None else bucket,
        )
    if isinstance(bucket, str) and bucket:
        declaring = policy if bucket in policy.buckets else also
        inside = [
            name for name, each in declaring.signing_wallets().items() if each.bucket == bucket
        ]
        return _exposure(None, inside, declaring, addresses, bucket=bucket)
    return None


def _exposure(
    wallet: str | None,
    inside: list[str],
    policy: Policy,
    addresses: Mapping[str, str],
    *,
    bucket: Any,
) -> Exposure:
    holdings = []
    for name in inside:
        network = policy.networks[policy.wallets[name].network]
        for asset, holding in policy.wallets[name].holdings.items():
            maximum = policy.base_units(asset, holding.maximum)
            holdings.append(
                AssetExposure(
                    wallet=name,
                    network=policy.wallets[name].network,
                    chain_id=network.chain_id,
                    asset=asset,
                    native=network.native == asset,
                    decimals=policy.assets[asset].decimals,
                    maximum=maximum,
                    maximum_value_micro=policy.value_micro(asset, maximum),
                    price=policy.assets[asset].reference_price,
                )
            )
    owner = policy.buckets.get(str(bucket))
    return Exposure(
        scope="bucket" if wallet is None else "wallet",
        name=wallet or str(bucket),
        owner=owner.owner if owner is not None else None,
        unit=policy.venue.unit_of_account,
        wallets=tuple(inside),
        holdings=tuple(holdings),
        addresses={name: addresses[name] for name in inside if name in addresses},
    )


def declared_addresses(outputs: Mapping[str, Any]) -> dict[str, str]:
    """Read address by wallet from the stack's outputs before the change.

    They are at `signers.<wallet>.address`.
    """
    signers = outputs.get("signers")
    if not isinstance(signers, Mapping):
        return {}
    return {
        str(wallet): str(signer["address"])
        for wallet, signer in signers.items()
        if isinstance(signer, Mapping) and isinstance(signer.get("address"), str)
    }


def money(value_micro: int, unit: str) -> str:
    """Write ``1680000000000``, USD as ``1,680,000.00 USD``, truncated and not rounded."""
    whole, part = divmod(value_micro, MICRO)
    return f"{whole:,}.{part * 100 // MICRO:02d} {unit}"


def units(amount: int, decimals: int, asset: str) -> str:
    """Write ``420000000000000000000``, 18, AST as ``420 AST``, exactly."""
    scaled = (Decimal(amount) / 10**decimals).normalize()
    return f"{scaled:,f} {asset}"

"""Feasibility in capacity: a paying bucket's signing quota suffices for one cycle of stress."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from seawall.controls.breaker import BreakerSettings
from seawall.controls.sizing import BATCH_ITEMS_MAX
from seawall.controls.timing import CLAIM_SPACING_MS
from seawall.feasibility.steps import span
from seawall.feasibility.sums import Sum, Term

if TYPE_CHECKING:
    from seawall.policy.model import Policy

_MS_PER_S = 1_000


def in_capacity(policy: Policy) -> Iterator[Sum]:
    """Signatures of each paying bucket in a second, and of each paying wallet in a window."""
    yield from _of_buckets(policy)
    yield from _of_wallets(policy)


def _of_wallets(policy: Policy) -> Iterator[Sum]:
    """The transactions of each paying wallet in one window of the signer's cap."""
    cap = policy.caps.signer
    for name in policy.payout_wallets():
        yield Sum(
            kind="capacity",
            name=f"transactions of {name} in {span(cap.window)}",
            path="caps.signer.transactions",
            relation="within",
            limit=Fraction(cap.transactions),
            unit="",
            terms=(
                Term(
                    name="full batches",
                    value=Fraction(
                        policy.stress.withdrawals * cap.window,
                        BATCH_ITEMS_MAX * policy.stress.length,
                    ),
                    detail=(
                        f"{policy.stress.withdrawals} in {span(policy.stress.length)}, batches of "
                        f"{BATCH_ITEMS_MAX}"
                    ),
                ),
                Term(
                    name="batches that are not full",
                    value=Fraction(cap.window, CLAIM_SPACING_MS),
                    detail=f"one every {span(CLAIM_SPACING_MS)}",
                ),
            ),
            remedy="raise caps.signer.transactions, or shorten caps.signer.window",
        )


def _of_buckets(policy: Policy) -> Iterator[Sum]:
    """The most signatures a second of each paying bucket, against its share of a region's quota."""
    payers = {wallet.bucket for wallet in policy.payout_wallets().values()}
    for bucket in sorted(payers):
        hot = [wallet for wallet in policy.payout_wallets().values() if wallet.bucket == bucket]
        networks = {wallet.network for wallet in hot}
        full = Fraction(
            policy.stress.withdrawals * _MS_PER_S, BATCH_ITEMS_MAX * policy.stress.length
        )
        refills = sum(len(wallet.holdings) for wallet in hot)
        probes = Fraction(_MS_PER_S * len(networks), BreakerSettings().probe_every_ms)
        yield Sum(
            kind="capacity",
            name=f"signatures of {bucket}",
            path=f"signing.shares.{bucket}",
            relation="within",
            limit=policy.signing.shares.get(bucket, Fraction(0)) * policy.signing.operations_per_s,
            unit="/s",
            terms=(
                Term(
                    name="withdrawals",
                    value=full,
                    detail=(
                        f"{policy.stress.withdrawals} in {span(policy.stress.length)}, batches of "
                        f"{BATCH_ITEMS_MAX}"
                    ),
                ),
                Term(
                    name="batches that are not full",
                    detail=f"{len(hot)} wallets every {span(CLAIM_SPACING_MS)}",
                    value=Fraction(_MS_PER_S * len(hot), CLAIM_SPACING_MS),
                ),
                Term(
                    name="top-ups",
                    detail=f"{refills} holdings every {span(policy.treasury.top_up_every)}",
                    value=Fraction(_MS_PER_S * refills, policy.treasury.top_up_every),
                ),
                Term(name="probes", value=probes, detail=f"{len(networks)} networks"),
            ),
            remedy=(
                f"raise the share of {bucket}, or signing.operations_per_s once KMS has raised the "
                "quota"
            ),
        )

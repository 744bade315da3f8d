"""Rules for cold wallets: what comes from there is signed, moves something, and may be in time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from seawall.errors import Problem

if TYPE_CHECKING:
    from seawall.policy.custody import Custody
    from seawall.policy.model import Policy


def custody(policy: Policy) -> Iterator[Problem]:
    """Every fault of the custodian's terms, and of the reserves that it fills."""
    declared = policy.custody
    if declared is None:
        return
    yield from _times(policy, declared)
    fed = {
        name: wallet
        for name, wallet in policy.wallets.items()
        if wallet.wallet_class == "reserve" and policy.cold_of(name) is not None
    }
    if not fed:
        yield Problem(
            path="custody",
            found="no cold wallet beside a reserve",
            remedy="declare one of the bucket and network of a reserve, or leave custody out",
        )
    for name, wallet in fed.items():
        for asset, holding in wallet.holdings.items():
            if holding.minimum and holding.minimum >= holding.target:
                yield Problem(
                    path=f"wallets.{name}.holdings.{asset}.minimum",
                    found=f"{holding.minimum}, target {holding.target}",
                    remedy="write less than the target: cold fills the reserve to it from below",
                )


def _times(policy: Policy, declared: Custody) -> Iterator[Problem]:
    if declared.lead_time <= declared.delay:
        yield Problem(
            path="custody.lead_time",
            found=f"{declared.lead_time} ms, delay {declared.delay} ms",
            remedy="write more than the delay: it could never be met",
        )
    expires = policy.approvals.expires_after
    if declared.lead_time > expires:
        yield Problem(
            path="custody.lead_time",
            found=f"{declared.lead_time} ms, approvals.expires_after {expires} ms",
            remedy="write no more than that: what is late would expire before anybody is paged",
        )

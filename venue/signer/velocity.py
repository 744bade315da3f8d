"""Velocity caps: how much a signer signs away of a wallet, even if everything else is wrong.

Whoever could write slots, or fool the settler, would still get no more than a cap within a window.
Amounts are read from the calldata that is signed and counted in the sign log's own database, in the
transaction that records the digest (`record_digest` in venue/sign_log.sql): neither a restart, nor
a restore of the venue's database, nor the other region forgets. What was recorded counts whether or
not it was signed and sent; a repeated request counts once.

The window is a time of that database's clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from seawall.controls.sizing import Caps, signer_caps
from seawall.formats.venue_config import VenueConfig
from seawall.policy import Policy
from venue.contracts.calls import NATIVE
from venue.signer.protocol import SigningRefusedError


def caps_of(config: VenueConfig, policy: Policy, wallets: Iterable[str]) -> dict[str, Caps]:
    """The caps of each of ``wallets``; amounts by token address, as calls name them."""
    found = {}
    for wallet in wallets:
        network = policy.wallets[wallet].network
        native, tokens = policy.networks[network].native, config.networks[network].tokens
        caps = signer_caps(policy, wallet)
        found[wallet] = replace(
            caps,
            amounts={
                NATIVE if asset == native else tokens[asset].lower(): amount
                for asset, amount in caps.amounts.items()
            },
        )
    return found


def over_alone(wallet: str, moved: Mapping[str, int], caps: Caps) -> SigningRefusedError | None:
    """The refusal of what fits into no window; ``moved`` are base units by token."""
    for token, amount in sorted(moved.items()):
        if amount > caps.amounts.get(token, 0):
            return over_window(wallet, caps, token=token, amount=amount)
    return None


def over_window(
    wallet: str, caps: Caps, *, token: str | None, amount: int | None
) -> SigningRefusedError:
    """The refusal of ``amount`` base units of ``token`` in a window; None: of a transaction."""
    window = f"within {caps.window_ms / 1_000:g} s"
    if token is None:
        return SigningRefusedError(
            "over_cap",
            f"{wallet} has {caps.transactions} transactions {window}, which is all that its signer"
            " signs",
        )
    return SigningRefusedError(
        "over_cap",
        f"{wallet} would have {amount} base units of {token} signed away {window}, and its signer"
        f" signs {caps.amounts.get(token, 0)}",
    )

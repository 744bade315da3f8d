"""Outstanding: what customers wait for and a hot wallet could pay, of each asset.

Not outstanding is what no window of the signer's caps lets out: it is never claimed, and stays for
its customer to cancel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from seawall.controls.sizing import signer_caps

if TYPE_CHECKING:
    from typing import Any

    from seawall.policy import Policy

_OUTSTANDING = """
    select w.asset, sum(w.amount) as amount
    from withdrawals w join unnest($3::text[], $4::numeric[]) as cap (asset, amount)
         on cap.asset = w.asset and w.amount <= cap.amount
    where w.network = $1 and w.bucket = $2 and w.state = 'reserved'
    group by w.asset"""


async def outstanding(
    connection: Any, policy: Policy, wallet: str, *, network: str
) -> dict[str, int]:
    """Base units by asset that ``wallet`` is to pay on ``network`` and has not claimed yet.

    An asset that nobody waits for is missing.

    Args:
        connection: Of the venue's database; read in a statement of its own.
        policy: Declares the wallet, its bucket and the signer's caps.
        wallet: Name of a hot wallet that pays customers.
        network: Name of its network.

    Raises KeyError if the policy declares no such wallet.
    """
    caps = signer_caps(policy, wallet).amounts
    rows = await connection.fetch(
        _OUTSTANDING, network, policy.wallets[wallet].bucket, list(caps), list(caps.values())
    )
    return {row["asset"]: row["amount"] for row in rows}

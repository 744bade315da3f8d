"""What the signers' own database knows of a lane, and a restored ledger does not.

It is not restored with the ledger, so a nonce that was recorded there has its use for ever, whether
or not its transaction ever left. What was signed is therefore sent, if a restored ledger knows
nothing of it: the chain then tells of it as of any other, and nothing waits for a nonce that no
signer will sign again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seawall.ethereum.rpc import AsyncRpcClient
    from venue.database import Connection
    from venue.restore.losses import Recorded

# The last of `raws` has the highest fees.
_RECORDED = """
    select l.nonce, l.digest,
           array_remove(array[l.raw] || array(
               select r.raw from sign_log_replacements r
               where (r.chain_id, r.address, r.nonce) = (l.chain_id, l.address, l.nonce)
               order by r.max_fee_wei), null) as raws
    from sign_log l where (l.chain_id, l.address) = ($1, $2) and l.nonce >= $3 order by l.nonce"""
_REGIONS = """
    select tx_hash, signed_by from (
        select chain_id, address, nonce, tx_hash, signed_by from sign_log
        union all
        select chain_id, address, nonce, tx_hash, signed_by from sign_log_replacements
    ) as every
    where (chain_id, address) = ($1, $2) and nonce = any($3::bigint[]) and tx_hash is not null"""


@dataclass(frozen=True, kw_only=True)
class Logged:
    """What signers have recorded for a lane.

    ``sent_below`` is the nonce after the last one for which something was sent. ``recorded`` are
    nonces whose digest is recorded as the ledger has it. ``stuck`` says what no ledger can go on
    with, if there is that.
    """

    sent_below: int
    recorded: Sequence[int]
    stuck: str | None


async def send_signed(
    sign_log: Connection, rpc: AsyncRpcClient, lane: Recorded, digests: Mapping[int, bytes]
) -> Logged:
    """Send what was signed for ``lane``, is in no block, and is on record for something else.

    Or is on no record at all; and what was signed for the nonces before that.

    Args:
        sign_log: To the signers' own database.
        rpc: The lane's network.
        lane: As the ledger knows it.
        digests: What its slots are for that are not final, by nonce.
    """
    used = await rpc.nonce(lane.address)
    rows = await sign_log.fetch(_RECORDED, lane.chain_id, lane.address, used)
    lost = [n for n, row in enumerate(rows, 1) if digests.get(row["nonce"]) != row["digest"]]
    to_send = rows[: max(lost, default=0)]
    recorded = [row["nonce"] for row in rows[len(to_send) :]]
    for nonce, row in zip(count(used), to_send, strict=False):
        if row["nonce"] != nonce or not row["raws"]:
            return Logged(
                sent_below=nonce,
                recorded=recorded,
                stuck=f"nonce {nonce} of {lane.address} was never signed, and it or a later one was"
                " recorded by a signer for something that is not on record here",
            )
        await rpc.broadcast(row["raws"][-1])
    return Logged(sent_below=used + len(to_send), recorded=recorded, stuck=None)


async def signing_regions(
    sign_log: Connection, lane: Recorded, nonces: Collection[int]
) -> dict[str, str]:
    """Whose signer signed each transaction of ``nonces``, by its hash."""
    rows = await sign_log.fetch(_REGIONS, lane.chain_id, lane.address, sorted(nonces))
    return {row["tx_hash"]: row["signed_by"] for row in rows}

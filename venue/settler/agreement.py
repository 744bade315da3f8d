"""Agreement of a lane with its chain, before anything is claimed after a start.

A database that was restored from a backup, or a key that somebody else uses, shows here: the chain
has used nonces or numbers that the database never gave out. A settler that claimed all the same
would take nonces that are used up for sent, and numbers that were paid for unpaid ones.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from seawall.ethereum.rpc import AsyncRpcClient, ChainView, RpcError
from seawall.ethereum.values import uint256
from venue.contracts.calls import NUMBER_BITS, decode_paid_many, generation_in_force, paid_many
from venue.settler.lanes import Lane, Slot

_log = logging.getLogger(__name__)

NUMBERS_AHEAD = 500
"""Numbers after the last one given out that must be unused; what one call of the contract reads.

A database that lags by more than so many withdrawals has lost the nonces of their slots as well.
"""
UNPAID_MAX = 5_000
"""So many of the oldest unpaid withdrawals are looked up.

A restored database gives out again what it has lost, and such numbers are of withdrawals that wait.
"""
_GIVEN_OUT = """
    select (select next_nonce from lanes where (chain_id, address) = ($1, $2)) as next_nonce,
           g.generation,
           greatest((select max(seq) from withdrawals), g.generation << $5) as last_seq,
           array(select seq from withdrawals where network = $3 and state = 'reserved'
                 order by seq limit $4) as unpaid
    from (select max(generation) as generation from generations) g"""


@dataclass(frozen=True, kw_only=True)
class GivenOut:
    """What the database has given out: the lane's next nonce, and the last number.

    ``generation`` is the one in force, of which the last number is, or the one before its first.
    ``unpaid`` are numbers of withdrawals for which no slot is on its way.
    """

    next_nonce: int
    generation: int
    last_seq: int
    unpaid: Sequence[int] = ()


async def given_out(connection: Any, lane: Lane) -> GivenOut:
    """Read after the lane was taken: whoever held it before can claim no more.

    ``connection`` is one connection or a pool.
    """
    row = await connection.fetchrow(
        _GIVEN_OUT, lane.chain_id, lane.address, lane.network, UNPAID_MAX, NUMBER_BITS
    )
    return GivenOut(**dict(row))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What the chain knows of a lane and the database does not; ``disagreements`` are sentences.

    ``to_open`` is the ledger's generation if the lane's contract does not pay it yet.
    """

    disagreements: Sequence[str]
    to_open: int | None


async def compare(
    rpc: AsyncRpcClient, view: ChainView, lane: Lane, given: GivenOut, in_flight: Iterable[Slot]
) -> Comparison:
    """Compare what the chain knows of ``lane`` with what the database has given out.

    The generation is read at finality: before that, transactions of the one before may still pay.
    Nonces are those of every endpoint and of its pool: what is on its way is known, too, for a
    nonce is committed here before it is used.

    Raises :class:`RpcError`.
    """
    finalized = await view.nonce(lane.address)
    used = max(finalized, await rpc.highest_nonce(lane.address))
    in_force = await _generations(rpc, view, lane)
    bits: dict[int, bool] = {}
    if lane.purpose == "payout":
        ahead = range(given.last_seq + 1, given.last_seq + 1 + NUMBERS_AHEAD)
        for seqs in batched([*given.unpaid, *ahead], NUMBERS_AHEAD):
            bits |= await rpc.read(
                lane.contract, paid_many(seqs), partial(decode_paid_many, seqs=seqs)
            )
    missing = [
        slot.nonce for slot in in_flight if slot.nonce < finalized and not await _seen(view, slot)
    ]
    found = judge(lane, given, in_force=max(in_force), used=used, bits=bits, missing=missing)
    return Comparison(
        disagreements=found, to_open=given.generation if min(in_force) < given.generation else None
    )


async def _generations(rpc: AsyncRpcClient, view: ChainView, lane: Lane) -> list[int]:
    """Which generation the lane's contract pays, by each of two endpoints if both serve.

    If one says that it is open and that is not so, everything that is claimed would revert.
    """
    found = [await view.read(lane.contract, generation_in_force(), uint256)]
    other = rpc.other_view(view)
    if other is not None:
        try:
            found.append(await other.read(lane.contract, generation_in_force(), uint256))
        except RpcError as error:
            _log.info("one endpoint alone says which generation is open: %s", error)
    return found


async def _seen(view: ChainView, slot: Slot) -> bool:
    for tx_hash in slot.hashes:
        if await view.receipt(tx_hash) is not None:
            return True
    return False


def batched(seqs: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """``seqs`` in parts of at most ``size``."""
    for start in range(0, len(seqs), size):
        yield seqs[start : start + size]


def judge(
    lane: Lane,
    given: GivenOut,
    *,
    in_force: int,
    used: int,
    bits: Mapping[int, bool],
    missing: Iterable[int],
) -> list[str]:
    """The disagreements as sentences.

    Args:
        lane: Whose.
        given: What the database has given out.
        in_force: The generation whose numbers the contract pays.
        used: How many nonces are used, on the chain and in the nodes' pools.
        bits: Whether numbers that are unpaid, or were never given out, are used up in the contract.
        missing: Nonces of slots that the chain has used without a receipt of ours.
    """
    found = []
    if in_force > given.generation:
        found.append(
            f"the contract of {lane.wallet} pays numbers of generation {in_force}, and"
            f" {given.generation} is in force here"
        )
    if used > given.next_nonce:
        found.append(
            f"the chain has used {used} nonces of {lane.wallet}, and the next one here is"
            f" {given.next_nonce}"
        )
    if paid := sorted(seq for seq, bit in bits.items() if bit):
        found.append(
            f"numbers {paid[0]} to {paid[-1]} are used up in the contract of {lane.wallet}, and are"
            f" unpaid here; the last one given out is {given.last_seq}"
        )
    found += [
        f"nonce {nonce} of {lane.wallet} is used up, and not by the transaction that is on record"
        for nonce in missing
    ]
    return found

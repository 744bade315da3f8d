"""Runs that no seed draws: somebody else has our key, or the database was restored."""

from __future__ import annotations

from typing import Any

from seawall.conventions import metrics
from seawall.ethereum.keys import sign_locally
from tests.simulation.chain import decoded
from tests.simulation.faults import Faults
from tests.simulation.setting import NETWORK
from tests.simulation.world import Outcome, Plan, World, outcome_of
from venue.chain.transaction import Fees, Intent, encode_signed, signing_hash
from venue.contracts.calls import cancel

_NONCE = 1
"""The second one: the first payout is through by then."""


def run_with_foreign_transaction(seed: int) -> tuple[Outcome, list[str], bool]:
    """Somebody else signs with the key of the payout wallet, for a nonce of ours.

    The outcome, the states of withdrawals that are not posted, and whether the lane is held.
    """
    world = World(seed, Plan(faults=Faults(), lies_alone=True))
    it = world.setting
    intent = Intent(
        chain_id=it.chain_id,
        sender=it.address(it.hot),
        nonce=_NONCE,
        to=it.contract(it.hot),
        value=0,
        data=cancel([]),
    )
    fees = Fees(gas_limit=100_000, max_fee_wei=10**13, priority_fee_wei=10**12)
    raw = encode_signed(
        intent, fees, sign_locally(signing_hash(intent, fees), secret=it.secrets[it.hot])
    )
    committed = world.observer.committed

    def slip_in(tx: Any, changes: Any) -> None:
        """As soon as the nonce is given out, and before its bytes can be sent."""
        committed(tx, changes)
        for old, new in changes.get("slots", {}).values():
            if old is None and (new["address"], new["nonce"]) == (intent.sender, _NONCE):
                for pool in world.chain.pools:
                    pool.waiting[intent.sender, _NONCE] = decoded(raw)

    world.database.committed = slip_in
    outcome = outcome_of(world)
    states = [
        row["state"]
        for row in world.database.tables["withdrawals"].values()
        if row["state"] != "posted"
    ]
    held = it.registry.get_sample_value(
        metrics.LANE_DISPUTED, {"network": NETWORK, "wallet": it.hot}
    )
    return outcome, states, bool(held)


def run_with_restored_database(seed: int) -> tuple[Outcome, int, int, int]:
    """The venue's database goes back to a backup of two seconds ago, in the middle of the payouts.

    The sign log does not. The outcome, how many slots the backup lacked whose bytes had been sent,
    how many were claimed afterwards, and for how many nonces two intents were sent.
    """
    world = World(seed, Plan(faults=Faults(), lies_alone=True))
    backups: list[Any] = []
    claimed: list[int] = []
    lost: list[int] = []
    committed = world.observer.committed

    def restore() -> None:
        before = world.database.tables["slots"]
        world.database.restore(backups[0])
        kept = world.database.tables["slots"]
        lost.extend(key for key in before if key not in kept and before[key]["state"] != "open")
        world.database.committed = count

    def count(tx: Any, changes: Any) -> None:
        committed(tx, changes)
        claimed.extend(key for key, (old, _) in changes.get("slots", {}).items() if old is None)

    world.loop.call_at(1.0, lambda: backups.append(world.database.saved()))
    world.loop.call_at(3.0, restore)
    outcome = outcome_of(world)
    uses = {(lane, nonce, digest) for lane, nonce, digest, *_ in world.observer._sent}
    twice = len(uses) - len({use[:2] for use in uses})
    return outcome, len(lost), len(claimed), twice

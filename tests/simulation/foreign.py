"""A run in which somebody else signs with the key of the payout wallet, for a nonce of ours."""

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
    """The outcome, the states of withdrawals that are not posted, and whether the lane is held."""
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

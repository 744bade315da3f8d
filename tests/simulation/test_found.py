"""What campaigns have found, each as a test of its own; the code is mended since."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

import pytest

from tests.simulation.faults import Faults
from tests.simulation.world import Plan, World, run
from venue.chain.transaction import Fees
from venue.settler.lanes import Lane, Slot
from venue.settler.posting import Poster, Settlement


@pytest.mark.parametrize(
    ("settlement", "state", "raised"),
    [
        (Settlement(paid=(0,), failed=(), unclear=()), "posted", 5),
        (Settlement(paid=(), failed=(), unclear=(), blameless=(0,)), "requested", 0),
        (Settlement(paid=(), failed=(0,), unclear=()), "requested", 0),
        (Settlement(paid=(), failed=(), unclear=(), untried=(0,)), "requested", 0),
        (Settlement(paid=(), failed=(), unclear=(), above_cap=(0,)), "requested", 0),
        (Settlement(paid=(), failed=(), unclear=(0,)), "slotted", 0),
    ],
)
def test_a_top_up_is_posted_only_if_it_moved(
    settlement: Settlement, state: str, raised: int
) -> None:
    """A token that its issuer had paused moved nothing, and yet the books said that it had."""
    world = World(1, Plan(faults=Faults()))
    it, tables, key = world.setting, world.database.tables, UUID(int=1)
    slot = {"id": 1, "state": "included", "raw": b"\x01", "tx_hash": "0x1", "signer_region": "here"}
    slot |= {"block_hash": "0x2", "purpose": "topup", "nonce": 0}
    tables["slots"][1] = slot | dict.fromkeys(
        ("data", "digest", "gas_limit", "max_fee_wei", "priority_fee_wei")
    )
    tables["topups"][key] = {
        "id": key,
        "network": "aster",
        "asset": "USDX",
        "from_wallet": it.reserve,
        "to_wallet": it.hot,
        "amount": 5,
        "state": "slotted",
        "slot_id": 1,
    }
    before = tables["floats"][it.hot, "USDX"]["available"]
    world.database.committed = lambda _tx, _changes: None
    poster = Poster(
        pool=cast("Any", world.database.pool()),
        native="AST",
        tokens=it.tokens,
        contracts={},
        buckets={it.reserve: it.bucket},
    )
    assert world.loop.run(poster.post(_slot(it.reserve), settlement)) is True
    assert tables["topups"][key]["state"] == state
    assert tables["floats"][it.hot, "USDX"]["available"] == before + raised
    posted = [row for row in tables["postings"].values() if row["kind"] == "topup"]
    assert len(posted) == (state == "posted")


def _slot(wallet: str) -> Slot:
    lane = Lane(
        chain_id=1, address="0xa", network="aster", wallet=wallet, contract="0xc", purpose="topup"
    )
    fees = Fees(gas_limit=1, max_fee_wei=1, priority_fee_wei=1)
    return Slot(
        id=1,
        lane=lane,
        purpose="topup",
        nonce=0,
        to="0xc",
        value=0,
        data=b"",
        fees=fees,
        state="included",
        items=1,
        signer_region="here",
    )


def test_a_paused_token_is_paid_and_moved_once_it_moves_again() -> None:
    """The run in which the above was found, and others of its kind."""
    for seed in range(1, 13):
        assert run(seed, Plan(faults=Faults(asset_paused=1.0, large=0.6))).violations == ()

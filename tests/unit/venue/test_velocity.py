"""What a lane has claimed lately, against its signer's caps."""

from __future__ import annotations

from seawall.controls.sizing import Caps
from venue.settler.velocity import Velocity

CAPS = Caps(window_ms=10_000, transactions=3, amounts={"AST": 100, "USDX": 7})


def test_a_claim_takes_room_until_a_window_after_its_signature() -> None:
    """And a little longer, for the signer's clock is another one."""
    velocity = Velocity(caps=CAPS)
    velocity.claimed(1, {"AST": 60})
    assert velocity.room(now_s=1_000.0) == {"AST": 40, "USDX": 7}
    velocity.signed(1, now_s=1_000.0)
    assert velocity.room(now_s=1_010.4) == {"AST": 40, "USDX": 7}
    assert velocity.room(now_s=1_010.6) == {"AST": 100, "USDX": 7}


def test_what_is_not_signed_yet_is_never_forgotten() -> None:
    """It will be signed, and counted then."""
    velocity = Velocity(caps=CAPS)
    velocity.claimed(1, {"AST": 60})
    assert velocity.room(now_s=10.0**6) == {"AST": 40, "USDX": 7}


def test_a_slot_that_was_claimed_anew_counts_once() -> None:
    velocity = Velocity(caps=CAPS)
    velocity.claimed(1, {"AST": 60})
    velocity.claimed(1, {"AST": 10, "USDX": 9})
    assert velocity.room(now_s=0.0) == {"AST": 90, "USDX": -2}


def test_after_so_many_transactions_there_is_no_room_for_any() -> None:
    """Not even for one that moves nothing."""
    velocity = Velocity(caps=CAPS)
    for slot in range(3):
        velocity.claimed(slot, {})
    assert velocity.room(now_s=0.0) is None
    velocity.signed(0, now_s=0.0)
    assert velocity.room(now_s=11.0) == {"AST": 100, "USDX": 7}

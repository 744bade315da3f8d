"""What a lane has claimed lately, so that no slot is claimed that its signer would refuse.

The signer counts what it signs away of a wallet within a sliding window (`venue.signer.velocity`).
The settler keeps the same count, a little late, and claims no more than there is room for: small
withdrawals then get the room first, and a refusal of the signer means that something is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from seawall.controls.sizing import Caps

_LATE_S = 0.5
"""A signature counts so much longer than for the signer, whose clock is the database's."""


@dataclass(kw_only=True)
class _Slot:
    amounts: Mapping[str, int]
    signed_at_s: float | None = None


@dataclass(kw_only=True)
class Velocity:
    """The slots of a lane that count within its signer's window; times are monotonic seconds.

    A slot counts from its claim, and until a window after its signature.
    """

    caps: Caps
    _slots: dict[int, _Slot] = field(default_factory=dict)

    def claimed(self, slot: int, amounts: Mapping[str, int]) -> None:
        """A slot was claimed, or claimed anew, that moves ``amounts``: base units by asset."""
        self._slots[slot] = _Slot(amounts=dict(amounts))

    def signed(self, slot: int, *, now_s: float) -> None:
        """The signer has signed a slot just before ``now_s``."""
        if slot in self._slots:
            self._slots[slot].signed_at_s = now_s

    def room(self, *, now_s: float) -> Mapping[str, int] | None:
        """Base units by asset that a slot claimed now may move; None if there may be no slot."""
        window_s = self.caps.window_ms / 1_000 + _LATE_S
        for number, slot in list(self._slots.items()):
            if slot.signed_at_s is not None and slot.signed_at_s + window_s <= now_s:
                del self._slots[number]
        if len(self._slots) >= self.caps.transactions:
            return None
        return {
            asset: cap - sum(slot.amounts.get(asset, 0) for slot in self._slots.values())
            for asset, cap in self.caps.amounts.items()
        }

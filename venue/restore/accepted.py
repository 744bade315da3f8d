"""What was accepted and is not on record any more, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from seawall.conventions.database import NOT_ON_RECORD
from seawall.conventions.promises import PROMISE_KINDS
from seawall.errors import ExitCode, SeawallError

if TYPE_CHECKING:
    from venue.restore.acknowledged import Promise


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A payment by the lost ledger of a withdrawal that the restored one does not know.

    ``paid``: the chain says so; else it was on its way, and nothing was paid. ``amount`` is in base
    units.
    """

    network: str
    withdrawal: UUID
    seq: int
    to: str
    asset: str
    amount: int
    tx_hash: str
    paid: bool

    def __str__(self) -> str:
        done = "was paid" if self.paid else "was not paid"
        return (
            f"withdrawal {self.withdrawal}, number {self.seq}: {self.amount} {self.asset} to"
            f" {self.to} on {self.network} {done} ({self.tx_hash})"
        )


class LossError(SeawallError):
    """What was accepted is not on record; nothing has been written.

    ``losses`` are on the chain, and ``forgotten`` is what customers were told beside that.
    """

    exit_code = ExitCode.FAIL

    def __init__(self, losses: Sequence[Loss], forgotten: Sequence[Promise] = ()) -> None:
        listed = "\n".join(f"  {each}" for each in (*losses, *forgotten))
        super().__init__(
            f"{counted(losses, forgotten)} were accepted and {NOT_ON_RECORD}:\n{listed}",
            remedy="restore from a later moment, or accept it with who and why (--accept-losses)",
        )
        self.losses = tuple(losses)
        self.forgotten = tuple(forgotten)


def counted(losses: Sequence[Loss], forgotten: Sequence[Promise]) -> str:
    """How many of each kind are lost, for people."""
    found: Counter[str] = Counter(withdrawal=len(losses))
    found.update(each.kind for each in forgotten)
    kinds = [
        f"{found[kind]} {kind}s" for kind in PROMISE_KINDS if found[kind] or kind == "withdrawal"
    ]
    return " and ".join([", ".join(kinds[:-1]), kinds[-1]] if len(kinds) > 1 else kinds)

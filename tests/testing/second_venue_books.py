"""The second venue without processes: a configuration of two customers, and a fake node."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from tests.testing.second_venue.chain import Heads, NodeAwayError, keccak256
from tests.testing.second_venue.config import Coin, Config, Customer, Network, Vice
from tests.testing.second_venue.desk import Wish

TOKEN = f"0x{0x70:040x}"
SECRET = f"{7:064x}"


def address(number: int) -> str:
    """A receiver of its own."""
    return f"0x{number + 0xABC000:040x}"


def make_config(
    folder: Path, *, vice: Vice = "none", vice_every: int = 2, in_flight_max: int = 4
) -> Config:
    """One network with a native coin and a token; ann and ben hold 10 of each."""
    holdings = {"ast-aster": "10", "usdx-aster": "10"}
    return Config(
        database=folder / "second.sqlite",
        api_port=1,
        payer_port=1,
        networks={
            "aster": Network(
                chain_id=73311,
                node="http://127.0.0.1:1",
                secret=SECRET,
                in_flight_max=in_flight_max,
            )
        },
        coins={
            "ast-aster": Coin(network="aster", decimals=18),
            "usdx-aster": Coin(network="aster", decimals=6, token=TOKEN),
        },
        customers={
            name: Customer(secret=f"pw-{name}", holdings=holdings) for name in ("ann", "ben")
        },
        vice=vice,
        vice_every=vice_every,
    )


def wish(number: int, *, customer: str = "ann", amount: int = 1_000) -> Wish:
    """A payout of the token, with a reference and a receiver of its own."""
    return Wish(
        customer=customer,
        ref=f"{number:032x}",
        coin="usdx-aster",
        network="aster",
        amount=amount,
        address=address(number),
    )


class FakeNode:
    """A chain in memory: it mines in order of arrival, and finalizes what it is told to."""

    def __init__(self) -> None:
        self.away = False
        self.sent: list[bytes] = []
        self.mined: dict[str, bool] = {}
        self.final = True
        self.height = 10

    def chain_id(self) -> int:
        """That of aster."""
        return 73311

    def heads(self, _address: str) -> Heads:
        """A block more each time."""
        self.height += 1
        return Heads(
            latest=self.height,
            finalized=self.height if self.final else 0,
            base_fee_wei=1,
            mined=len(self.mined),
        )

    def receipts(self, tx_hashes: Sequence[str]) -> list[tuple[int, bool] | None]:
        """All in one early block."""
        return [(1, self.mined[each]) if each in self.mined else None for each in tx_hashes]

    def broadcast(self, raws: Sequence[bytes]) -> list[str | None]:
        """Take them, or be away."""
        if self.away:
            raise NodeAwayError("away")
        self.sent += raws
        return [None] * len(raws)

    def mine(self, *, succeeded: bool = True) -> None:
        """Put into blocks whatever was sent and is not mined."""
        for raw in self.sent:
            self.mined.setdefault("0x" + keccak256(raw).hex(), succeeded)

    def close(self) -> None:
        """Nothing to close."""


def statuses(books: sqlite3.Connection) -> list[str]:
    """The status of every payout in order."""
    return [row[0] for row in books.execute("select status from payouts order by number")]

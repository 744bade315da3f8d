"""The payer of one network against a chain in memory: once, in bounds, and through a death."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.testing.second_venue.chain import NodeAwayError
from tests.testing.second_venue.config import Config, Vice
from tests.testing.second_venue.payer import NetworkPayer, WrongChainError
from tests.testing.second_venue.store import change_holding, connect, writing
from tests.testing.second_venue_books import FakeNode, make_config, statuses, wish

StartPayer = Callable[[], NetworkPayer]


class Bench:
    """Books with queued payouts, a chain, and payers that are started on both."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.books: sqlite3.Connection = connect(config)
        self.node = FakeNode()

    def queue(self, count: int) -> None:
        """Take ``count`` payouts of 1000 units, as the desk does."""
        with writing(self.books):
            for number in range(1, count + 1):
                each = wish(number)
                change_holding(self.books, each.customer, each.coin, -each.amount)
                self.books.execute(
                    "insert into payouts (customer, ref, coin, network, amount, address)"
                    " values (?, ?, ?, ?, ?, ?)",
                    (each.customer, each.ref, each.coin, each.network, "1000", each.address),
                )

    def payer(self) -> NetworkPayer:
        """A payer that has just been started."""
        payer = NetworkPayer(self.config, "aster")
        payer._node.close()
        payer._node = self.node  # type: ignore[assignment]  # it has what a payer asks of a node
        return payer

    @property
    def free(self) -> int:
        """What ann still holds."""
        row = self.books.execute(
            "select free from holdings where customer = 'ann' and coin = 'usdx-aster'"
        ).fetchone()
        return int(row[0])


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(vice: Vice = "none", *, queued: int) -> Bench:
        made.append(Bench(make_config(tmp_path, vice=vice)))
        made[-1].queue(queued)
        return made[-1]

    yield make
    for each in made:
        each.books.close()


def test_a_payout_is_sent_then_paid_when_final(bench: Callable[..., Bench]) -> None:
    it = bench(queued=1)
    it.node.final = False
    payer = it.payer()
    payer.step()
    assert statuses(it.books) == ["sent"]
    it.node.mine()
    payer.step()
    assert statuses(it.books) == ["sent"]
    it.node.final = True
    payer.step()
    assert statuses(it.books) == ["paid"]
    (tx_hash,) = it.books.execute("select chain_tx from payouts").fetchone()
    assert list(it.node.mined) == [tx_hash]
    assert len(it.node.sent) == 1


def test_a_payer_that_died_before_sending_is_followed_by_the_same_bytes(
    bench: Callable[..., Bench],
) -> None:
    it = bench(queued=2)
    it.node.away = True
    with pytest.raises(NodeAwayError):
        it.payer().step()
    signed = [row[0] for row in it.books.execute("select raw from sends order by nonce")]
    assert len(signed) == 2
    assert statuses(it.books) == ["queued", "queued"]
    it.node.away = False
    it.payer().step()
    assert it.node.sent == signed
    assert statuses(it.books) == ["sent", "sent"]


def test_nothing_is_sent_that_is_not_in_the_books_already(bench: Callable[..., Bench]) -> None:
    """Seen from another connection at the moment of sending, so it is committed."""
    it = bench(queued=3)
    take = it.node.broadcast

    def watched(raws: Sequence[bytes]) -> list[str | None]:
        known = {row[0] for row in it.books.execute("select raw from sends")}
        assert known >= set(raws)
        return take(raws)

    it.node.broadcast = watched  # type: ignore[method-assign]
    it.payer().step()
    assert len(it.node.sent) == 3


def test_what_is_mined_is_not_sent_again(bench: Callable[..., Bench]) -> None:
    it = bench(queued=2)
    it.payer().step()
    it.node.mine()
    it.payer().step()
    assert len(it.node.sent) == 2
    assert statuses(it.books) == ["paid", "paid"]


def test_a_transfer_that_failed_is_refused_and_the_money_is_back(
    bench: Callable[..., Bench],
) -> None:
    it = bench(queued=1)
    assert it.free == 9_999_000
    payer = it.payer()
    payer.step()
    it.node.mine(succeeded=False)
    payer.step()
    payer.step()
    assert statuses(it.books) == ["refused"]
    assert it.free == 10_000_000
    assert it.books.execute("select note from payouts").fetchone()[0]


def test_nonces_in_flight_are_bounded_and_go_on(bench: Callable[..., Bench]) -> None:
    it = bench(queued=10)
    payer = it.payer()
    payer.step()
    payer.step()
    assert len(it.node.sent) == 4
    for _ in range(3):
        it.node.mine()
        payer.step()
    assert set(statuses(it.books)) == {"paid"}
    assert len(it.node.sent) == 10
    nonces = [row[0] for row in it.books.execute("select nonce from sends order by payout")]
    assert nonces == list(range(10))


def test_a_node_of_another_chain_is_not_paid_on(bench: Callable[..., Bench]) -> None:
    it = bench(queued=1)
    it.node.chain_id = lambda: 1  # type: ignore[method-assign]
    with pytest.raises(WrongChainError):
        it.payer().step()
    assert statuses(it.books) == ["queued"]


def test_it_can_pay_twice(bench: Callable[..., Bench]) -> None:
    it = bench("pays-twice", queued=3)
    payer = it.payer()
    payer.step()
    it.node.mine()
    payer.step()
    sends = it.books.execute("select payout, copy, nonce from sends order by nonce").fetchall()
    assert sends == [(1, 0, 0), (2, 0, 1), (2, 1, 2), (3, 0, 3)]
    assert len(set(it.node.sent)) == 4
    assert statuses(it.books) == ["paid"] * 3


def test_it_can_lie(bench: Callable[..., Bench]) -> None:
    it = bench("lies", queued=3)
    it.payer().step()
    assert statuses(it.books) == ["sent", "paid", "sent"]
    assert len(it.node.sent) == 2
    assert [row[0] for row in it.books.execute("select payout from sends")] == [1, 3]


def test_it_never_sends_what_the_api_is_about_to_lose(bench: Callable[..., Bench]) -> None:
    it = bench("loses", queued=3)
    it.payer().step()
    assert statuses(it.books) == ["sent", "queued", "sent"]

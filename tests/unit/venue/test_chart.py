"""The chart of accounts depends on what a policy declares, not on the order of declaration."""

from __future__ import annotations

from pathlib import Path

from seawall.policy import Policy
from seawall.policy_file import load_policy
from tests.testing import policies
from tests.testing.policies import put, tree, write
from venue.ledger.chart import books, payout_routes


def _reversed(tmp_path: Path) -> Policy:
    changed = tree()
    changed["wallets"] = dict(reversed(list(changed["wallets"].items())))
    changed["buckets"] = dict(reversed(list(changed["buckets"].items())))
    return load_policy(write(tmp_path, changed))


def test_the_bucket_that_is_declared_as_the_house_trades_wherever_it_stands(tmp_path: Path) -> None:
    """Escrow, promotional and contingency hold hot money too, and none of it is for sale."""
    for policy in (policies.policy(), _reversed(tmp_path)):
        assert {network: route.house for network, route in payout_routes(policy).items()} == {
            "aster": "treasury",
            "birch": "treasury",
        }
        assert {(route.bucket, route.hot) for route in payout_routes(policy).values()} == {
            ("customer", "customer-aster-hot"),
            ("customer", "customer-birch-hot"),
        }


def test_a_network_without_a_trading_bucket_has_no_house(tmp_path: Path) -> None:
    """Its swaps are refused by name; the policy may then guarantee none."""
    changed = tree()
    put(changed, "buckets.treasury.trades", [])
    for tier in ("normal", "stressed"):
        changed["tiers"][tier]["guarantees"].remove("swaps")

    assert [
        route.house for route in payout_routes(load_policy(write(tmp_path, changed))).values()
    ] == [None, None]


def test_every_wallet_is_in_exactly_one_book() -> None:
    """What is in no book is on no ledger."""
    policy = policies.policy()

    found = [
        (book.bucket, book.network, kind, name)
        for book in books(policy)
        for kind, name in book.wallets.items()
    ]

    assert sorted(found) == sorted(
        (wallet.bucket, wallet.network, wallet.wallet_class, name)
        for name, wallet in policy.wallets.items()
    )
    assert {book.key for book in books(policy)} >= {
        route.book_key for route in payout_routes(policy).values()
    }

"""The chart of accounts depends on what a policy declares, not on the order of declaration."""

from __future__ import annotations

from pathlib import Path

from seawall.policy import Policy
from seawall.policy_file import load_policy
from tests.testing.breaking import PRODUCTION, production, put, write
from venue.ledger.chart import books, payout_routes


def _reversed(tmp_path: Path) -> Policy:
    tree = production()
    tree["wallets"] = dict(reversed(list(tree["wallets"].items())))
    tree["buckets"] = dict(reversed(list(tree["buckets"].items())))
    return load_policy(write(tmp_path, tree))


def test_the_bucket_that_is_declared_as_the_house_trades_wherever_it_stands(tmp_path: Path) -> None:
    """Escrow, promotional and contingency hold hot money too, and none of it is for sale."""
    for policy in (load_policy(PRODUCTION), _reversed(tmp_path)):
        assert {network: route.house for network, route in payout_routes(policy).items()} == {
            "aster": "treasury",
            "birch": "treasury",
        }
        assert {(route.bucket, route.hot) for route in payout_routes(policy).values()} == {
            ("customer", "customer-aster-hot"),
            ("customer", "customer-birch-hot"),
        }


def test_a_network_without_a_trading_bucket_has_no_house(tmp_path: Path) -> None:
    """Its swaps are refused, so the policy must not guarantee them."""
    tree = production()
    put(tree, "buckets.treasury.trades", [])
    for tier in ("normal", "stressed"):
        tree["tiers"][tier]["guarantees"].remove("swaps")

    assert [
        route.house for route in payout_routes(load_policy(write(tmp_path, tree))).values()
    ] == [None, None]


def test_every_wallet_is_in_exactly_one_book() -> None:
    """A wallet in no book would be on no ledger."""
    policy = load_policy(PRODUCTION)

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

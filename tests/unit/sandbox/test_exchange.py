"""The exchange's books conserve amounts, fill an order once, and keep prices in their band."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from sandbox.counterparties.book import Exchange
from sandbox.counterparties.exchange import answer
from seawall.policy import Policy
from seawall.policy_file import load_policy
from tests.testing.nightly import repetitions

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy(ROOT / "policies" / "sandbox.yaml")


def test_a_replayed_order_trades_nothing(policy: Policy) -> None:
    """The first outcome is returned; the book moves once."""
    exchange = Exchange(policy, seed=1)
    before = int(exchange.depth("AST")["asks"][0]["amount"])
    first = exchange.order(client_order_id="a", side="buy", asset="AST", amount=10**18)
    again = exchange.order(client_order_id="a", side="buy", asset="AST", amount=10**18)
    assert first == again
    assert first.filled == 10**18
    assert int(exchange.depth("AST")["asks"][0]["amount"]) == before - 10**18


def test_an_order_beyond_the_book_is_filled_as_far_as_the_book_goes(policy: Policy) -> None:
    """The rest is not promised."""
    exchange = Exchange(policy, seed=1)
    offered = sum(int(level["amount"]) for level in exchange.depth("USDX")["bids"])
    outcome = exchange.order(client_order_id="a", side="sell", asset="USDX", amount=offered + 5)
    assert (outcome.asked, outcome.filled) == (offered + 5, offered)


def test_buying_and_selling_at_once_costs_the_spread(policy: Policy) -> None:
    """Rounding never favours the customer."""
    exchange = Exchange(policy, seed=1)
    bought = exchange.order(client_order_id="a", side="buy", asset="BIR", amount=3)
    sold = exchange.order(client_order_id="b", side="sell", asset="BIR", amount=3)
    assert bought.value_micro > sold.value_micro


@pytest.mark.parametrize("ticks", repetitions([200, 2_000], keep=1))
def test_prices_walk_the_same_way_for_the_same_seed_and_stay_in_their_band(
    policy: Policy, ticks: int
) -> None:
    """One percent around the policy's reference price."""
    one, two, other = (Exchange(policy, seed=seed) for seed in (1, 1, 2))
    for _ in range(ticks):
        for exchange in (one, two, other):
            exchange.tick()
        assert Decimal("0.98") < one.price(sell="AST", buy="USDX") / 2_000 < Decimal("1.02")
    assert (
        one.price(sell="AST", buy="USDX")
        == two.price(sell="AST", buy="USDX")
        != other.price(sell="AST", buy="USDX")
    )


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("GET", "/price?sell=AST&buy=USDX", {}, 200),
        ("GET", "/price?sell=AST", {}, 422),
        ("GET", "/depth?asset=AST", {}, 200),
        (
            "POST",
            "/orders",
            {"client_order_id": "a", "side": "buy", "asset": "AST", "amount": "5"},
            201,
        ),
        (
            "POST",
            "/orders",
            {"client_order_id": "a", "side": "buy", "asset": "AST", "amount": "0"},
            422,
        ),
        (
            "POST",
            "/orders",
            {"client_order_id": "a", "side": "give", "asset": "AST", "amount": "5"},
            422,
        ),
        ("POST", "/orders", {"side": "buy"}, 422),
        ("DELETE", "/orders", {}, 404),
    ],
)
def test_requests_and_their_answers(
    policy: Policy, method: str, target: str, body: object, status: int
) -> None:
    exchange = Exchange(policy, seed=1)
    assert (
        answer(exchange, method=method, target=target, body=json.dumps(body).encode(), now=0.0)[0]
        == status
    )


def test_an_id_that_was_used_for_another_order_is_a_conflict(policy: Policy) -> None:
    """A replay is 200, a contradiction 409."""
    exchange = Exchange(policy, seed=1)
    order = {"client_order_id": "a", "side": "buy", "asset": "AST", "amount": "5"}
    statuses = [
        answer(
            exchange,
            method="POST",
            target="/orders",
            body=json.dumps(order | change).encode(),
            now=0.0,
        )[0]
        for change in ({}, {}, {"amount": "6"})
    ]
    assert statuses == [201, 200, 409]

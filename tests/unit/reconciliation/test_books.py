"""Wallets and keys against the chain, where a whole venue would show too little of a case."""

from __future__ import annotations

from collections import Counter

import pytest

from seawall.reconciliation.books import (
    Lane,
    Movements,
    Posted,
    Wallet,
    WalletLine,
    asset_lines,
    judge_lane,
    judge_postings,
    judge_wallet,
    unread_holdings,
    wallet_lines,
)
from seawall.reconciliation.contradictions import Contradiction, Doubt
from seawall.reconciliation.facts import LedgerLine, PostingLine

HOT = Wallet(name="hot", bucket="customer", network="aster", kind="hot", assets=frozenset({"AST"}))


def booked(balance: int, *, kind: str = "hot", asset: str = "AST") -> LedgerLine:
    return LedgerLine(bucket="customer", network="aster", asset=asset, kind=kind, balance=balance)


def lines(ledger: list[LedgerLine], on_chain: dict[tuple[str, str], int]) -> list[WalletLine]:
    return wallet_lines(ledger, wallets=[HOT], on_chain=on_chain, movements=Movements())


@pytest.mark.parametrize(("held", "name"), [(6, "deficit"), (8, "surplus")])
def test_one_base_unit_is_a_difference(held: int, name: str) -> None:
    [line] = lines([booked(7)], {("hot", "AST"): held})
    found = judge_wallet(line, 9)
    assert found is not None
    assert (found.name, found.amount, found.ids) == (name, 1, {"wallet": "hot", "block": 9})


def test_what_is_nobodys_is_no_difference_and_in_no_total() -> None:
    """Anybody may send a token that the ledger has no account for; nothing of the venue's lacks."""
    found = lines([booked(7)], {("hot", "AST"): 7, ("hot", "USDX"): 3})
    assert [(line.asset, line.listed) for line in found] == [("AST", True), ("USDX", False)]
    assert [judge_wallet(line, 9) for line in found] == [None, None]
    totals = asset_lines(found, None, movements=Movements(), surpluses={})
    assert [(total.asset, total.on_chain) for total in totals] == [("AST", 7)]


def test_what_the_ledger_holds_of_an_asset_that_the_policy_does_not_name_must_be_there() -> None:
    found = [
        judge_wallet(line, 9) for line in lines([booked(7, asset="USDX")], {("hot", "USDX"): 0})
    ]
    assert [each.name for each in found if each is not None] == ["deficit"]


def test_what_nobody_read_is_not_called_nothing() -> None:
    """It is in no line, and is named: for what the policy lists, and for what the ledger has."""
    ledger = [booked(7), booked(5, asset="USDX"), booked(0, asset="XYZ")]
    assert lines(ledger, {}) == []
    unread = unread_holdings(ledger, wallets=[HOT], on_chain={})
    assert unread == [(HOT, "AST"), (HOT, "USDX")]
    assert unread_holdings([], wallets=[HOT], on_chain={}) == [(HOT, "AST")]
    assert unread_holdings(ledger, wallets=[HOT], on_chain={("hot", "AST"): 0}) == [(HOT, "USDX")]


def test_a_total_of_which_a_part_was_not_read_is_left_out() -> None:
    found = lines([booked(7)], {("hot", "AST"): 7})
    none = asset_lines(found, None, movements=Movements(), surpluses={}, unread={("aster", "AST")})
    assert none == []


def test_an_account_without_a_wallet_holds_nothing() -> None:
    """A ledger must not count money where no wallet is."""
    [line] = lines([booked(7, kind="cold")], {})
    found = judge_wallet(line, 9)
    assert found is not None
    assert (found.name, found.amount) == ("deficit", 7)
    assert lines([booked(0, kind="cold")], {}) == []


def test_accounts_of_networks_that_were_not_read_are_left_alone() -> None:
    elsewhere = LedgerLine(bucket="customer", network="birch", asset="BIR", kind="hot", balance=7)
    assert lines([elsewhere], {}) == []


def test_what_people_posted_has_a_term_of_its_own() -> None:
    """A ceremony of the cold wallet that was identified takes its money from there."""
    [line] = lines([booked(7)], {("hot", "AST"): 7})
    postings = [
        PostingLine(
            bucket="customer", network="aster", asset="AST", kind="hot", posting=posting, amount=n
        )
        for posting, n in (("fund", 9), ("identify", -4), ("surplus", 3), ("post", -1))
    ]
    movements = Movements(seen=Counter({("hot", "AST"): 1}))
    [total] = asset_lines([line], postings, movements=movements, surpluses={("aster", "AST"): 3})
    assert (total.opening, total.other, total.surpluses, total.left) == (9, -4, 3, 1)
    assert (total.expected, total.difference) == (7, 0)


@pytest.mark.parametrize(
    ("sent", "first", "recorded", "kind"),
    [
        (0, None, 0, type(None)),
        (5, None, 0, Doubt),  # of before the venue was founded, perhaps
        (5, 2, 3, type(None)),
        (5, 2, 2, Contradiction),
        (2, 2, 0, type(None)),
        (1, 2, 0, type(None)),
    ],
)
def test_every_transaction_of_a_key_is_on_record_from_the_first_one_on(
    sent: int, first: int | None, recorded: int, kind: type
) -> None:
    lane = Lane(
        network="aster", wallet="hot", address="0x1", sent=sent, first=first, recorded=recorded
    )
    assert isinstance(judge_lane(lane), kind)


@pytest.mark.parametrize(("paid", "differs"), [(7, 0), (8, 2)])
def test_what_a_rail_paid_left_its_providers(paid: int, differs: int) -> None:
    """They hold the money in place of a hot wallet: both of the posting's entries are compared."""
    moved = {"reserved": 7, "at_primary": -4, "at_standby": -3}
    postings = [
        PostingLine(
            bucket="customer", network="fiat", asset="USDX", kind=kind, posting="post", amount=each
        )
        for kind, each in moved.items()
    ]
    ledger = [
        LedgerLine(bucket="customer", network="fiat", asset="USDX", kind=kind, balance=each)
        for kind, each in moved.items()
    ]
    rows = Posted(paid=Counter({("fiat", "USDX"): paid}))
    found = list(judge_postings(postings, ledger, rows))
    assert [each.name for each in found] == ["postings-differ"] * differs

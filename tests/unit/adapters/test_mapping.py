"""A mapping file translates exactly what it says, and is refused for what it cannot say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.mapping import decimal_text, load
from seawall.errors import ServiceError, UsageError
from seawall.formats.drill_contract import (
    Balance,
    Balances,
    Login,
    Refusal,
    Status,
    Withdrawal,
    WithdrawalReceipt,
    load_adapter,
    require_pools,
)
from tests.testing.mappings import CUSTOMER, DECIMALS, example, mapped, write_mapping

WITHDRAWAL = {
    "id": "a4d6b8a0-0000-4000-8000-000000000001",
    "network": "aster",
    "asset": "USDX",
    "amount": "1500000",
    "destination": "0xabc",
}


def test_the_example_of_the_documentation_makes_the_requests_that_it_shows(tmp_path: Path) -> None:
    adapter = mapped(tmp_path)
    assert (adapter.operations, adapter.needs_session, adapter.transfers) == (
        frozenset(example()["operations"]),
        True,
        False,
    )
    login = adapter.request("login", {}, customer=CUSTOMER)
    assert (login.method, login.target, "x-session" in login.headers) == (
        "POST",
        "/sessions",
        False,
    )
    assert json.loads(login.body or b"") == {"user": "c-1", "secret": "s3cret"}
    asked = adapter.request("request_withdrawal", WITHDRAWAL, customer=CUSTOMER, session="tok")
    assert asked.headers == {"x-session": "tok", "content-type": "application/json"}
    assert json.loads(asked.body or b"") == {
        "ref": WITHDRAWAL["id"],
        "coin": "usdx-on-aster",
        "amount": "1.5",
        "address": "0xabc",
    }
    followed = adapter.request(
        "follow_withdrawal", {"id": "x"}, customer=CUSTOMER, session="tok", venue_id="7/../8"
    )
    assert (followed.method, followed.target) == ("GET", "/payouts/7%2F..%2F8")
    assert adapter.request("status", {}, customer=None).headers == {}


def test_the_example_of_the_documentation_reads_the_answers_that_it_shows(tmp_path: Path) -> None:
    adapter = mapped(tmp_path)

    def answer(operation: str, status: int, body: object) -> object:
        return adapter.answer(operation, status, {}, json.dumps(body).encode())

    assert answer("login", 200, {"token": "t"}) == Login(session="t")
    holdings = [
        {"coin": "usdx-on-aster", "free": "1.5"},
        {"coin": "doge", "free": "7"},
        {"coin": "astr-main", "free": 0.25},
    ]
    assert answer("balances", 200, {"holdings": holdings}) == Balances(
        balances=(
            Balance(network="aster", asset="USDX", available="1500000"),
            Balance(network="aster", asset="ASTR", available="250000000000000000"),
        )
    )
    payout = {"payout": {"no": 17, "status": "queued"}}
    accepted = WithdrawalReceipt(venue_id="17", state="reserved", outcome="accepted")
    assert answer("request_withdrawal", 201, payout) == accepted
    assert answer("request_withdrawal", 200, payout) == accepted.model_copy(
        update={"outcome": "replayed"}
    )
    paid = {"payout": {"status": "paid", "note": None, "chain_tx": "0x1"}}
    assert answer("follow_withdrawal", 200, paid) == Withdrawal(state="posted", tx_hash="0x1")
    assert answer("status", 200, {"state": "slow"}) == Status(tier="stressed")
    refused = {"error": {"kind": "duplicate_ref", "text": "used"}}
    assert answer("request_withdrawal", 409, refused) == Refusal(code="id_reused", reason="used")


@pytest.mark.parametrize(
    ("operation", "status", "body", "complaint"),
    [
        ("status", 200, '{"state": "purple"}', "state is 'purple'.*`tiers` lacks"),
        ("status", 200, "{}", "has no state"),
        ("status", 200, "<html>", "not with JSON"),
        ("status", 200, '{"state": ["open"]}', "not text"),
        ("status", 302, "", "redirect .302. to /elsewhere, which is never followed"),
        ("status", 204, "", "no declared success"),
        ("request_withdrawal", 200, "{}", "has no payout.no"),
        ("request_withdrawal", 202, '{"payout": {"no": 1}}', "no declared success"),
        ("request_withdrawal", 201, '{"payout": {"no": 1}}', "has no payout.status"),
        (
            "request_withdrawal",
            201,
            '{"payout": {"no": 1, "status": "eaten"}}',
            "payout.status is 'eaten'.*`states` lacks",
        ),
        ("request_withdrawal", 422, '{"error": {"kind": "moon"}}', "the code 'moon', for which"),
        ("request_withdrawal", 502, "<html>bad gateway", "without a code, for which"),
        ("follow_withdrawal", 200, '{"payout": []}', "has no payout.status"),
        ("balances", 200, '{"holdings": {}}', "holdings is no list"),
        ("balances", 200, '{"holdings": [{"coin": "usdx-on-aster"}]}', "has no free"),
        *(
            (
                "balances",
                200,
                f'{{"holdings": [{{"coin": "usdx-on-aster", "free": {free}}}]}}',
                complaint,
            )
            for free, complaint in (
                ('"-1"', "not an amount"),
                ('"NaN"', "not an amount"),
                ("NaN", "not with JSON"),
                ("true", "not an amount"),
                ('"1e99"', "not an amount"),
            )
        ),
    ],
)
def test_an_answer_that_the_file_does_not_foresee_is_an_error_that_names_it(
    tmp_path: Path, operation: str, status: int, body: str, complaint: str
) -> None:
    headers = {"location": "/elsewhere"}
    with pytest.raises(ServiceError, match=complaint):
        mapped(tmp_path).answer(operation, status, headers, body.encode())


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"surprise": 1}, "surprise: found 1; remove it"),
        ({"operations.levitate": {}}, "operations.levitate"),
        ({"operations.status.surprise": 1}, "operations.status.surprise"),
        ({"operations.status.path": "service"}, "begin it with a slash"),
        ({"operations.status.path": "/service?a=1"}, "under `query`"),
        ({"operations.status.path": "/{credential}"}, "none is known here"),
        ({"operations.status.headers": {"X": "{session}"}}, "none is known here"),
        ({"operations.status.success": [302]}, "operations.status.success.0"),
        ({"operations.status.success": []}, "operations.status.success"),
        ({"operations.status.answer": {}}, "operations.status.answer.tier: found nothing"),
        ({"operations.status.answer.mood": "x"}, "the fields are tier, epoch, reason"),
        ({"operations.status.answer.tier": "a..b"}, "with dots between them"),
        ({"operations.status.replayed": [201]}, "only request_withdrawal has them"),
        ({"operations.status.headers": {"a b": "x"}}, "found 'a b'; name a header"),
        ({"operations.status.body": {}}, "a body of a GET"),
        ({"operations.request_withdrawal.replayed": [201]}, "also a status of success"),
        ({"operations.request_withdrawal.body.ref": "x"}, "no {id} in the request.*paid again"),
        ({"operations.request_withdrawal.body.amount": "{amont}"}, "{amont}; known here are"),
        ({"operations.request_withdrawal.body.x": "{a"}, "a brace that belongs to no"),
        ({"operations.request_withdrawal.answer": {}}, "{venue_id}, which is never learnt"),
        ({"operations.follow_withdrawal.path": "/payouts"}, "neither {id} nor {venue_id}"),
        ({"operations.login": None}, "{session}, which nothing opens"),
        ({"operations.login.answer": {}}, "{session}, which nothing opens"),
        ({"operations.login.body": {"user": "{session}"}}, "{session}; known here are"),
        ({"credential": None}, "no {credential} and no {session}"),
        ({"credential.header": "X Session"}, "credential.header"),
        ({"assets.aster.DOGE": "d"}, "assets.aster.DOGE: found an asset that the policy lacks"),
        ({"assets.birch": {"USDX": "usdx-on-aster"}}, "also the name of USDX on aster"),
        ({"assets": None}, "no network; say in which field"),
        ({"states.eaten": "digested"}, "states.eaten"),
        ({"tiers.x": "calm"}, "tiers.x"),
        ({"refusals.codes.x": "sorry"}, "refusals.codes.x"),
        ({"refusals.statuses": {"200": "not_found"}}, "refusals.statuses"),
        ({"amounts": "dollars"}, "amounts"),
        (
            {
                "operations.quote": {
                    "method": "GET",
                    "path": "/q",
                    "query": {"s": "{sell}", "b": "{buy}", "a": "{amount}"},
                    "success": [200],
                    "answer": {"buy_amount": "x"},
                }
            },
            "no drill reads it",
        ),
    ],
)
def test_a_mistake_in_the_file_is_named_before_anything_is_sent(
    tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        mapped(tmp_path, changes)


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "operations.status.answer": {},
        "operations.follow_withdrawal.path": "/payouts",
    }
    with pytest.raises(UsageError, match="has 2 problems"):
        mapped(tmp_path, changes)


def test_a_file_that_is_not_there_or_lacks_its_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*none\.yaml.*docs/speaking.md shows"):
        load(tmp_path / "none.yaml", DECIMALS)
    with pytest.raises(UsageError, match=r"how many decimals.*name the policy"):
        load_adapter(str(write_mapping(tmp_path)))


def test_a_pool_that_the_file_does_not_name_is_refused_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    adapter = mapped(tmp_path)
    require_pools(adapter, [("aster", "ASTR"), ("aster", "USDX")])
    with pytest.raises(UsageError, match="what the venue calls BIR on birch"):
        require_pools(adapter, [("birch", "BIR")])
    without = mapped(tmp_path, {"operations.request_withdrawal": None})
    with pytest.raises(UsageError, match="offers no request_withdrawal"):
        require_pools(without, [("aster", "ASTR")])


def test_what_a_request_needs_and_is_not_known_is_refused(tmp_path: Path) -> None:
    adapter = mapped(tmp_path)
    with pytest.raises(UsageError, match="the venue gave no id of its own"):
        adapter.request("follow_withdrawal", {"id": "x"}, customer=CUSTOMER, session="t")
    with pytest.raises(UsageError, match="declares no swap"):
        adapter.request("swap", {}, customer=CUSTOMER, session="t")
    transfer = {**WITHDRAWAL, "source_network": "birch"}
    with pytest.raises(UsageError, match="from no other"):
        adapter.request("request_withdrawal", transfer, customer=CUSTOMER, session="t")
    with pytest.raises(UsageError, match="control characters"):
        adapter.request("balances", {}, customer=CUSTOMER, session="t\r\nX-Admin: 1")


def test_the_source_network_is_sent_only_where_there_is_one(tmp_path: Path) -> None:
    adapter = mapped(tmp_path, {"operations.request_withdrawal.body.from": "{source_network}"})
    assert adapter.transfers

    def sent(values: dict[str, str]) -> dict[str, str]:
        request = adapter.request("request_withdrawal", values, customer=CUSTOMER, session="t")
        found: dict[str, str] = json.loads(request.body or b"")
        return found

    assert "from" not in sent(WITHDRAWAL)
    assert sent({**WITHDRAWAL, "source_network": "birch"})["from"] == "birch"


@pytest.mark.parametrize(
    ("amount", "decimals", "text"),
    [
        (0, 6, "0"),
        (1, 6, "0.000001"),
        (1_500_000, 6, "1.5"),
        (10**18, 18, "1"),
        (7, 0, "7"),
        (10**40 + 1, 18, "10000000000000000000000.000000000000000001"),
    ],
)
def test_amounts_are_exact(amount: int, decimals: int, text: str) -> None:
    assert decimal_text(amount, decimals) == text


@pytest.mark.parametrize(
    ("free", "available"),
    [("0.0000019", "1"), ("0.0000001", "0"), ("1E+2", "100000000"), ("0", "0"), (3, "3000000")],
)
def test_what_cannot_be_spent_is_left_out_of_a_balance(
    tmp_path: Path, free: object, available: str
) -> None:
    body = json.dumps({"holdings": [{"coin": "usdx-on-aster", "free": free}]}).encode()
    found = mapped(tmp_path).answer("balances", 200, {}, body)
    assert isinstance(found, Balances)
    assert found.balances[0].available == available


def test_a_number_is_read_as_it_is_written(tmp_path: Path) -> None:
    """Binary fractions would lose the last digits of an amount."""
    body = b'{"holdings": [{"coin": "astr-main", "free": 12.345678901234567891}]}'
    found = mapped(tmp_path).answer("balances", 200, {}, body)
    assert isinstance(found, Balances)
    assert found.balances[0].available == "12345678901234567891"


def test_a_refusal_without_a_code_has_that_of_its_status_where_the_file_names_one(
    tmp_path: Path,
) -> None:
    adapter = mapped(tmp_path, {"refusals.statuses": {"404": "not_found"}})
    found = adapter.answer("follow_withdrawal", 404, {}, b"<html>gone")
    assert found == Refusal(code="not_found", reason="status 404")


def test_base_units_and_the_venues_own_words_are_passed_on_as_they_are(tmp_path: Path) -> None:
    adapter = mapped(
        tmp_path,
        {
            "amounts": "base_units",
            "assets": None,
            "states": None,
            "refusals.codes": None,
            "operations.balances.answer": {
                "balances": ".",
                "asset": "coin",
                "network": "chain",
                "available": "free",
            },
        },
    )
    request = adapter.request("request_withdrawal", WITHDRAWAL, customer=CUSTOMER, session="t")
    assert json.loads(request.body or b"")["amount"] == "1500000"
    listed = json.dumps([{"coin": "USDX", "chain": "aster", "free": "12"}]).encode()
    assert adapter.answer("balances", 200, {}, listed) == Balances(
        balances=(Balance(network="aster", asset="USDX", available="12"),)
    )
    for kind, good in (("suspended", True), ("moon", False)):
        refused = json.dumps({"error": {"kind": kind, "text": "x"}}).encode()
        if good:
            said = adapter.answer("follow_withdrawal", 503, {}, refused)
            assert said == Refusal(code="suspended", reason="x")
        else:
            with pytest.raises(ServiceError, match="'moon'"):
                adapter.answer("follow_withdrawal", 503, {}, refused)
    for state, good in (("posted", True), ("paid", False)):
        body = json.dumps({"payout": {"status": state}}).encode()
        if good:
            assert adapter.answer("follow_withdrawal", 200, {}, body) == Withdrawal(state="posted")
        else:
            with pytest.raises(ServiceError, match="'paid'"):
                adapter.answer("follow_withdrawal", 200, {}, body)

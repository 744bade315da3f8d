"""Cold transfers of which somebody says too little: an endpoint, the custodian, a restored ledger.

What is final without a posting rests on the whole chain, by every endpoint that can be asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from seawall.controls.timing import CUSTODIAN_CLOCK_MS
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.formats.custody import Refusal, Transfer
from tests.integration.test_cold import blocked_by
from tests.testing.anvil import mined
from tests.testing.custody_harness import LACKING, RESERVE, CustodyVenue, custody_bench
from tests.testing.lying_endpoints import lacks_events
from tests.testing.venue_harness import HANGS_AFTER_S, connected, free_port
from venue.ledger.chart import books
from venue.treasury.reconcile import reconcile
from venue.treasury.surplus import book_surpluses

pytestmark = pytest.mark.integration


@pytest.fixture
async def bench(
    database_url: str, tmp_path: Path, start_anvil: Callable[..., str]
) -> AsyncIterator[CustodyVenue]:
    """A venue and its custodian; each takes its turns when a test says so."""
    async with custody_bench(database_url, tmp_path, start_anvil) as found:
        yield found


def _says(bench: CustodyVenue, **what: Any) -> None:
    """Whatever the custodian is asked about, it says ``what``."""

    async def lies(wanted: Any) -> Transfer:
        fields = wanted.model_dump(exclude={"approvals"})
        return Transfer(**fields, release_at=0, **what)

    object.__setattr__(bench.cold.custodian, "find", lies)


@asynccontextmanager
async def _endpoints(bench: CustodyVenue, *, times: int, others: int) -> AsyncIterator[None]:
    """An endpoint that shows no event so many times, and ``others`` of the same chain."""
    url = bench.config.networks["aster"].rpc.primary
    async with AsyncRpcClient("aster", (url,) * (1 + others)) as rpc:
        lacks_events(rpc._endpoints[0], times)
        bench.rpc = rpc
        bench.start()
        yield


@pytest.mark.parametrize(("times", "others"), [(1, 0), (1_000, 1)], ids=["once", "for ever"])
async def test_an_event_that_one_endpoint_lacks_is_looked_for_again(
    bench: CustodyVenue, times: int, others: int
) -> None:
    """By the same one from the start, and by another: a gap in its index is no word of the chain.

    What the chain holds meanwhile is not booked as from outside.
    """
    await bench.asked()
    await bench.turn()
    await bench.custodian_turn()
    await bench.counterparty.turn("aster")
    async with _endpoints(bench, times=times, others=others):
        found = await bench.compared()
        assert (found.surpluses, await bench.states()) == ({(RESERVE, "AST"): LACKING}, ["sent"])
        book = next(each for each in books(bench.venue.policy) if each.key == ("aster", "customer"))
        async with connected(bench.venue.database.treasury) as treasury:
            assert await book_surpluses(treasury, book, found.cut) == {}
        await bench.turn()
        assert await bench.states() == ["arrived"]
        assert set((await bench.compared()).differences.values()) == {0}


async def test_without_another_endpoints_word_it_waits(bench: CustodyVenue) -> None:
    """Until there is one, nothing is final that has not moved."""
    await bench.asked()
    await bench.turn()
    _says(bench, state="moved", tx_hash="0x01", block_number=1)
    url = bench.config.networks["aster"].rpc.primary
    async with AsyncRpcClient("aster", (url, f"http://127.0.0.1:{free_port()}")) as rpc:
        bench.cold.rpcs = {"aster": rpc}
        await bench.turn()
    assert (await bench.states(), blocked_by()) == (["sent"], ["venue"])
    bench.cold.rpcs = {"aster": bench.rpc}
    await bench.turn()
    assert await bench.states() == ["held"]


@pytest.mark.nightly  # what has failed and has not stays
async def test_a_custodian_that_says_it_has_moved_and_has_not_is_held(bench: CustodyVenue) -> None:
    identity = await bench.asked()
    await bench.turn()
    _says(bench, state="moved", tx_hash="0x01", block_number=1)
    await bench.turn()
    [row] = await bench.rows()
    assert (row["id"], row["state"]) == (identity, "held")
    assert "the chain has no such event" in row["reason"]


async def _refuses_what_it_moves(bench: CustodyVenue) -> None:
    """The custodian moves what it is asked for, forgets it, and refuses it under other terms."""
    await bench.asked()
    await bench.turn()
    await bench.counterparty.turn("aster")
    await _refuses(bench, "bad_approval")


async def _refuses(bench: CustodyVenue, code: str) -> None:
    """The custodian knows of nothing, and refuses everything."""

    async def refuses(_: Any) -> Refusal:
        return Refusal(code=code, reason="so it says")

    async def forgot(_: Any) -> Refusal:
        return Refusal(code="not_found", reason="it was never asked for")

    object.__setattr__(bench.cold.custodian, "ask", refuses)
    object.__setattr__(bench.cold.custodian, "find", forgot)


async def test_a_refusal_does_not_end_what_has_moved_and_is_not_final(bench: CustodyVenue) -> None:
    """Its transaction is mined, and the final block is older."""
    await _refuses_what_it_moves(bench)
    for _ in range(2):
        await bench.turn()
    assert (await bench.states(), blocked_by()) == (["sent"], ["venue"])
    await bench.finalize()
    await bench.turn()
    assert await bench.states() == ["arrived"]
    assert set((await bench.compared()).differences.values()) == {0}


@pytest.mark.parametrize("known", ["sent", "approved", "requested"])
async def test_what_is_still_in_a_pool_is_not_ended(bench: CustodyVenue, known: str) -> None:
    """Nobody knows of it: the custodian has forgotten it, and so has a ledger that was restored."""
    real = bench.counterparty._send
    sent: list[Any] = []

    async def keeps(held: Any) -> None:
        sent.append(held)

    object.__setattr__(bench.counterparty, "_send", keeps)
    await _refuses_what_it_moves(bench)
    if known != "sent":
        await bench.venue.owner.execute(_FORGET.format(known))
        await bench.venue.owner.execute("update cold_transfers set expires_at = requested_at")
    for _ in range(2):
        await bench.turn()
        await bench.finalize()
    assert (await bench.states(), blocked_by()) == ([known], ["venue"])
    await real(sent[0])
    await bench.outwait()
    await bench.turn()
    assert await bench.states() == ["arrived" if known == "sent" else "held"]


async def test_a_refusal_ends_it_when_no_pool_has_it_any_more(bench: CustodyVenue) -> None:
    """And not before an endpoint that is silent says which blocks it has."""
    object.__setattr__(bench.counterparty, "_send", _nothing)
    await _refuses_what_it_moves(bench)
    url = bench.config.networks["aster"].rpc.primary
    async with AsyncRpcClient("aster", (url, f"http://127.0.0.1:{free_port()}")) as rpc:
        bench.cold.rpcs = {"aster": rpc}
        await bench.turn()
    bench.cold.rpcs = {"aster": bench.rpc}
    await bench.outwait()
    await bench.turn()
    assert (await bench.states(), blocked_by()) == (["sent"], ["venue"])
    await bench.outwait()
    await bench.turn()
    assert await bench.states() == ["refused"]


async def _nothing(_: Any) -> None:
    """What is sent is lost."""


async def test_a_refusal_does_not_end_what_one_endpoint_lacks(bench: CustodyVenue) -> None:
    """Its index has a gap for ever; the other endpoint has the event."""
    async with _endpoints(bench, times=1_000, others=1):
        await _refuses_what_it_moves(bench)
        for _ in range(2):
            await bench.turn()
            await bench.outwait()
        await bench.turn()
        assert await bench.states() == ["arrived"]


async def test_every_other_endpoint_is_asked(bench: CustodyVenue) -> None:
    """Two have a gap for ever, and the third has the event."""
    async with _endpoints(bench, times=1_000, others=2):
        lacks_events(bench.rpc._endpoints[1], 1_000)
        await _refuses_what_it_moves(bench)
        for _ in range(2):
            await bench.turn()
            await bench.outwait()
        await bench.turn()
        assert await bench.states() == ["arrived"]


@pytest.mark.parametrize("named", ["none", "no transaction", "another transaction"])
async def test_a_custodian_that_says_it_has_failed_and_has_not_is_held(
    bench: CustodyVenue, named: str
) -> None:
    """It may still move: nothing else is asked for because of its word."""
    await bench.asked()
    await bench.turn()
    key = bench.custody.address
    await bench.rpc.call("anvil_impersonateAccount", key)
    other = await mined(bench.rpc, {"from": key, "to": key})
    names = {"none": None, "no transaction": "0x" + "11" * 32, "another transaction": other}
    await bench.finalize()
    _says(bench, state="failed", tx_hash=names[named], block_number=1)
    await bench.turn()
    [row] = await bench.rows()
    assert row["state"] == "held"
    assert "has failed to, and the chain has no such event" in row["reason"]


_FORGET = """
    alter table cold_transfers disable trigger cold_transfer_steps;
    update cold_transfers set state = '{}';
    alter table cold_transfers enable trigger cold_transfer_steps;
    insert into generations (generation, reason) values (1, 'The ledger was restored.')"""
"""The ledger is that of before it was sent."""


@pytest.mark.parametrize("state", ["requested", "approved"])
async def test_what_a_restored_ledger_has_forgotten_and_has_moved_is_held(
    bench: CustodyVenue, state: str
) -> None:
    """It is posted neither as its own nor as a stranger's until people have looked."""
    await bench.asked()
    await bench.turn()
    await bench.custodian_turn()
    await bench.venue.owner.execute(_FORGET.format(state))
    bench.start()
    book = next(each for each in books(bench.venue.policy) if each.key == ("aster", "customer"))
    async with connected(bench.venue.database.treasury) as treasury:
        unsettled = await reconcile(
            treasury, bench.config, bench.venue.policy, book, bench.rpc, view=await bench.rpc.view()
        )
        assert unsettled is not None
        assert unsettled.surpluses == {(RESERVE, "AST"): LACKING}
        assert await book_surpluses(treasury, book, unsettled.cut) == {}
        found = await bench.compared()
        [row] = await bench.rows()
        assert (row["state"], row["tx_hash"] is not None) == ("held", True)
        assert f"on record as {state}" in row["reason"]
        assert await book_surpluses(treasury, book, found.cut) == {}
    await bench.turn()
    assert await bench.states() == ["held"]
    assert bench.heard.count("POST /v1/transfers") == 1


@pytest.mark.parametrize(
    ("state", "ended"), [("accepted", "held"), ("sent", "held"), ("expired", "expired")]
)
async def test_what_the_custodian_has_does_not_expire(
    bench: CustodyVenue, state: str, ended: str
) -> None:
    """It has not moved yet, and a restored ledger has forgotten that it was sent."""
    await bench.asked()
    await bench.turn()
    await bench.venue.owner.execute(_FORGET.format("approved"))
    await bench.venue.owner.execute("update cold_transfers set expires_at = requested_at")
    bench.start()
    bench.dark = True
    await bench.turn()
    await bench.outwait()
    await bench.turn()
    assert (await bench.states(), blocked_by()) == (["approved"], ["silent"])
    _says(bench, state=state)
    await bench.turn()
    assert await bench.states() == [ended]
    [row] = await bench.rows()
    assert row["state"] == ended
    assert ("the custodian has it" in row["reason"]) is (ended == "held")


async def test_what_waits_at_the_custodian_until_it_expires_is_expired(bench: CustodyVenue) -> None:
    """It says so, and the chain shows nothing of it.

    Its clock is ahead: until the approval has ended by the venue's own, it waits.
    """
    await bench.asked(lasts_s=5)
    await bench.turn()
    bench.become("paused", "an audit")
    bench.expire()
    await bench.custodian_turn()
    bench.become("normal")
    await bench.custodian_turn()
    await bench.turn()
    assert (await bench.states(), blocked_by()) == (["sent"], ["venue"])
    await bench.expired()
    await bench.turn()
    assert (await bench.states(), blocked_by()) == (["sent"], ["venue"])
    await bench.outwait()
    await bench.turn()
    [row] = await bench.rows()
    assert (row["state"], row["reason"]) == (
        "expired",
        "approval_expired: it had it, and did not sign it in time",
    )
    assert await bench.rpc.balance(bench.config.holder_of(bench.venue.policy, RESERVE)) < LACKING


@pytest.mark.parametrize("says", ["it has expired", "it refuses it as expired"])
async def test_a_custodian_that_calls_it_expired_too_early_ends_nothing(
    bench: CustodyVenue, says: str
) -> None:
    """Its clock is wrong, or it lies: it may still sign, and nothing else is asked for."""
    await bench.asked()
    await bench.turn()
    if says == "it has expired":
        bench.become("paused", "an audit")
        bench.expire()
        await bench.custodian_turn()
    else:
        await _refuses(bench, "approval_expired")
    await bench.turn()
    [row] = await bench.rows()
    assert row["state"] == "held"
    assert "by our own clock its approval lasts" in row["reason"]
    await bench.outwait()
    await bench.turn()
    assert await bench.states() == ["held"]


async def _answers_late(bench: CustodyVenue, request: str) -> list[int]:
    """The custodian decides on the next such ``request`` at once, and its answer comes late.

    By the venue's clock the approval has ended meanwhile. How many milliseconds it lasted when the
    custodian decided, once it has.
    """
    lasted: list[int] = []

    async def holds(what: str) -> None:
        if request in what and not lasted:
            lasted.append(await bench.lasts_ms())
            await bench.expired()

    bench.answered = holds
    return lasted


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks the custodian waits for as long as an approval lasts."""
    monkeypatch.setattr("venue.treasury.custodian.CUSTODIAN_TIMEOUT_MS", 60_000)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("request_", ["GET /v1/transfers/", "POST /v1/transfers"])
async def test_that_it_has_expired_is_measured_when_the_answer_is_there(
    bench: CustodyVenue, request_: str
) -> None:
    """It calls it expired too early, and we hear of it when it has: that is no lie that we can see.

    It ends like any other, when no block can show it any more, and nothing was moved.
    """
    await bench.asked(lasts_s=CUSTODIAN_CLOCK_MS / 1_000 + 5)
    if "GET" in request_:  # it has it, and calls it expired in its turn
        await bench.turn()
        bench.expire()
        await bench.custodian_turn()
    else:
        bench.expire()
    lasted = await _answers_late(bench, request_)
    await bench.turn()
    assert [left_ms > CUSTODIAN_CLOCK_MS for left_ms in lasted] == [True]
    assert (await bench.states(), blocked_by()) == (["sent"], ["venue"])
    await bench.outwait()
    await bench.turn()
    [row] = await bench.rows()
    assert (row["state"], row["reason"].partition(":")[0]) == ("expired", "approval_expired")
    assert await bench.rpc.balance(bench.config.holder_of(bench.venue.policy, RESERVE)) < LACKING


@pytest.mark.usefixtures("patient")
async def test_what_was_taken_in_time_arrives_though_we_hear_of_it_too_late(
    bench: CustodyVenue,
) -> None:
    """The custodian took it and moved it; our clock has called it expired before it answers."""
    await bench.asked(lasts_s=6)
    lasted = await _answers_late(bench, "POST /v1/transfers")
    asking = asyncio.create_task(bench.turn())
    async with asyncio.timeout(HANGS_AFTER_S):
        while not lasted:  # noqa: ASYNC110 - another task
            await asyncio.sleep(0.01)
    await bench.counterparty.turn("aster")
    await asking
    assert lasted[0] > 0
    assert await bench.states() == ["sent"]
    await bench.finalize()
    await bench.turn()
    assert await bench.states() == ["arrived"]
    assert bench.heard.count("POST /v1/transfers") == 1
    assert set((await bench.compared()).differences.values()) == {0}


async def test_what_was_signed_before_it_expired_arrives(bench: CustodyVenue) -> None:
    """Also when a custodian has forgotten that and refuses it as expired: the chain decides."""
    real = bench.counterparty._send
    signed: list[Any] = []

    async def keeps(held: Any) -> None:
        signed.append(held)

    object.__setattr__(bench.counterparty, "_send", keeps)
    await bench.asked(lasts_s=5)
    await bench.turn()
    await bench.counterparty.turn("aster")
    await bench.expired()
    _says(bench, state="expired")
    await bench.turn()
    assert (await bench.states(), blocked_by()) == (["sent"], ["venue"])
    await real(signed[0])
    await bench.finalize()
    await bench.turn()
    assert await bench.states() == ["arrived"]

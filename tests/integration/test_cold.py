"""Cold transfers on real chains: asked for, signed, moved, verified, and posted once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, get_args
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from seawall.errors import UsageError
from seawall.ethereum.keys import address_of_private_key, keccak256, sign_locally, to_bytes
from seawall.formats.journal import chain_breaks
from seawall.scorecard.outcome import Outcome
from tests.integration.test_reconcile import reconciled
from tests.integration.test_surplus import identify
from tests.testing.anvil import mined
from tests.testing.approvers import approver_keys
from tests.testing.custody_harness import (
    AST,
    COLD,
    LACKING,
    MIDNIGHT_S,
    RESERVE,
    CustodyVenue,
    custody_bench,
)
from tests.testing.venue_harness import connected
from venue import crash_points
from venue.contracts.calls import NATIVE, Item, pay
from venue.crash_points import ColdStep, Moment
from venue.database import open_pool
from venue.ledger.chart import books
from venue.operator.access import enroll
from venue.operator.app import OperatorApi
from venue.treasury.loop import Treasury
from venue.treasury.metrics import (
    COLD_AGE,
    COLD_BLOCKED,
    COLD_HELD,
    COLD_REFUSED,
    COLD_WHYS,
    expose_cold,
)
from venue.treasury.reconcile import compare
from venue.treasury.surplus import book_surpluses

pytestmark = pytest.mark.integration

RUNBOOK = Path(__file__).resolve().parents[2] / "docs" / "runbooks" / "cold-transfers.md"
_COLD_TARGET, _RESERVE_TARGET = 9_030 * AST, 1_260 * AST


@pytest.fixture
async def bench(
    database_url: str, tmp_path: Path, start_anvil: Callable[..., str]
) -> AsyncIterator[CustodyVenue]:
    """A venue and its custodian; each takes its turns when a test says so."""
    async with custody_bench(database_url, tmp_path, start_anvil) as found:
        yield found


def blocked_by(asset: str = "AST") -> list[str]:
    """What the gauge says keeps the transfer from going on."""
    labels = (("aster", asset, why) for why in COLD_WHYS)
    return [each[2] for each in labels if COLD_BLOCKED.labels(*each)._value.get() == 1]


async def gauges(bench: CustodyVenue) -> tuple[bool, float, float]:
    """Whether one is under way, how many are held, whether the last one was refused."""
    async with connected(bench.venue.database.treasury) as connection:
        await expose_cold(connection, bench.venue.policy)
    place = ("aster", "AST")
    return (
        COLD_AGE.labels(*place)._value.get() > 0,
        COLD_HELD.labels(*place)._value.get(),
        COLD_REFUSED.labels(*place)._value.get(),
    )


async def test_a_reserve_below_its_minimum_is_filled_to_its_target(bench: CustodyVenue) -> None:
    """Asked for once, sent when it is signed, posted when it is final, and nothing is left over."""
    before = await bench.balances()
    await bench.turn()
    assert await bench.rows() == []
    await bench.lower()
    for _ in range(2):
        await bench.turn()
    [row] = await bench.rows()
    assert (row["state"], row["amount"]) == ("requested", LACKING)
    assert bench.heard == []
    assert await gauges(bench) == (True, 0, 0)

    assert await bench.sign() == [False, True]
    for _ in range(2):
        await bench.turn()
    assert await bench.states() == ["sent"]
    assert bench.heard.count("POST /v1/transfers") == 1
    assert bench.on_record == [["sent"]]
    await bench.custodian_turn()
    await bench.turn()
    [row] = await bench.rows()
    assert row["state"] == "arrived"
    receipt = await bench.rpc.receipt(row["tx_hash"])
    assert receipt is not None
    assert receipt.block_number == row["block_number"]
    assert await bench.balances() == before | {
        "cold": _COLD_TARGET - LACKING,
        "reserve": _RESERVE_TARGET,
        "unidentified": LACKING,
    }
    found = await bench.compared()
    assert set(found.differences.values()) == {0}
    assert await bench.venue.owner.fetchval("select count(*) from surpluses") == 0
    assert await bench.venue.ledger_sum() == 0
    assert await bench.journal() == ["cold transfer", "cold transfer sent"]
    journal = await bench.venue.owner.fetch("select * from journal order by writer, n")
    assert chain_breaks([dict(each) for each in journal]) == []
    assert await gauges(bench) == (False, 0, 0)
    await bench.turn()
    assert await bench.states() == ["arrived"]


async def test_seawall_reconcile_explains_it(bench: CustodyVenue, tmp_path: Path) -> None:
    """Before it moves, when it has moved and is not posted, and posted: to the base unit."""

    async def stages() -> dict[str, int]:
        found = await reconciled(bench.venue, tmp_path)
        assert found.contradictions.each == []
        [line] = [each for each in found.comparisons if each.name == "top_ups"]
        assert (line.outcome, line.checked) == (Outcome.PASS, 1)
        assert {each.difference for each in found.wallets} == {0}
        assert {each.difference for each in found.assets} == {0}
        return {stage: total.amount for stage, total in found.top_ups["aster", "AST"].items()}

    await bench.asked()
    assert await stages() == {"approved": LACKING}
    await bench.turn()
    assert await stages() == {"sent": LACKING}
    await bench.custodian_turn()
    assert await stages() == {"not_posted": LACKING}
    await bench.turn()
    assert await stages() == {"arrived": LACKING}


async def test_an_arrival_is_on_both_sides_of_a_comparison_or_on_neither(
    bench: CustodyVenue,
) -> None:
    """Also of one that looked at an earlier block, and before the treasury's own turn."""
    await bench.asked()
    await bench.turn()
    early = (await bench.compared()).cut
    await bench.custodian_turn()
    found = await bench.compared()  # settles what its view contains before it compares
    assert await bench.states() == ["arrived"]
    assert set(found.differences.values()) == {0}
    book = next(each for each in books(bench.venue.policy) if each.key == ("aster", "customer"))
    async with connected(bench.venue.database.treasury) as treasury:
        assert set((await compare(treasury, book, early)).differences.values()) == {0}
        assert await book_surpluses(treasury, book, found.cut) == {}


@pytest.mark.nightly  # an arrival stays
async def test_the_treasury_settles_what_a_comparison_is_about_to_see(bench: CustodyVenue) -> None:
    """Its own loop has not come to it yet, and nothing is booked as from outside."""
    await bench.asked()
    await bench.turn()
    await bench.custodian_turn()
    treasury = Treasury(
        bench.config,
        bench.venue.policy,
        pool=bench.treasury,
        rpcs={"aster": bench.rpc},
        custodian=bench.cold.custodian,
    )
    book = next(each for each in books(bench.venue.policy) if each.key == ("aster", "customer"))
    await treasury._reconcile(book)
    assert await bench.states() == ["arrived"]
    assert await bench.venue.owner.fetchval("select count(*) from surpluses") == 0


async def test_approvers_sign_through_the_operator_api_and_nobody_else(bench: CustodyVenue) -> None:
    """What is denied is on record."""
    await bench.lower()
    await bench.turn()
    keys = approver_keys(bench.venue.policy)
    tokens = {
        name: await enroll(
            bench.venue.owner,
            name,
            may=frozenset({"see", "approve"}),
            key=address_of_private_key(secret),
        )
        for name, secret in {**keys, "kim": keccak256(b"kim")}.items()
    }
    pool = await open_pool(bench.venue.database.operator, name="operator", size=2)
    app = OperatorApi(pool, bench.venue.policy, bench.config).application()
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://operator.test") as http:

        def by(name: str) -> dict[str, str]:
            return {"authorization": f"Bearer {tokens[name]}"}

        listed = await http.get("/v1/cold-transfers", headers=by("kim"))
        [asked] = listed.json()
        assert asked["text"].startswith(f"Move {LACKING} base units of AST on aster out of {COLD}")
        path = f"/v1/cold-transfers/{asked['id']}/signatures"

        async def sign(name: str, secret: bytes) -> httpx.Response:
            made = sign_locally(to_bytes(asked["digest"]), secret=secret).recoverable
            body = {"justification": "the reserve is low", "signature": made.hex()}
            return await http.post(path, json=body, headers=by(name))

        assert (await sign("kim", keccak256(b"kim"))).status_code == 403
        stolen = await sign("treasury-lead", keys["wallet-ops-lead"])
        assert stolen.status_code == 422
        first = await sign("treasury-lead", keys["treasury-lead"])
        assert (first.status_code, first.json()) == (200, {"approved": False})
        second = await sign("incident-commander", keys["incident-commander"])
        assert second.json() == {"approved": True}
        late = await sign("wallet-ops-lead", keys["wallet-ops-lead"])
        assert "it is approved already" in late.json()["reason"]
    denied = await bench.venue.owner.fetch("select operator from operator_denials")
    assert [row["operator"] for row in denied] == ["kim"]
    pool.terminate()


async def test_nothing_is_asked_for_or_sent_outside_the_window(bench: CustodyVenue) -> None:
    await bench.lower()
    bench.now_s = MIDNIGHT_S
    await bench.turn()
    assert (await bench.rows(), blocked_by()) == ([], ["window"])
    bench.now_s += 12 * 3_600
    await bench.turn()
    assert (await bench.states(), blocked_by()) == (["requested"], [])
    await bench.sign()
    bench.now_s += 12 * 3_600
    await bench.turn()
    assert (await bench.states(), blocked_by()) == (["approved"], ["window"])
    assert bench.heard == []


async def test_what_a_wallet_lacks_stops_it(bench: CustodyVenue) -> None:
    """Either of the two; the reason is shown."""
    await bench.lower()
    await bench.turn(lacking={(COLD, "AST"): 7})
    assert (await bench.rows(), blocked_by()) == ([], ["venue"])
    await bench.turn(lacking={(RESERVE, "AST"): 7})
    assert (await bench.rows(), blocked_by()) == ([], ["venue"])


@pytest.mark.parametrize("state", ["incident", "paused"])
async def test_the_custodians_condition_stops_what_is_signed(
    bench: CustodyVenue, state: str
) -> None:
    """The reason is in the journal, once, and shown until it is over."""
    await bench.asked()
    bench.become(state, "an audit")
    for _ in range(2):
        await bench.turn()
    assert (await bench.states(), blocked_by()) == (["approved"], [state])
    assert (await bench.journal()).count("cold transfer blocked") == 1
    why = await bench.venue.owner.fetchval(
        "select justification from journal where kind = 'cold transfer blocked'"
    )
    assert why == "an audit"
    assert "POST /v1/transfers" not in bench.heard
    bench.become("normal")
    await bench.turn()
    assert (await bench.states(), blocked_by()) == (["sent"], [])


@pytest.mark.nightly  # the custodian's condition stays
async def test_an_incident_in_the_middle_stops_it_and_it_goes_on(bench: CustodyVenue) -> None:
    """Between the look at the condition and the request; and once more when it is accepted."""
    await bench.asked()
    bench.before = lambda what: bench.become("incident", "a fire") if "POST" in what else None
    await bench.turn()
    assert (await bench.states(), blocked_by()) == (["sent"], ["incident"])
    bench.before = lambda _: None
    await bench.turn()
    assert (await bench.states(), blocked_by()) == (["sent"], ["incident"])
    bench.become("normal")
    await bench.turn()
    assert blocked_by() == []

    bench.become("paused", "an audit")
    await bench.custodian_turn()
    await bench.turn()
    assert (await bench.states(), blocked_by()) == (["sent"], ["paused"])
    assert await bench.rpc.balance(bench.config.holder_of(bench.venue.policy, COLD)) == _COLD_TARGET
    bench.become("normal")
    await bench.custodian_turn()
    await bench.turn()
    assert (await bench.states(), blocked_by()) == (["arrived"], [])


@pytest.mark.nightly  # what was lost on the way stays
async def test_what_has_arrived_is_posted_while_the_custodian_is_dark(bench: CustodyVenue) -> None:
    """The chain says it, not the custodian."""
    await bench.asked()
    await bench.turn()
    bench.dark = True
    await bench.turn()
    assert (await bench.states(), blocked_by()) == (["sent"], ["silent"])
    await bench.custodian_turn()
    await bench.turn()
    assert (await bench.states(), blocked_by()) == (["arrived"], [])


async def test_what_was_lost_on_the_way_is_asked_for_again_under_its_id(
    bench: CustodyVenue,
) -> None:
    await bench.asked()
    bench.before = lambda what: setattr(bench, "dark", "POST" in what)
    await bench.turn()
    assert (await bench.states(), blocked_by()) == (["sent"], ["silent"])
    bench.before, bench.dark = (lambda _: None), False
    bench.start()
    await bench.turn()
    await bench.custodian_turn()
    await bench.turn()
    assert await bench.states() == ["arrived"]
    assert await bench.rpc.balance(bench.config.holder_of(bench.venue.policy, RESERVE)) == (
        _RESERVE_TARGET
    )


async def _moves(bench: CustodyVenue, identity: UUID, *amounts: int) -> None:
    """The custodian's key pays something under the id of a transfer."""
    contract = bench.config.holder_of(bench.venue.policy, COLD)
    for number, amount in enumerate(amounts, 1_000):
        item = Item(
            seq=number,
            id=identity,
            to=bench.config.holder_of(bench.venue.policy, RESERVE),
            token=NATIVE,
            amount=amount,
        )
        await bench.rpc.call("anvil_impersonateAccount", bench.custody.address)
        data = "0x" + pay([item]).hex()
        await mined(bench.rpc, {"from": bench.custody.address, "to": contract, "data": data})
    await bench.finalize()


@pytest.mark.parametrize("amounts", [(LACKING - 1,), (LACKING, 5)], ids=["less", "twice"])
async def test_what_differs_is_held_and_is_no_money_from_outside(
    bench: CustodyVenue, tmp_path: Path, amounts: tuple[int, ...]
) -> None:
    """Nothing else is asked for until people have looked; then the books come right, as it says."""
    identity = await bench.asked()
    await bench.turn()
    await _moves(bench, identity, *amounts)
    for _ in range(2):
        await bench.turn()
    [row] = await bench.rows()
    assert row["state"] == "held"
    assert row["tx_hash"] is not None
    assert await gauges(bench) == (True, 1, 0)
    assert (await bench.journal())[-1] == "cold transfer held"
    book = next(each for each in books(bench.venue.policy) if each.key == ("aster", "customer"))
    found = await bench.compared()
    assert found.surpluses == {(RESERVE, "AST"): sum(amounts)}
    async with connected(bench.venue.database.treasury) as treasury:
        assert await book_surpluses(treasury, book, found.cut) == {}
        with pytest.raises(asyncpg.RaiseError, match="until people have looked"):
            await treasury.execute("update cold_transfers set state = 'resolved'")
        statement = RUNBOOK.read_text(encoding="utf-8").partition("```sql\n")[2].partition("```")[0]
        await bench.venue.owner.execute(statement.replace(":transfer", f"'{identity}'"))
        assert await book_surpluses(treasury, book, found.cut) == {(RESERVE, "AST"): sum(amounts)}
    assert await gauges(bench) == (False, 0, 0)
    await identify(bench.venue.owner, "AST", kind="cold")
    assert set((await bench.compared()).differences.values()) == {0}
    explained = await reconciled(bench.venue, tmp_path)
    assert explained.contradictions.each == []
    assert {each.difference for each in explained.wallets} == {0}


@pytest.mark.nightly  # what expires stays
async def test_what_is_refused_is_not_asked_for_again_at_once(bench: CustodyVenue) -> None:
    """The custodian knows other approvers; people must see to that first."""
    await bench.asked()
    approvers = bench.counterparty.vault.terms.approvers
    assert isinstance(approvers, dict)
    approvers["treasury-lead"] = "0x" + "11" * 20
    await bench.turn()
    assert (await bench.states(), blocked_by()) == (["sent"], ["venue"])
    await bench.outwait()
    await bench.turn()
    [row] = await bench.rows()
    assert row["state"] == "refused"
    assert row["reason"].startswith("bad_approval: ")
    assert await gauges(bench) == (False, 0, 1)
    await bench.venue.owner.execute(
        "update cold_transfers set ended_at = ended_at - interval '80 minutes'"
    )
    assert await gauges(bench) == (False, 0, 0)
    await bench.turn()
    assert await bench.states() == ["refused", "requested"]


@pytest.mark.nightly  # what expires stays
async def test_what_the_contract_refuses_is_refused(bench: CustodyVenue) -> None:
    """It reverts; the custodian says so, and the chain has no such event."""
    await bench.asked()
    await bench.turn()
    contract = bench.config.holder_of(bench.venue.policy, COLD)
    await bench.rpc.call("anvil_setBalance", contract, hex(5))
    await bench.custodian_turn()
    await bench.counterparty.turn("aster")
    await bench.turn()
    [row] = await bench.rows()
    assert row["state"] == "refused"
    assert "did not pay it" in row["reason"]


async def test_what_is_not_signed_in_time_expires_and_what_is_sent_does_not(
    bench: CustodyVenue,
) -> None:
    """It is asked for again, for the custodian may have it; its refusal ends it."""
    late = "update cold_transfers set expires_at = requested_at where state <> 'expired'"
    await bench.lower()
    await bench.turn()
    await bench.venue.owner.execute(late)
    with pytest.raises(UsageError, match="expired"):
        await bench.sign()
    await bench.turn()
    assert await bench.states() == ["requested"]
    await bench.outwait()
    await bench.turn()
    assert await bench.states() == ["expired"]
    await bench.venue.owner.execute(
        "update cold_transfers set ended_at = ended_at - interval '80 minutes'"
    )
    await bench.turn()
    await bench.sign()
    bench.before = lambda what: setattr(bench, "dark", "POST" in what)
    await bench.turn()
    await bench.venue.owner.execute(late)
    bench.before, bench.dark = (lambda _: None), False
    await bench.turn()
    assert await bench.states() == ["expired", "sent"]
    await bench.outwait()
    await bench.turn()
    assert await bench.states() == ["expired", "expired"]
    assert (await bench.rows())[1]["reason"].startswith("approval_expired: ")
    assert bench.counterparty.vault.statement(now_s=0).transfers == ()


async def test_only_enough_approvers_make_it_approved(bench: CustodyVenue) -> None:
    """Whatever the treasury, or one of them, writes."""
    await bench.lower()
    await bench.turn()
    [row] = await bench.rows()
    assert await bench.sign("treasury-lead") == [False]
    with pytest.raises(UsageError, match="has signed that before"):
        await bench.sign("treasury-lead")
    async with connected(bench.venue.database.treasury) as treasury:
        with pytest.raises(asyncpg.RaiseError, match="has no approval"):
            await treasury.execute("update cold_transfers set state = 'approved'")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await treasury.execute("select approve_cold_transfer($1)", row["id"])
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await treasury.execute("update cold_transfers set amount = 1")
        with pytest.raises(asyncpg.RaiseError, match="may not go from requested to sent"):
            await treasury.execute("update cold_transfers set state = 'sent'")
    await bench.turn()
    assert await bench.states() == ["requested"]
    assert await bench.sign("incident-commander") == [True]


@pytest.mark.nightly  # too few approvers stay
async def test_an_approval_of_something_else_approves_no_cold_transfer(bench: CustodyVenue) -> None:
    """Nor does the treasury take the step itself, whatever has been signed."""
    await bench.lower()
    await bench.turn()
    [row] = await bench.rows()
    own = "insert into approvals (id, actor, justification) values ($1, 'kim', 'another transfer')"
    step = "update cold_transfers set state = 'approved' where id = $1"
    other = uuid4()
    for identity in (row["id"], other):
        await bench.venue.owner.execute(own, identity)
    async with connected(bench.venue.database.treasury) as treasury:
        with pytest.raises(asyncpg.RaiseError, match="has no approval"):
            await treasury.execute(step, row["id"])
        await _sign_unheard(bench, row["id"])
        with pytest.raises(asyncpg.RaiseError, match="has no approval"):
            await treasury.execute(step, row["id"])
        with pytest.raises(asyncpg.RaiseError, match="has the id of an approval"):
            await treasury.execute(
                """insert into cold_transfers
                       (id, network, asset, from_wallet, to_wallet, destination, amount, needed,
                        since_block, justification, expires_at)
                   select $1, network, 'USDX', from_wallet, to_wallet, destination, amount, needed,
                          since_block, justification, expires_at
                   from cold_transfers""",
                other,
            )


async def _sign_unheard(bench: CustodyVenue, identity: UUID) -> None:
    """Enough signatures are on record, and the operator api's function was not called."""
    for number, name in enumerate(("ash", "bo")):
        await enroll(bench.venue.owner, name, may=frozenset({"see"}), key="0x" + f"0{number}" * 20)
        await bench.venue.owner.execute(
            """insert into cold_signatures (transfer_id, address, role, operator, signature)
               values ($1, $2, $3, $3, $4)""",
            *(identity, "0x" + f"0{number}" * 20, name, bytes(65)),
        )


async def test_nothing_is_posted_that_has_not_arrived(bench: CustodyVenue) -> None:
    """Nor another amount, whoever posts it."""
    identity = await bench.asked()
    await bench.turn()
    async with connected(bench.venue.database.treasury) as treasury:
        with pytest.raises(asyncpg.RaiseError, match="is not what cold transfer"):
            await treasury.execute(
                """with posted as (
                       insert into postings (kind, cold_id, approval_id) values ('cold', $1, $1)
                       returning id)
                   insert into entries (posting_id, account_id, amount)
                   select p.id, a.id, case a.kind when 'cold' then -c.amount else c.amount end
                   from posted p join cold_transfers c on c.id = $1
                   join accounts a on (a.bucket, a.network, a.asset)
                                      = ('customer', c.network, c.asset)
                                  and a.kind in ('cold', 'reserve')""",
                identity,
            )


class DiedError(BaseException):
    """The process is gone at a crash point."""


def _dies(point: tuple[str, str], died: list[tuple[str, str]]) -> Callable[[Any, Moment], None]:
    def hook(step: Any, moment: Moment) -> None:
        if (step, moment) == point and not died:
            died.append(point)
            raise DiedError(*point)

    return hook


POINTS = [(step, moment) for step in get_args(ColdStep) for moment in get_args(Moment)]


@pytest.mark.nightly  # test_cold_killed.py kills its process once, always
@pytest.mark.parametrize(("step", "moment"), POINTS)
async def test_a_treasury_that_dies_at_any_step_moves_it_once(
    bench: CustodyVenue, step: str, moment: str
) -> None:
    """Whoever starts after it goes on from what is on record."""
    await bench.lower()
    died: list[tuple[str, str]] = []
    crash_points.install(_dies((step, moment), died))
    if step == "end a cold transfer":
        bench.counterparty.vault.terms.approvers.clear()
    try:
        for _ in range(12):
            try:
                await bench.turn()
            except DiedError:
                bench.start()
            if await bench.states() == ["requested"]:
                await bench.sign()
            await bench.custodian_turn()
            await bench.outwait()
    finally:
        crash_points.install(None)
    assert died == [(step, moment)]
    ended = "refused" if step == "end a cold transfer" else "arrived"
    assert await bench.states() == [ended]
    found = await bench.compared()
    assert set(found.differences.values()) == {0}
    known = bench.counterparty.vault.statement(now_s=0).transfers
    assert len(known) == (ended == "arrived")
    assert {state for states in bench.on_record for state in states} == {"sent"}
    journal = await bench.journal()
    assert [journal.count(kind) for kind in ("cold transfer", "cold transfer sent")] == [1, 1]


@pytest.mark.nightly  # what expires stays
async def test_late_is_counted_from_when_it_was_asked_for(bench: CustodyVenue) -> None:
    """Whatever it waits for."""
    await bench.lower()
    await bench.turn()
    await bench.venue.owner.execute(
        "update cold_transfers set requested_at = requested_at - interval '2 hours'"
    )
    await gauges(bench)
    assert COLD_AGE.labels("aster", "AST")._value.get() > 7_199

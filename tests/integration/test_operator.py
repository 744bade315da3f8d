"""The operator api: who may do what, what an order does to the venue, and what is on record."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from seawall.controls.modes import ORDERED
from seawall.conventions.database import MODE_LOCK
from seawall.conventions.environment import DATABASE_VARIABLE
from seawall.errors import UsageError
from seawall.formats.journal import GENESIS_HASH, entry_hash
from tests.testing.settler_harness import Wanted, venue_bench
from tests.testing.venue_harness import (
    HANGS_AFTER_S,
    Founded,
    connected,
    record_withdrawal,
    venue_process,
)
from venue.database import open_pool
from venue.ledger.journal import append
from venue.operator import access
from venue.operator.app import BODY_BYTES_MAX, OperatorApi

pytestmark = pytest.mark.integration

EVERYTHING = frozenset(access.RIGHTS) - {"approve"}
"""But what needs a key."""
HALT = {"kind": "halt", "lasts_s": 60, "justification": "a key may be out"}


@dataclass(kw_only=True)
class Desk:
    """The operator api of a founded venue, with an operator who may do all and one who may look."""

    founded: Founded
    http: httpx.AsyncClient
    tokens: dict[str, str]

    async def ask(
        self, method: str, path: str, *, by: str = "kim", body: object = None
    ) -> httpx.Response:
        """A request with the token of ``by``."""
        headers = {"Authorization": f"Bearer {self.tokens[by]}"}
        return await self.http.request(method, path, json=body, headers=headers)

    async def order(self, **wanted: Any) -> int:
        """Make an order; its number."""
        answer = await self.ask("POST", "/v1/orders", body=wanted)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["order"])


@pytest.fixture
async def desk(founded: Founded) -> AsyncIterator[Desk]:
    async with connected(founded.database.owner) as owner:
        tokens = {
            "kim": await access.enroll(owner, "kim", may=EVERYTHING),
            "lee": await access.enroll(owner, "lee", may=frozenset({"see"})),
            "nobody": "made-up",
        }
    pool = await open_pool(founded.database.operator, name="operator", size=4)
    transport = httpx.ASGITransport(
        app=OperatorApi(pool, founded.policy, founded.config).application()
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://operator") as http:
        yield Desk(founded=founded, http=http, tokens=tokens)
    await pool.close()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"/v1/held/{uuid.UUID(int=1)}/decision", {"decision": "void"}),
        ("POST", "/v1/orders", HALT),
        ("POST", "/v1/orders", HALT | {"kind": "at_least", "tier": "protected"}),
        ("POST", "/v1/orders", HALT | {"kind": "exactly", "tier": "normal"}),
    ],
)
async def test_what_a_right_is_missing_for_is_denied_and_on_record(
    desk: Desk, method: str, path: str, body: dict[str, Any]
) -> None:
    """With the request as it was, so that people see what was tried."""
    answer = await desk.ask(method, path, by="lee", body=body)
    assert answer.status_code == 403
    (denial,) = (await desk.ask("GET", "/v1/denials")).json()
    assert (denial["operator"], denial["action"]) == ("lee", f"{method} {path}")
    assert json.loads(denial["request"]) == body
    assert "needs the right" in denial["reason"]
    assert (await desk.ask("GET", "/v1/orders")).json() == []


async def test_a_token_that_nobody_has_opens_nothing_and_is_on_record(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strangers cannot fill the disk with their denials, nor crowd out those of operators."""
    monkeypatch.setattr(access, "UNKNOWN_BEARERS_MAX", 3)
    for path in ("/v1/held", "/v1/orders", "/v1/denials", "/v1/orders", "/v1/orders"):
        assert (await desk.ask("GET", path, by="nobody")).status_code == 401
    assert (await desk.http.get("/v1/held")).status_code == 401
    await desk.ask("POST", "/v1/orders", by="lee", body=HALT)
    found = (await desk.ask("GET", "/v1/denials")).json()
    assert [each["operator"] for each in found] == ["lee", None, None, None]
    assert "made-up" not in str(found)


@pytest.mark.parametrize(
    "body",
    [
        b'{"decision": "void", "justification": "\\u0000"}',
        b'{"decision": "void", "justification": "\\ud800"}',
        b'{"decision": NaN}',
        b'{"decision": "\0\xff',
        b"[]",
    ],
)
async def test_no_body_keeps_a_denial_off_the_record(desk: Desk, body: bytes) -> None:
    """Not even one that the database's JSON refuses, or that is none at all."""
    path = f"/v1/held/{uuid.UUID(int=1)}/decision"
    headers = {"Authorization": f"Bearer {desk.tokens['lee']}"}
    assert (await desk.http.post(path, content=body, headers=headers)).status_code == 403
    (denial,) = (await desk.ask("GET", "/v1/denials")).json()
    assert denial["operator"] == "lee"
    assert denial["request"] == body.decode(errors="backslashreplace").replace("\0", "\\0")


async def test_an_order_that_is_denied_is_on_record_though_it_makes_no_sense(desk: Desk) -> None:
    answer = await desk.ask("POST", "/v1/orders", by="lee", body=HALT | {"lasts_s": "long"})
    assert answer.status_code == 403
    assert len((await desk.ask("GET", "/v1/denials")).json()) == 1


async def test_a_stolen_token_does_not_fill_the_disk_with_denials(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "DENIALS_A_DAY_MAX", 3)
    for _ in range(5):
        assert (await desk.ask("POST", "/v1/orders", by="lee", body=HALT)).status_code == 403
    assert len((await desk.ask("GET", "/v1/denials")).json()) == 3


async def test_a_revoked_token_and_a_name_that_is_taken(desk: Desk) -> None:
    async with connected(desk.founded.database.owner) as owner:
        await access.revoke(owner, "kim")
        for action in (
            access.enroll(owner, "kim", may=EVERYTHING),
            access.revoke(owner, "kim"),
            access.enroll(owner, "sam", may=frozenset()),
        ):
            with pytest.raises(UsageError):
                await action
    assert (await desk.ask("GET", "/v1/held")).status_code == 401


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lasts_s": 0}, "cannot be made"),
        ({"lasts_s": 86_401}, "1 to 86400 s"),
        ({"kind": "exactly", "tier": "normal", "lasts_s": 3_601}, "1 to 3600 s"),
        ({"justification": " "}, "needs a justification"),
        ({"tier": "protected"}, "a halt names no tier"),
        ({"kind": "at_least"}, "every other order one"),
        ({"kind": "at_least", "tier": "calm"}, "tier"),
        ({"kind": "at_least", "tier": "stressed", "network": "aster"}, "name no network"),
        ({"network": "asteroid"}, "no network asteroid"),
        ({"extra": 1}, "extra"),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused_with_the_remedy(
    desk: Desk, change: dict[str, Any], said: str
) -> None:
    answer = await desk.ask("POST", "/v1/orders", body=HALT | change)
    assert answer.status_code == 422
    assert said in answer.json()["reason"]
    assert (await desk.ask("GET", "/v1/orders")).json() == []


@pytest.mark.parametrize("body", ["[]", "{", "x" * (BODY_BYTES_MAX + 1)])
async def test_a_body_that_is_none_is_refused(desk: Desk, body: str) -> None:
    headers = {"Authorization": f"Bearer {desk.tokens['kim']}"}
    answer = await desk.http.post("/v1/orders", content=body, headers=headers)
    assert answer.status_code in (413, 422)


async def test_an_order_is_journalled_and_ends_once(desk: Desk) -> None:
    """The journal's chain holds over everything that operators did, also side by side."""
    numbers = await asyncio.gather(*(desk.order(**HALT) for _ in range(5)))
    listed = (await desk.ask("GET", "/v1/orders")).json()
    assert [each["id"] for each in listed] == sorted(numbers)
    assert {each["operator"] for each in listed} == {"kim"}
    end, why = f"/v1/orders/{numbers[0]}/end", {"justification": "it was a false alarm"}
    assert (await desk.ask("POST", end, by="lee", body=why)).status_code == 403
    assert (await desk.ask("POST", end, body={"justification": " "})).status_code == 422
    assert (await desk.ask("POST", end, body=why)).status_code == 200
    assert (await desk.ask("POST", end, body=why)).status_code == 404
    assert len((await desk.ask("GET", "/v1/orders")).json()) == 4

    async with connected(desk.founded.database.auditor) as auditor:
        rows = await auditor.fetch(
            "select n, kind, justification, body, previous_hash, hash from journal"
            " where writer = 'venue-operator' order by n"
        )
    assert [row["kind"] for row in rows] == ["order"] * 5 + ["order ended"]
    previous = GENESIS_HASH
    for row in rows:
        digest = entry_hash(
            previous_hash=previous,
            writer="venue-operator",
            n=row["n"],
            kind=row["kind"],
            justification=row["justification"],
            body=json.loads(row["body"]),
        )
        assert digest == bytes(row["hash"])
        previous = digest


async def test_an_order_cannot_be_changed_nor_made_past_the_api(desk: Desk) -> None:
    """By no role: the api's own inserts and ends, and nobody enrolls themselves."""
    await desk.order(**HALT)
    async with connected(desk.founded.database.operator) as operator:
        for statement in (
            "update orders set ends_at = now() + interval '1 year'",
            "delete from orders",
            "insert into operators (name, token_sha256, may) values ('x', '', '{see}')",
            "update mode set tier = 'normal'",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await operator.execute(statement)
    async with connected(desk.founded.database.settler) as settler:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await settler.execute("insert into order_endings select id, 'kim', 'x' from orders")


async def test_no_role_writes_the_journal_of_another(desk: Desk) -> None:
    """What an operator decided cannot be made to look like a flip, nor be in the way of one."""
    urls = desk.founded.database
    wrote = partial(append, kind="x", justification="x", body={"x": 1})
    allowed = {
        urls.operator: "venue-operator",
        urls.mode_controller: "mode-controller",
        urls.treasury: "treasury",
    }
    for url, own in allowed.items():
        async with connected(url) as connection:
            for writer in {*allowed.values(), "somebody"} - {own}:
                with pytest.raises(asyncpg.RaiseError, match="does not write the journal"):
                    async with connection.transaction():
                        await wrote(connection, writer=writer)
            async with connection.transaction():
                await wrote(connection, writer=own)


async def test_held_withdrawals_are_listed_and_decided_about_once(desk: Desk) -> None:
    async with connected(desk.founded.database.owner) as owner:
        await record_withdrawal(owner, "unknown", age_s=60)
        identity = await owner.fetchval("select id from withdrawals")
        await owner.execute(
            "insert into attempts (slot_id, withdrawal_id, seq)"
            " select slot_id, id, seq from withdrawals"
        )
    (found,) = (await desk.ask("GET", "/v1/held", by="lee")).json()
    assert found["id"] == str(identity)
    path = f"/v1/held/{identity}/decision"
    body = {"decision": "void", "justification": "the customer asked"}
    assert (await desk.ask("POST", path, body=body)).status_code == 200
    again = await desk.ask("POST", path, body=body)
    assert again.status_code == 422
    assert "to be given back already, says kim" in again.json()["reason"]


async def tier_becomes(desk: Desk, tier: str) -> None:
    """Wait until ``tier`` is in force."""
    async with connected(desk.founded.database.auditor) as auditor:
        async with asyncio.timeout(HANGS_AFTER_S):
            # a database is polled
            while await auditor.fetchval("select tier from mode") != tier:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def test_the_tier_follows_orders_until_they_end(desk: Desk) -> None:
    """At least: triggers lead above it. Exactly: nothing does. Each flip says whose order it is."""
    founded = desk.founded
    why = {"justification": "the exchange warned us", "lasts_s": 60}
    async with (
        venue_process("mode_controller", founded.config_path, founded.database),
        connected(founded.database.owner) as owner,
    ):
        floor = await desk.order(kind="at_least", tier="stressed", **why)
        await tier_becomes(desk, "stressed")
        logged = await owner.fetchval("select reason from mode_log order by epoch desc limit 1")
        assert logged == f"order {floor} of kim: the exchange warned us"
        told = await owner.fetchval("select reason from mode")
        assert told == ORDERED  # anybody may read it
        await record_withdrawal(owner, "reserved", age_s=3_600)
        await tier_becomes(desk, "protected")

        exact = await desk.order(kind="exactly", tier="normal", **why)
        await tier_becomes(desk, "normal")
        await desk.ask("POST", f"/v1/orders/{exact}/end", body={"justification": "it is real"})
        await tier_becomes(desk, "protected")
        await desk.ask("POST", f"/v1/orders/{floor}/end", body={"justification": "over"})
        await owner.execute("update withdrawals set state = 'voided', reason = 'test'")
        await tier_becomes(desk, "normal")


@pytest.mark.nightly  # the drill of a frozen client shows it
async def test_an_order_waits_for_claims_in_flight_and_for_no_frozen_client(desk: Desk) -> None:
    """A holder of the mode lock that does nothing keeps an operator waiting for a second."""
    async with connected(desk.founded.database.settler) as settler:
        transaction = settler.transaction()
        await transaction.start()
        await settler.execute("select pg_advisory_xact_lock_shared($1)", MODE_LOCK)
        answer = await desk.ask("POST", "/v1/orders", body=HALT)
        assert answer.status_code == 503
        assert "ask again" in answer.json()["reason"]
        await transaction.rollback()
    await desk.order(**HALT)


@pytest.mark.nightly  # an order of a tier stays
async def test_nothing_is_claimed_on_a_halted_network_until_the_order_ends(
    database_url: str, tmp_path: Path, start_anvil: Callable[..., str]
) -> None:
    """The other network goes on; what was claimed before is paid."""
    async with venue_bench(database_url, tmp_path, start_anvil) as venue:
        token = await access.enroll(venue.owner, "kim", may=EVERYTHING)
        for network in ("aster", "birch"):
            await venue.settler(network)
        pool = await open_pool(venue.database.operator, name="operator", size=2)
        transport = httpx.ASGITransport(
            app=OperatorApi(pool, venue.policy, venue.config).application()
        )
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://operator", headers=headers
        ) as http:
            made = await http.post("/v1/orders", json=HALT | {"network": "aster"})
            for network in ("aster", "birch"):
                await venue.reserve([Wanted(network=network, asset="USDX", amount=10**6)] * 3)
            await venue.until("select count(*) = 3 from withdrawals where state = 'posted'")
            await asyncio.sleep(1)
            waiting = "select count(*) from withdrawals where state = 'reserved'"
            assert await venue.owner.fetchval(f"{waiting} and network = 'aster'") == 3
            path = f"/v1/orders/{made.json()['order']}/end"
            await http.post(path, json={"justification": "the key is safe"})
            await venue.all_posted()
        await pool.close()


def test_operators_are_enrolled_and_revoked_on_the_command_line(founded: Founded) -> None:
    """The token is printed once, alone on its line."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "venue.operator", *arguments],
            env={**os.environ, DATABASE_VARIABLE: founded.database.owner},
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_S,
            check=False,
        )

    made = run("enroll", "kim", "--may", "see,halt")
    assert made.returncode == 0, made.stderr
    assert len(made.stdout.strip()) >= 40
    assert run("enroll", "kim", "--may", "see").returncode == 3
    wrong = run("enroll", "sam", "--may", "everything")
    assert wrong.returncode == 3
    assert "rights: see, decide, halt, tier, override" in wrong.stderr
    assert run("revoke", "kim").returncode == 0

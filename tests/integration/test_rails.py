"""Payouts over a rail, with real providers: paid once, given back, refused, deferred."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import asyncpg
import pytest

from seawall.formats.drill_contract import Refusal, Withdrawal, WithdrawalReceipt
from seawall.formats.payout_rail import Instruction, Payout, Statement, StatementLine
from seawall.formats.venue_config import Endpoint
from tests.testing.nightly import repetitions
from tests.testing.providers import ACCOUNT, CLOSED_ACCOUNT
from tests.testing.rails_harness import ADDRESS, RailVenue, rail_venue
from tests.testing.venue_harness import HANGS_AFTER_S, connected
from venue.api.reservations import cancel_withdrawal
from venue.database import Pool, open_pool
from venue.rails.claims import RailClaims
from venue.rails.statements import Statements

USDX = 10**6
_REFUSED = {
    "posted": "as role seawall_rails",
    "voided": "as role seawall_rails",
    "reserved": "its instruction is recorded",
}
"""What the database says to that role, by the state that it would give an instructed withdrawal."""
_WAITS = "select exists (select 1 from pg_locks where not granted)"


@pytest.fixture
async def venue(new_database: Callable[[], str], tmp_path: Path) -> AsyncIterator[RailVenue]:
    async with rail_venue(new_database(), tmp_path) as made:
        yield made


@pytest.fixture
async def pool(venue: RailVenue) -> AsyncIterator[Pool]:
    """Of who pays over rails."""
    opened = await open_pool(venue.founded.database.rails, name="test", size=2)
    yield opened
    opened.terminate()


async def _cancel(venue: RailVenue, withdrawal: UUID) -> Withdrawal | Refusal:
    async with connected(venue.founded.database.api) as api:
        return await cancel_withdrawal(api, venue.founded.policy, 1, withdrawal)


@pytest.mark.parametrize(
    ("rail", "asset", "source"),
    repetitions(
        [("fiat", "USDX", "birch"), ("exchange", "AST", "aster"), ("exchange", "BIR", "birch")],
        keep=2,
    ),
)
async def test_withdrawals_are_paid_once_and_posted(
    new_database: Callable[[], str], tmp_path: Path, rail: str, asset: str, source: str
) -> None:
    """Over the primary; the ledger says of each counterparty what the counterparty says."""
    async with rail_venue(new_database(), tmp_path, rail=rail) as venue:
        unit = 10 ** venue.founded.policy.assets[asset].decimals // 1_000
        await venue.start()
        await venue.asked(*[5_000 * unit, 6_000 * unit] * 2, asset=asset, source=source)
        await venue.asked(*[1_000 * unit] * 30, asset=asset, source=source, customer=2)
        await venue.resolved()
        assert {side: len(paid) for side, paid in venue.paid().items()} == {
            "primary": 34,
            "standby": 0,
        }
        await venue.agrees()


@pytest.mark.nightly  # workers that are killed stay
async def test_two_workers_pay_once(venue: RailVenue) -> None:
    """Side by side: claims and statements are of one at a time."""
    for _ in range(2):
        await venue.start()
    await asyncio.gather(*(venue.asked(*[USDX] * 10, customer=customer) for customer in (1, 2, 3)))
    await venue.resolved()
    assert len(venue.paid()["primary"]) == 30
    await venue.agrees()


async def test_a_returned_payout_is_given_back_with_its_reason(venue: RailVenue) -> None:
    """To the balance that paid for it, and the funds are there again."""
    before = await venue.owner.fetchval("select sum(available) from balances")
    [withdrawal] = await venue.asked(5 * USDX, to=CLOSED_ACCOUNT)
    await venue.start()
    await venue.resolved()
    row = await venue.owner.fetchrow("select state, reason from withdrawals")
    assert tuple(row or ()) == ("voided", "There is no such account.")
    assert await venue.owner.fetchval("select sum(available) from balances") == before
    assert (await venue.states())[withdrawal] == "voided"
    await venue.agrees()


async def test_what_a_provider_will_never_take_is_given_back(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    """Once its id is used up there, so that no late instruction can be taken after all."""
    async with rail_venue(new_database(), tmp_path) as venue:
        [withdrawal] = await venue.asked(5 * USDX)
        await venue.owner.execute("alter table withdrawals disable trigger user")
        await venue.owner.execute(
            "update withdrawals set destination = $1 where id = $2", ADDRESS, withdrawal
        )
        await venue.owner.execute("alter table withdrawals enable trigger user")
        await venue.start()
        await venue.resolved()
        row = await venue.owner.fetchrow("select state, reason from withdrawals")
        assert tuple(row or ()) == ("voided", "Nothing can be paid there.")
        assert [line.payout.state for line in venue.providers["primary"].lines()] == ["cancelled"]
        await venue.agrees()


@pytest.mark.nightly  # over networks it is tried always
async def test_protected_mode_defers_large_ones(venue: RailVenue) -> None:
    """They wait in their place, and are paid when the tier is left; small ones go on."""
    large, small = [*await venue.asked(2_000 * USDX), *await venue.asked(USDX, customer=2)]
    await _set_tier(venue, "protected")
    await venue.start()
    await venue.until("select exists (select 1 from withdrawals where state = 'posted')")
    assert await venue.states() == {large: "reserved", small: "posted"}
    assert isinstance(refused := await venue.ask(1_500 * USDX, customer=3), Refusal)
    assert refused.code == "suspended"  # a large transfer between networks
    await _set_tier(venue, "normal")
    await venue.resolved()
    await venue.agrees()


async def _set_tier(venue: RailVenue, tier: str) -> None:
    await venue.owner.execute("update mode set epoch = epoch + 1, tier = $1, reason = 'test'", tier)


async def test_nothing_is_claimed_without_a_mode_controller_or_under_a_halt(
    venue: RailVenue,
) -> None:
    """What was claimed before goes on; the rail may be halted alone."""
    await venue.heartbeat.silence()
    [withdrawal] = await venue.asked(USDX)
    await venue.start()
    await asyncio.sleep(0.5)  # five polls
    assert (await venue.states())[withdrawal] == "reserved"
    await venue.owner.execute(
        "insert into operators (name, token_sha256, may) values ('kim', sha256('t'), '{halt}')"
    )
    await venue.owner.execute(
        "insert into orders (kind, network, operator, justification, ends_at)"
        " values ('halt', 'fiat', 'kim', 'test', clock_timestamp() + interval '1 hour')"
    )
    await venue.heartbeat.resume()
    await asyncio.sleep(0.5)
    assert (await venue.states())[withdrawal] == "reserved"
    await venue.owner.execute(
        "insert into order_endings (order_id, operator, justification)"
        " select id, 'kim', 'test' from orders"
    )
    await venue.resolved()
    await venue.agrees()


@pytest.mark.nightly  # a claim that waits for a flip stays
async def test_the_epoch_of_the_mode_is_recorded(venue: RailVenue) -> None:
    """A flip that has committed before the claim is what the instruction says."""
    await _set_tier(venue, "stressed")
    await venue.asked(USDX)
    await venue.start()
    await venue.resolved()
    assert await venue.owner.fetchval("select mode_epoch from rail_instructions") == 2


async def test_a_claim_waits_for_a_flip_and_sees_it(venue: RailVenue) -> None:
    """Ring 0: the lock is a statement of its own, and the mode is read after it."""
    large = (await venue.asked(2_000 * USDX))[0]
    async with connected(venue.founded.database.mode_controller) as controller:
        flip = controller.transaction()
        await flip.start()
        await controller.execute("select pg_advisory_xact_lock($1)", 0x5EA0001)
        await venue.start()
        await venue.until(
            "select exists (select 1 from pg_locks where locktype = 'advisory' and not granted)"
        )
        await controller.execute(
            "update mode set epoch = epoch + 1, tier = 'protected', reason = 'test'"
        )
        await flip.commit()
    await venue.asked(USDX, customer=2)
    await venue.until("select exists (select 1 from withdrawals where state = 'posted')")
    assert (await venue.states())[large] == "reserved"


async def test_what_waits_is_cancelled_and_what_is_instructed_is_not(venue: RailVenue) -> None:
    """A customer is told that it is too late, or has it back at once."""
    first, second = await venue.asked(USDX, 2 * USDX)
    cancelled = await _cancel(venue, first)
    assert isinstance(cancelled, Withdrawal)
    assert cancelled.state == "voided"
    for gate in venue.gates.values():
        gate.since = "POST /payouts"
        await gate.behave("hangs")
    await venue.start()
    await venue.until("select exists (select 1 from withdrawals where state = 'instructed')")
    refused = await _cancel(venue, second)
    assert isinstance(refused, Refusal)
    assert refused.code == "too_late"
    for gate in venue.gates.values():
        await gate.behave("passes")
    await venue.resolved()
    await venue.agrees()


@pytest.mark.nightly  # over networks it is tried always
async def test_a_replay_is_the_first_withdrawal(venue: RailVenue) -> None:
    """Before and after it is paid; with another destination it is refused."""
    identity = uuid4()
    first = await venue.ask(USDX, identity=identity)
    await venue.start()
    await venue.resolved()
    again = await venue.ask(USDX, identity=identity)
    assert isinstance(first, WithdrawalReceipt)
    assert isinstance(again, WithdrawalReceipt)
    assert (first.outcome, again.outcome, again.state) == ("accepted", "replayed", "posted")
    other = await venue.ask(USDX, identity=identity, to=ACCOUNT[:-1] + "9")
    assert isinstance(other, Refusal)
    assert other.code == "id_reused"
    await venue.agrees()


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"to": ADDRESS}, "bad_address"),
        ({"asset": "AST", "amount": 10**18}, "unknown_asset"),
        ({"amount": 50_001 * USDX}, "over_limit"),
        ({"amount": USDX // 2}, "below_minimum"),
        ({"source": "fiat"}, "unknown_asset"),
    ],
)
async def test_intake_refuses_what_the_rail_does_not_take(
    venue: RailVenue, values: dict[str, object], code: str
) -> None:
    refused = await venue.ask(**values)  # type: ignore[arg-type]
    assert isinstance(refused, Refusal), refused
    assert refused.code == code


@pytest.mark.nightly  # a primary without money stays
async def test_no_more_is_instructed_than_lies_there(venue: RailVenue) -> None:
    """What does not fit waits, and whoever comes later does not overtake it."""
    await venue.owner.execute("update rail_funds set available = $1", 3 * USDX)
    first, second, third = await venue.asked(2 * USDX, 2 * USDX, USDX)
    await venue.start()
    await venue.until("select exists (select 1 from withdrawals where state = 'posted')")
    await asyncio.sleep(0.5)  # some polls
    assert await venue.states() == {first: "posted", second: "reserved", third: "reserved"}


async def test_no_role_moves_a_withdrawal_without_a_statement(venue: RailVenue) -> None:
    """Neither posted, given back, nor given up: the database wants the provider's line."""
    for gate in venue.gates.values():
        gate.since = "POST /payouts"
        await gate.behave("hangs")
    [withdrawal] = await venue.asked(USDX)
    await venue.start()
    await venue.until("select exists (select 1 from withdrawals where state = 'instructed')")
    async with connected(venue.founded.database.rails) as rails:
        for state in ("accepted", "cancelled", "settled"):
            with pytest.raises(asyncpg.RaiseError, match=r"no statement says|may not go from"):
                await rails.execute("update rail_instructions set state = $1", state)
        for state in ("posted", "reserved", "voided"):
            with pytest.raises(asyncpg.PostgresError, match=_REFUSED[state]):
                await rails.execute(
                    "update withdrawals set state = $1, reason = 'x', instruction_id ="
                    " case $1 when 'reserved' then null else instruction_id end where id = $2",
                    state,
                    withdrawal,
                )
        with pytest.raises(asyncpg.PostgresError, match="its instruction is recorded"):
            await rails.execute("select give_back_held(array[$1::uuid], array['x'])", withdrawal)
        with pytest.raises(asyncpg.PostgresError, match="its instruction is recorded"):
            await rails.execute("select post_over_rail($1)", withdrawal)
        with pytest.raises(asyncpg.RaiseError, match="does not wait for this instruction"):
            await rails.execute(
                """insert into rail_instructions (withdrawal_id, attempt, rail, side, asset, amount,
                                                  destination, mode_epoch, state)
                   select withdrawal_id, 2, rail, 'standby', asset, amount, destination, 1,
                          'recorded' from rail_instructions"""
            )
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await rails.execute("update balances set available = 0")
    await venue.owner.execute("select 1")
    for gate in venue.gates.values():
        await gate.behave("passes")
    await venue.resolved()


async def test_who_pays_over_rails_posts_nothing_else(venue: RailVenue) -> None:
    """Neither money of its own making, nor another amount or place than was asked for."""
    [withdrawal] = await venue.asked(USDX)
    instruct = """
        insert into rail_instructions (withdrawal_id, attempt, rail, side, asset, amount,
                                       destination, mode_epoch, state)
        select id, 1, 'fiat', 'primary', asset, {}, {}, 1, 'recorded' from withdrawals"""
    async with connected(venue.founded.database.rails) as rails:
        for statement in (
            f"insert into postings (kind, withdrawal_id) values ('post', '{withdrawal}')",
            "insert into postings (kind) values ('fund')",
            "insert into entries (posting_id, account_id, amount) values (1, 1, 5), (1, 2, -5)",
            """insert into flow (kind, network, count, value_micro)
               values ('posted', 'fiat', 1, 1)""",
            "update balances set available = available + 1",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await rails.execute(statement)
        for amount, to in (("amount + 1", "destination"), ("amount", f"'{ACCOUNT[:-1]}9'")):
            with pytest.raises(asyncpg.RaiseError, match="does not wait for this instruction"):
                await rails.execute(instruct.format(amount, to))
        await rails.execute(instruct.format("amount", "destination"))


async def test_a_payout_that_nobody_asked_for_is_shown_and_stops_its_withdrawal(
    venue: RailVenue,
) -> None:
    """A provider says it has taken an id of ours with another amount: nobody pays it again."""
    await venue.heartbeat.silence()
    [withdrawal] = await venue.asked(USDX)
    taken = Instruction(client_id=f"{withdrawal}-1", asset="USDX", amount="7", destination=ACCOUNT)
    await asyncio.to_thread(venue.providers["standby"].submit, taken)
    worker = await venue.start()
    await venue.until("select exists (select 1 from rail_lines where unexplained)")
    await venue.heartbeat.resume()
    [other] = await venue.asked(USDX, customer=2)
    await venue.until("select exists (select 1 from withdrawals where state = 'posted')")
    assert await venue.states() == {withdrawal: "reserved", other: "posted"}
    with pytest.raises(asyncpg.RaiseError, match="may have paid"):
        await _cancel(venue, withdrawal)
    assert worker.returncode is None


async def test_an_error_of_one_rail_does_not_end_another(venue: RailVenue) -> None:
    """The ledger knows nothing of the other one; nor does the loss of connections end anything."""
    nowhere = Endpoint(primary="http://127.0.0.1:9", standby="http://127.0.0.1:9")
    worker = await venue.start(also={"exchange": nowhere})
    await venue.asked(USDX)
    await venue.resolved()
    await venue.owner.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'seawall_rails'"
    )
    await venue.asked(2 * USDX)
    await venue.resolved()
    assert worker.returncode is None
    await venue.agrees()


@pytest.mark.nightly  # a payout that nobody asked for stays
async def test_a_line_that_does_not_fit_is_put_aside(venue: RailVenue) -> None:
    """For people, like any other contradiction; those that follow are applied."""
    [spoiled] = await venue.asked(USDX)
    await venue.owner.execute("alter table withdrawals disable trigger user")
    await venue.owner.execute("update withdrawals set bucket = 'promotional'")
    await venue.owner.execute("alter table withdrawals enable trigger user")
    await venue.asked(2 * USDX, customer=2)
    await venue.start()
    await venue.until("select exists (select 1 from withdrawals where state = 'posted')")
    await venue.until("select exists (select 1 from rail_lines where unexplained)")
    assert (await venue.states())[spoiled] == "instructed"
    states = await venue.owner.fetch("select state from rail_instructions order by id")
    assert [row["state"] for row in states] == ["disputed", "settled"]


async def test_what_is_given_back_is_locked_in_the_order_of_intake(
    venue: RailVenue, pool: Pool
) -> None:
    """The later account's line comes first, while intake holds the earlier one and wants both."""
    first, second = [*await venue.asked(USDX), *await venue.asked(USDX, customer=2)]
    accounts = [
        row["id"]
        for row in await venue.owner.fetch(
            """select id from accounts where customer_id in (1, 2) and (network, asset)
               = ('aster', 'USDX') order by id"""
        )
    ]
    claims = RailClaims(pool=pool, policy=venue.founded.policy, rail="fiat")
    assert await claims.claim("primary", limit=2) == 2
    lines = [
        StatementLine(n=n, at=0, payout=_payout(withdrawal, state))
        for n, (withdrawal, state) in enumerate(
            [(first, "accepted"), (second, "accepted"), (second, "returned"), (first, "returned")],
            1,
        )
    ]
    async with connected(venue.founded.database.api) as api:
        intake = api.transaction()
        await intake.start()
        await api.execute("select 1 from balances where account_id = $1 for update", accounts[0])
        reading = asyncio.create_task(Statements(pool=pool).read(cast("Any", _Told(lines))))
        async with asyncio.timeout(HANGS_AFTER_S):
            # a database is polled
            while not await venue.owner.fetchval(_WAITS):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await api.execute("select 1 from balances where account_id = $1 for update", accounts[1])
        await intake.commit()
    assert await reading == 4
    assert set((await venue.states()).values()) == {"voided"}


def _payout(withdrawal: UUID, state: str) -> Payout:
    identity = f"{withdrawal}-1"
    asked = Instruction(client_id=identity, asset="USDX", amount=str(USDX), destination=ACCOUNT)
    return Payout.model_validate(
        {"client_id": identity, "state": state, "instruction": asked.model_dump()}
    )


@dataclass(frozen=True)
class _Told:
    """A provider whose statement is ``lines``."""

    lines: list[StatementLine]
    rail: str = "fiat"
    side: str = "primary"

    async def statement(self, *, after: int) -> Statement:
        return Statement(lines=tuple(self.lines[after:]), more=False)


async def test_a_restored_ledger_adopts_what_the_lost_one_had_instructed(venue: RailVenue) -> None:
    """Nothing is claimed or given back before it is open at both; then it is not paid again.

    The lost ledger had given the first one to the standby, and the second one up at the primary.
    What it may have sent of the others is used up first.
    """
    first, second, third = await venue.asked(USDX, 2 * USDX, 3 * USDX)
    lost = Instruction(client_id=f"{first}-1", asset="USDX", amount=str(USDX), destination=ACCOUNT)
    await asyncio.to_thread(venue.providers["standby"].submit, lost)
    await asyncio.to_thread(venue.providers["primary"].ask, "POST", f"/payouts/{second}-1/cancel")
    await venue.owner.execute("insert into generations (generation, reason) values (1, 'test')")
    await venue.gates["standby"].behave("hangs")
    await venue.start()
    await venue.until("select exists (select 1 from rail_lines where client_id like 'gener%')")
    assert isinstance(refused := await _cancel(venue, third), Refusal)
    assert refused.code == "unavailable"
    await asyncio.sleep(0.5)  # some polls
    assert set((await venue.states()).values()) == {"reserved"}
    await venue.gates["standby"].behave("passes")
    await venue.resolved()
    assert venue.paid() == {
        "primary": [
            (f"{second}-3", str(2 * USDX), ACCOUNT),
            (f"{third}-2", str(3 * USDX), ACCOUNT),
        ],
        "standby": [(f"{first}-1", str(USDX), ACCOUNT)],
    }
    await venue.agrees()

"""Escrow pays nobody but its bidder and its seller: each way out is tried, as the owner.

A guard is shown to be the one that refuses by taking it away: then the same attempt goes through.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import asyncpg
import pytest

from seawall.controls.steady import SteadyClock
from seawall.formats.drill_contract import Refusal, WithdrawalRequest
from tests.testing.market_bench import (
    ASSET,
    BIDDER,
    NETWORK,
    OTHER,
    PRICE,
    SELLER,
    MarketBench,
    changed,
    code,
    market_bench,
)
from tests.testing.venue_harness import Founded, connected
from venue.api.intake import Reservation, reservation_of
from venue.api.reservations import commit_batch
from venue.database import Connection

pytestmark = pytest.mark.integration

WALLET = "escrow-aster-hot"
RUNBOOK = Path(__file__).parents[2] / "docs" / "runbooks" / "unidentified-money.md"
_SURPLUS = ("hot", "unidentified")
_ACCOUNT = """
    select id from accounts where (bucket, network, asset, kind) = ($1, 'aster', 'USDX', $2)
    and customer_id is not distinct from $3"""
_ENTER = """
    insert into entries (posting_id, account_id, amount)
    select $1, * from unnest($2::bigint[], $3::numeric[])"""
_POST = """
    with posted as (
        insert into postings (kind, {column}, approval_id) values ($1, $2, $3) returning id)
    insert into entries (posting_id, account_id, amount)
    select p.id, e.* from posted p, unnest($4::bigint[], $5::numeric[]) e"""


@pytest.fixture
async def bench(founded: Founded) -> AsyncIterator[MarketBench]:
    """A founded venue with a marketplace."""
    async with market_bench(founded) as made:
        yield made


@dataclass(frozen=True, kw_only=True)
class Thief:
    """Writes whatever it likes, as the owner; ``bid`` is open, and its money is in escrow."""

    owner: Connection
    bid: uuid.UUID

    async def account(self, bucket: str, kind: str, customer: int | None = None) -> int:
        """The id of an account."""
        return int(await self.owner.fetchval(_ACCOUNT, bucket, kind, customer))

    async def post(
        self, kind: str, entries: Mapping[int, int], column: str, of: uuid.UUID, approval: object
    ) -> None:
        """A posting with any entries."""
        await self.owner.execute(
            _POST.format(column=column),
            *(kind, of, approval, list(entries), list(entries.values())),
        )

    async def approval(self, *moved: tuple[str, str]) -> uuid.UUID:
        """An approval that names a move of the price from one bucket to another."""
        made = uuid.uuid4()
        await self.owner.execute("insert into approvals values ($1, 'thief', 'a test')", made)
        for giver, taker in moved:
            await self.owner.execute(
                "insert into approved_moves values ($1, 'aster', 'USDX', $2, $3, $4)",
                *(made, giver, taker, PRICE),
            )
        return made

    async def withdrawal(self) -> uuid.UUID:
        """One of the price that waits; nothing is reserved for it."""
        made: uuid.UUID = await self.owner.fetchval(
            """insert into withdrawals (id, customer_id, bucket, source_network, network, asset,
                 amount, value_micro, size, destination, state)
               values (gen_random_uuid(), 3, 'customer', 'aster', 'aster', 'USDX', $1, 1, 'small',
                       '0x' || repeat('ab', 20), 'reserved') returning id""",
            PRICE,
        )
        return made

    async def reserve_from_escrow(self) -> None:
        """A withdrawal is reserved out of what is in escrow."""
        entries = {
            await self.account("escrow", "escrow"): PRICE,
            await self.account("customer", "reserved"): -PRICE,
        }
        await self.post("reserve", entries, "withdrawal_id", await self.withdrawal(), None)

    async def reserve_from_backing(self) -> None:
        """A withdrawal is reserved out of the own money that stands against it."""
        entries = {
            await self.account("escrow", "own"): PRICE,
            await self.account("escrow", "unidentified"): -PRICE,
        }
        await self.post("reserve", entries, "withdrawal_id", await self.withdrawal(), None)

    async def pay_from_wallet(self) -> None:
        """A withdrawal is paid out of the wallet that stands against it."""
        entries = {
            await self.account("customer", "reserved"): PRICE,
            await self.account("escrow", "hot"): -PRICE,
        }
        await self.post("post", entries, "withdrawal_id", await self.withdrawal(), None)

    async def swap_out(self) -> None:
        """A swap takes it, under an approval that names exactly that."""
        swap = uuid.uuid4()
        await self.owner.execute(
            "insert into swaps values ($1, 3, 'aster', 'USDX', 1, 'AST', 1, 1)", swap
        )
        entries = {
            await self.account("escrow", "escrow"): PRICE,
            await self.account("customer", "customer", OTHER): -PRICE,
        }
        await self.post(
            "swap", entries, "swap_id", swap, await self.approval(("escrow", "customer"))
        )

    async def out_of_escrow(self, receiver: int) -> dict[int, int]:
        """The entries that take the price out of escrow, by account."""
        return {
            await self.account("customer", "customer", receiver): -PRICE,
            await self.account("customer", "own"): PRICE,
            await self.account("escrow", "escrow"): PRICE,
            await self.account("escrow", "own"): -PRICE,
        }

    async def _end(self, kind: str, receiver: int) -> None:
        entries = await self.out_of_escrow(receiver)
        await self.post(kind, entries, "bid_id", self.bid, await self.approval())

    async def settle_to_another(self) -> None:
        """The bid is settled, and somebody else gets it."""
        await self.owner.execute(
            "update bids set state = 'settled', settled_epoch = 1, ended_at = now() where id = $1",
            self.bid,
        )
        await self._end("settle", OTHER)

    async def refund_what_stays_open(self) -> None:
        """It is given back, and the bid goes on."""
        await self._end("refund", BIDDER)

    async def end_without_posting(self) -> None:
        """The bid ends, and its money stays in escrow for nobody."""
        await self.owner.execute(
            "update bids set state = 'refunded', ended_at = now() where id = $1", self.bid
        )

    async def lane_of_wallet(self) -> None:
        """The wallet gets a lane, on which slots could pay."""
        await self.owner.execute(
            """insert into lanes (chain_id, address, network, wallet, signer_region)
               values (73311, '0x' || repeat('ee', 20), 'aster', $1, 'us-east-1')""",
            WALLET,
        )

    async def float_of_wallet(self) -> None:
        """The wallet gets a float, which claims would take from."""
        await self.owner.execute("insert into floats values ($1, 'aster', 'USDX', 1)", WALLET)

    async def customers_in_escrow(self) -> None:
        """Withdrawals get an account in the bucket, without the mark of escrow."""
        await self.owner.execute(
            "insert into accounts (bucket, network, asset, kind)"
            " values ('escrow', 'birch', 'USDX', 'reserved')"
        )


Attempt = Callable[[Thief], Awaitable[None]]
_BALANCE = "drop trigger entries_balance on entries"
ATTEMPTS: dict[str, tuple[Attempt, str, str]] = {
    # guard: (what is tried, what is said, what takes the guard away)
    "reserved out of escrow": (Thief.reserve_from_escrow, "takes from escrow", _BALANCE),
    "reserved out of its backing": (Thief.reserve_from_backing, "out of its bucket", _BALANCE),
    "paid out of its wallet": (Thief.pay_from_wallet, "out of its bucket", _BALANCE),
    "swapped out of escrow": (Thief.swap_out, "takes from escrow", _BALANCE),
    "settled to another": (
        Thief.settle_to_another,
        "does not move the money of bid",
        "drop trigger bid_postings on postings",
    ),
    "given back while open": (
        Thief.refund_what_stays_open,
        "does not move the money of bid",
        "drop trigger bid_postings on postings",
    ),
    "ended and not posted": (
        Thief.end_without_posting,
        "and that is not posted",
        "drop trigger bids_posted on bids",
    ),
    "a lane": (
        Thief.lane_of_wallet,
        "nothing is paid out of",
        "drop trigger lanes_not_of_escrow on lanes",
    ),
    "a float": (
        Thief.float_of_wallet,
        "nothing is paid out of",
        "drop trigger floats_not_of_escrow on floats",
    ),
    "customers' accounts": (
        Thief.customers_in_escrow,
        "all accounts of a bucket are of escrow",
        "drop trigger accounts_of_escrow on accounts",
    ),
}


async def _tried(bench: MarketBench, attempt: Attempt, without: str | None) -> None:
    """Try it to the end of its transaction; whatever becomes of it is undone."""
    bid = await bench.open_bid()
    async with connected(bench.founded.database.owner) as owner:
        transaction = owner.transaction()
        await transaction.start()
        try:
            if without is not None:
                await owner.execute(without)
            await attempt(Thief(owner=owner, bid=bid))
            await owner.execute("set constraints all immediate")
        finally:
            await transaction.rollback()
    assert code(await bench.refund(bid)) == "refunded"


@pytest.mark.parametrize(("attempt", "said", "guard"), ATTEMPTS.values(), ids=ATTEMPTS)
async def test_escrow_pays_nothing_else(
    bench: MarketBench, attempt: Attempt, said: str, guard: str
) -> None:
    """Refused with the guard, and through without it."""
    with pytest.raises(asyncpg.RaiseError, match=said):
        await _tried(bench, attempt, None)
    await _tried(bench, attempt, guard)


_TOP_UP = """
    insert into topups (id, network, asset, from_wallet, to_wallet, amount, state, justification)
    values (gen_random_uuid(), 'aster', 'USDX', $1, $2, 1, 'requested', 'test')"""


@pytest.mark.parametrize("end", [0, 1], ids=["from", "to"])
async def test_no_top_up_has_an_end_without_a_lane(bench: MarketBench, end: int) -> None:
    """So none takes from what stands against escrow, and none disappears in it."""
    wallets = ["customer-aster-reserve", "customer-aster-hot"]
    await bench.owner.execute(_TOP_UP, *wallets)
    await bench.owner.execute("delete from topups")
    wallets[end] = WALLET
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await bench.owner.execute(_TOP_UP, *wallets)


@pytest.mark.parametrize("kind", ["customer", "reserved", "clearing", "at_primary", "inventory"])
async def test_no_account_of_the_bucket_is_of_customers(bench: MarketBench, kind: str) -> None:
    """So none of its accounts is what a withdrawal is reserved in, nor a rail's."""
    customer = SELLER if kind == "customer" else None
    with pytest.raises(asyncpg.CheckViolationError):
        await bench.owner.execute(
            "insert into accounts (bucket, network, asset, kind, customer_id, of_escrow)"
            " values ('escrow', 'birch', 'USDX', $1, $2, true)",
            *(kind, customer),
        )


async def test_no_approval_takes_a_withdrawal_out_of_its_bucket(bench: MarketBench) -> None:
    """The check of the table: there is no such posting at all."""
    with pytest.raises(asyncpg.CheckViolationError):
        await bench.owner.execute(
            """with approved as (
                   insert into approvals values (gen_random_uuid(), 'kim', 'a test') returning id)
               insert into postings (kind, withdrawal_id, approval_id)
               select 'post', gen_random_uuid(), id from approved"""
        )


async def test_no_slot_is_of_its_key(bench: MarketBench) -> None:
    """A slot has a lane, and the wallet of escrow has none; so no withdrawal is in such a slot."""
    primary = bench.founded.policy.regions.primary
    key = bench.founded.config.signers[primary].keys[WALLET].address.lower()
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await bench.owner.execute(
            """insert into slots (chain_id, address, nonce, epoch, mode_epoch, admitted_epoch,
                purpose, to_address, value, data, gas_limit, max_fee_wei, priority_fee_wei, digest,
                state) values (73311, $1, 0, 1, 1, 1, 'payout', $1, 0, '', 1, 1, 1,
                               sha256('test'), 'open')""",
            key,
        )


_INTO = {
    "approvals": """
        insert into approval_requests (id, kind, network, from_wallet, to_wallet, from_bucket,
            to_bucket, to_class, to_address, asset, token, amount, use, not_before, expires,
            operator, requester, needed, needed_for_review, digest)
        values (gen_random_uuid(), 'transfer', 'aster', $1, $2, 'customer', 'escrow', 'hot',
            '0x' || repeat('ee', 20), 'USDX', '0x' || repeat('ee', 20), 1, 'a test', 1, 2,
            'kim', '0x' || repeat('00', 20), 2, 2, sha256('test'))""",
    "cold_transfers": """
        insert into cold_transfers (id, network, asset, from_wallet, to_wallet, destination, amount,
            needed, since_block, justification, expires_at)
        values (gen_random_uuid(), 'aster', 'USDX', $1, $2, '0x' || repeat('ee', 20), 1, 2, 1,
                'a test', now())""",
}


@pytest.mark.parametrize("table", _INTO)
async def test_no_other_bucket_moves_coins_to_its_wallet(bench: MarketBench, table: str) -> None:
    """Nor takes any: there would be coins and no room for bids, or the other way round."""
    for wallets in (("customer-aster-reserve", WALLET), (WALLET, "customer-aster-reserve")):
        with pytest.raises(asyncpg.RaiseError, match="nothing moves from"):
            await bench.owner.execute(_INTO[table], *wallets)
    guarded = "approval_requests" if table == "approvals" else table
    async with connected(bench.founded.database.owner) as owner:
        transaction = owner.transaction()
        await transaction.start()
        await owner.execute(f"drop trigger {table}_not_of_escrow on {guarded}")
        await owner.execute("insert into operators values ('kim', sha256('kim'), '{request}')")
        await owner.execute(_INTO[table], "customer-aster-reserve", WALLET)
        await transaction.rollback()


async def test_what_comes_from_outside_is_room_once_it_is_the_buckets_own(
    bench: MarketBench,
) -> None:
    """Before, it is owed to whoever sent it. People identify it as the runbook has it."""
    more = 7 * PRICE
    room = await bench.room()
    async with connected(bench.founded.database.treasury) as treasury, treasury.transaction():
        surplus = await treasury.fetchval(
            "insert into surpluses (bucket, network, wallet, asset, amount, block_number)"
            " values ('escrow', 'aster', $1, 'USDX', $2, 1) returning id",
            *(WALLET, more),
        )
        kinds = [await bench.owner.fetchval(_ACCOUNT, "escrow", kind, None) for kind in _SURPLUS]
        await treasury.execute(
            _POST.format(column="surplus_id"), *("surplus", surplus, None, kinds, [more, -more])
        )
    assert await bench.room() == room
    own = await bench.owner.fetchval(_ACCOUNT, "escrow", "own", None)
    [statements] = re.findall(r"```sql\n(.*?)```", RUNBOOK.read_text(encoding="utf-8"), re.DOTALL)
    await bench.owner.execute(
        statements.replace(":surplus", str(surplus)).replace(":account", str(own))
    )
    assert await bench.room() == room + more
    assert await bench.faults() == []


async def test_a_bid_ends_once(bench: MarketBench) -> None:
    """Neither its state nor its posting is there twice, whatever the api believes."""
    bid = await bench.open_bid()
    assert code(await bench.settle(bid)) == "settled"
    async with bench.api.acquire() as api:
        with pytest.raises(asyncpg.RaiseError, match="is settled, and stays so"):
            await api.execute(
                "update bids set state = 'refunded', settled_epoch = null where id = $1", bid
            )
        with pytest.raises(asyncpg.UniqueViolationError):
            await api.execute(
                "insert into postings (kind, bid_id, approval_id)"
                " select 'refund', bid_id, approval_id from postings where kind = 'bid'"
            )
        for change in ("amount = 1", "bidder_id = 3", "seller_id = 3", "listing_id = id"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await api.execute(f"update bids set {change} where id = $1", bid)


async def _add_to_posting(bench: MarketBench, role: str) -> None:
    """Pay a stranger out of escrow, under the posting of another's bid that is long committed."""
    thief = Thief(owner=bench.owner, bid=await bench.open_bid())
    entries = await thief.out_of_escrow(OTHER)
    posting = await bench.owner.fetchval("select id from postings where bid_id = $1", thief.bid)
    async with connected(getattr(bench.founded.database, role)) as connection:
        await connection.execute(_ENTER, posting, list(entries), list(entries.values()))


@pytest.mark.parametrize("role", ["owner", "api", "settler", "treasury"])
async def test_a_posting_gets_no_entries_later(bench: MarketBench, role: str) -> None:
    """Whoever may insert entries at all: balanced ones, within its buckets, and approved."""
    with pytest.raises(asyncpg.RaiseError, match="has entries already"):
        await _add_to_posting(bench, role)
    assert await bench.faults() == []
    await bench.owner.execute("drop trigger entries_once on entries")
    await _add_to_posting(bench, role)
    assert await bench.faults() != []


async def test_nor_by_a_second_statement_of_the_same_transaction(bench: MarketBench) -> None:
    """Even if all that is looked at in the end was looked at before."""
    bid = await bench.open_bid()
    async with connected(bench.founded.database.owner) as owner:
        thief = Thief(owner=owner, bid=bid)
        transaction = owner.transaction()
        await transaction.start()
        await owner.execute(
            "update bids set state = 'refunded', ended_at = now() where id = $1", bid
        )
        entries = await thief.out_of_escrow(BIDDER)
        await thief.post("refund", entries, "bid_id", bid, await thief.approval())
        await owner.execute("set constraints all immediate")
        with pytest.raises(asyncpg.RaiseError, match="has entries already"):
            await owner.execute(
                "insert into entries (posting_id, account_id, amount)"
                " select posting_id, account_id, amount from entries"
                " where posting_id = (select max(id) from postings)"
            )
        await transaction.rollback()


async def test_nor_are_its_first_ones_by_two_sessions_at_once(bench: MarketBench) -> None:
    """Neither sees what the other one inserts. So none is committed that has no entries yet."""
    empty = "insert into postings (kind) values ('fund') returning id"
    with pytest.raises(asyncpg.RaiseError, match="has no entries"):
        await bench.owner.execute(empty)
    assert await bench.faults() == []
    await bench.owner.execute("drop trigger postings_entered on postings")
    posting = await bench.owner.fetchval(empty)
    thief = Thief(owner=bench.owner, bid=uuid.uuid4())
    taken = [await thief.account("customer", "hot"), await thief.account("customer", "customer", 3)]
    async with (
        connected(bench.founded.database.owner) as one,
        connected(bench.founded.database.owner) as other,
        one.transaction(),
        other.transaction(),
    ):
        for each in (one, other):
            await each.execute(_ENTER, posting, taken, [PRICE, -PRICE])
    entered = await bench.owner.fetchval(
        "select count(*) from entries where posting_id = $1", posting
    )
    assert entered == 4, "without the trigger both are committed"
    assert await bench.faults() != []


async def test_what_is_in_escrow_its_bidder_moves_nowhere_else(founded: Founded) -> None:
    """Not into a withdrawal, nor into another bid: it is in no balance until it is given back."""
    roomy = changed(founded.policy, share_max=Fraction(9, 10))
    async with market_bench(founded, roomy) as bench:
        await _moves_nowhere_else(bench)


async def _moves_nowhere_else(bench: MarketBench) -> None:
    held = await bench.available(BIDDER)
    bid = await bench.open_bid(BIDDER, held)
    assert await bench.available(BIDDER) == 0
    assert await _withdraw(bench) == "insufficient_balance"
    assert code(await bench.bid(await bench.listing(), BIDDER)) == "insufficient_balance"
    assert code(await bench.settle(bid, BIDDER)) == "not_found"
    assert code(await bench.refund(bid)) == "refunded"
    assert await _withdraw(bench) == "accepted"
    assert await bench.faults() == []


async def _withdraw(bench: MarketBench) -> str:
    """What intake says to a small withdrawal of the bidder."""
    request = WithdrawalRequest(
        id=uuid.uuid4(),
        network=NETWORK,
        asset=ASSET,
        amount=str(PRICE),
        destination="0x" + "ab" * 20,
    )
    policy, directory = bench.founded.policy, bench.processes[0].directory
    ask = await reservation_of(policy, directory, frozenset(), BIDDER, request)
    assert isinstance(ask, Reservation)
    async with bench.api.acquire() as connection:
        [answer] = await commit_batch(connection, policy, [ask], clock=SteadyClock())
    assert answer is not None
    return answer.code if isinstance(answer, Refusal) else answer.outcome

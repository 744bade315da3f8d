"""Genesis: the books, lanes and rights of a new venue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from seawall.errors import UsageError
from seawall.policy_file import load_policy
from tests.testing.venue_harness import (
    POLICY,
    Founded,
    connected,
    found,
    opening_balances,
    urls_of,
    write_config,
)
from venue.genesis.found import found_venue
from venue.genesis.sign_log import found_sign_log
from venue.ledger.chart import payout_routes

pytestmark = pytest.mark.integration


async def test_a_founded_venue_has_balanced_books_and_a_lane_per_signing_wallet(
    founded: Founded,
) -> None:
    """Books sum to zero, hot wallets hold their target, and lanes start at nonce 0.

    Customers are owed everything that the wallets hold.
    """
    async with connected(founded.database.auditor) as auditor:
        sums = await auditor.fetch(
            "select network, asset, sum(e.amount) from entries e "
            "join accounts a on a.id = account_id group by 1, 2"
        )
        assert {row["sum"] for row in sums} == {0}
        assert len(sums) == 4
        hot = await auditor.fetchval(
            "select sum(e.amount) from entries e join accounts a on a.id = account_id "
            "where (network, asset, kind, bucket) = ('aster', 'AST', 'hot', 'customer')"
        )
        assert hot == 210 * 10**18
        mismatched = await auditor.fetchval(
            "select count(*) from balances b where available <> "
            "(select -coalesce(sum(amount), 0) from entries e where e.account_id = b.account_id)"
        )
        assert mismatched == 0
        lanes = await auditor.fetch(
            "select wallet, next_nonce, epoch, signer_region from lanes order by wallet"
        )
        assert [row["wallet"] for row in lanes] == [
            "customer-aster-hot",
            "customer-aster-reserve",
            "customer-birch-hot",
            "customer-birch-reserve",
        ]
        assert {(row["next_nonce"], row["epoch"], row["signer_region"]) for row in lanes} == {
            (0, 1, "us-east-1")
        }
        assert await auditor.fetchval("select tier || epoch from mode") == "normal1"


async def test_every_wallet_of_every_bucket_is_on_the_ledger_against_an_account_of_its_own(
    founded: Founded,
) -> None:
    """Customers' money is owed to customers, the treasury's is inventory, the rest is the venue's.

    The amounts of all five buckets are the policy's.
    """
    async with connected(founded.database.auditor) as auditor:
        rows = await auditor.fetch(
            "select a.bucket, a.network, a.asset, a.kind, sum(e.amount) from accounts a "
            "join entries e on e.account_id = a.id group by 1, 2, 3, 4"
        )
        booked = {
            (row["bucket"], row["network"], row["asset"], row["kind"]): row["sum"] for row in rows
        }
        available = await auditor.fetchval(
            "select sum(available) from balances b join accounts a on a.id = b.account_id "
            "where kind = 'inventory' and asset = 'USDX'"
        )
    policy = founded.policy
    expected: dict[tuple[str, str, str, str], int] = {}
    against = {
        "customer": "customer",
        "treasury": "inventory",
        "promotional": "own",
        "escrow": "own",
        "contingency": "own",
    }
    for wallet in policy.wallets.values():
        for asset, holding in wallet.holdings.items():
            amount = policy.base_units(asset, holding.target)
            expected[wallet.bucket, wallet.network, asset, wallet.wallet_class] = amount
            owed = (wallet.bucket, wallet.network, asset, against[wallet.bucket])
            expected[owed] = expected.get(owed, 0) - amount
    assert booked == expected
    assert {bucket for bucket, *_ in booked} == set(policy.buckets)
    assert available == 200_000 * 10**6


async def test_four_thousand_customers_take_as_many_statements_as_ten(
    new_database: Callable[[], str], tmp_path: Path
) -> None:
    """Genesis is set-based, and a venue is founded once."""
    policy = load_policy(POLICY)
    nonces = {wallet: 0 for route in payout_routes(policy).values() for wallet in route.lanes}

    async def found(customers: int, url: str) -> int:
        statements: list[str] = []
        async with connected(url) as owner:
            owner.add_query_logger(lambda query: statements.append(query.query))
            await found_venue(
                owner,
                config=write_config(tmp_path / "venue.json", url, policy),
                policy=policy,
                customers=opening_balances(policy, customers),
                nonces=nonces,
                roles=urls_of(url).roles,
            )
            assert await owner.fetchval("select count(*) from customers") == customers
        return len(statements)

    few, many = new_database(), new_database()
    assert await found(10, few) == await found(4_000, many)
    with pytest.raises(UsageError, match="holds a venue already"):
        await found(10, many)


async def test_unbacked_customers_are_refused_and_nothing_is_left_behind(
    database_url: str, tmp_path: Path
) -> None:
    """One base unit too much is named, and the database stays empty."""
    policy = load_policy(POLICY)
    config = write_config(tmp_path / "venue.json", database_url, policy)
    async with connected(database_url) as owner:
        customers = opening_balances(policy, 3)[1:]
        with pytest.raises(
            UsageError,
            match=(
                "aster AST: customers are owed 7000000000000000000000, "
                "wallets hold 10500000000000000000000"
            ),
        ):
            await found_venue(
                owner,
                config=config,
                policy=policy,
                customers=customers,
                nonces={},
                roles=urls_of(database_url).roles,
            )
        assert await owner.fetchval("select to_regclass('public.mode')") is None


async def test_a_sign_log_is_founded_in_an_empty_database_alone(founded: Founded) -> None:
    """Nobody founds a second one over it, or beside a venue's tables."""
    roles = founded.database.sign_log.roles
    for url in (founded.database.sign_log.owner, founded.database.owner):
        async with connected(url) as owner:
            with pytest.raises(UsageError, match="holds something already"):
                await found_sign_log(owner, roles)


async def test_each_role_may_do_only_its_own_part(founded: Founded) -> None:
    """The api cannot write the mode, the settler offer no slot, the signer not a balance.

    The database says no.
    """
    attempts = {
        "api": "update mode set tier = 'normal'",
        "settler": "select offer_slot(1, '', 0, 1, '', 1, 1, 1, true)",
        "signer": "update balances set available = 1",
        "mode_controller": "delete from withdrawals",
        "auditor": "insert into journal (writer) values ('x')",
    }
    for part, statement in attempts.items():
        async with connected(getattr(founded.database, part)) as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


async def test_nobody_sets_a_table_of_its_own_before_one_of_the_ledger(
    database_url: str, tmp_path: Path
) -> None:
    """Triggers read the first table of a name, and a temporary one would come first.

    Not in a copy of a venue's database: such a copy has the rights of any new one.
    """
    venue = await found(database_url, tmp_path / "venue.json", customers=1)
    databases = (venue.database, venue.database.sign_log)
    for url in (url for each in databases for url in each.roles.values()):
        async with connected(url) as connection:
            for statement in (
                "create temporary table approvals (id uuid)",
                "create table public.approval (id uuid)",
                "create schema mine",
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)


async def test_the_settler_may_change_only_what_its_arrows_change(founded: Founded) -> None:
    """It moves a slot and a lane along.

    Intents, nonces of slots, owners of lanes and balances are not its to write.
    """
    async with connected(founded.database.settler) as settler:
        for statement in (
            "update balances set available = 1",
            "update slots set data = '', nonce = 7",
            "update lanes set wallet = 'x'",
            "update topups set amount = 1",
            "update floats set wallet = 'x'",
            "insert into generations (generation, reason) values (1, 'x')",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await settler.execute(statement)
        await settler.execute("update lanes set next_nonce = next_nonce + 1")


async def test_a_float_goes_below_zero_for_what_was_paid_after_all_and_for_nothing_else(
    founded: Founded,
) -> None:
    """Else it would be too high for good: what is promised and cannot be paid raises it again."""
    hot, available = "customer-aster-hot", "select available from floats where asset = 'USDX'"
    of_hot = f"{available} and wallet = $1"
    lower = "select lower_float($1, 'USDX', $2)"
    change = "update floats set available = $2 where (wallet, asset) = ($1, 'USDX')"
    async with connected(founded.database.settler) as settler:
        held = await settler.fetchval(of_hot, hot)
        with pytest.raises(asyncpg.RaiseError, match="may not pay"):
            await settler.execute(change, hot, -1)
        await settler.execute(lower, hot, held + 5)
        assert await settler.fetchval(of_hot, hot) == -5
        await settler.execute(lower, hot, -1_000)  # it raises nothing
        assert await settler.fetchval(of_hot, hot) == -5
        with pytest.raises(asyncpg.RaiseError, match="may not pay"):
            await settler.execute(change, hot, -6)
        await settler.execute(change, hot, -4)
    async with connected(founded.database.treasury) as treasury:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await treasury.execute(lower, hot, 1)


async def test_the_treasury_may_take_top_ups_back_and_say_of_none_that_it_moved(
    founded: Founded,
) -> None:
    async with connected(founded.database.treasury) as treasury:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await treasury.execute("update topups set state = 'posted'")
        assert await treasury.fetchval("select take_back_topup(gen_random_uuid())") is None


async def test_signed_bytes_are_never_replaced(founded: Founded) -> None:
    """Not even the owner may replace the settler's copy or the signer's own.

    Storing the first ones is no change.
    """
    async with (
        connected(founded.database.owner) as owner,
        connected(founded.database.sign_log.owner) as log,
    ):
        await owner.execute(
            """insert into slots (chain_id, address, nonce, epoch, mode_epoch, admitted_epoch,
                purpose, to_address, value, data, gas_limit, max_fee_wei,
                                  priority_fee_wei, digest, state)
               select chain_id, address, 0, 1, 1, 1, 'payout', address, 0, '', 1, 1, 1, sha256(''),
               'open' from lanes limit 1"""
        )
        await log.execute(
            """insert into sign_log (chain_id, address, nonce, digest, epoch, region, max_fee_wei,
                priority_fee_wei) values (1, '0x', 0, sha256(''), 1, 'us-east-1', 1, 1)"""
        )
        await owner.execute(
            "update slots set state = 'signed', raw = 'a', tx_hash = '0xa', signer_region = "
            "'us-east-1'"
        )
        await log.execute(
            "update sign_log set raw = 'a', tx_hash = '0xa', signed_by = 'us-east-1', signed_at "
            "= now()"
        )
        await owner.execute("update slots set state = 'broadcast', raw = 'a'")
        await owner.execute(
            """insert into replacements (slot_id, n, max_fee_wei, priority_fee_wei, raw, tx_hash,
                signer_region) select id, 1, 2, 2, 'a', '0xc', 'us-east-1' from slots"""
        )
        await log.execute(
            """insert into sign_log_replacements (chain_id, address, nonce, max_fee_wei,
                priority_fee_wei, region, raw, tx_hash, signed_by, signed_at)
               values (1, '0x', 0, 2, 2, '', 'a', '0xc', '', now())"""
        )
        for table, of in (
            ("slots", owner),
            ("sign_log", log),
            ("replacements", owner),
            ("sign_log_replacements", log),
        ):
            for change in ("raw = 'b'", "tx_hash = '0xb'", "raw = null"):
                with pytest.raises(
                    asyncpg.RaiseError, match=f"{table} keeps the bytes that were signed first"
                ):
                    await of.execute(f"update {table} set {change}")


@pytest.mark.parametrize(
    ("state", "fee_wei"), [("open", 11), ("final", 11), ("broadcast", 10), ("broadcast", 5)]
)
async def test_a_transaction_is_replaced_while_it_waits_and_by_higher_fees_only(
    founded: Founded, state: str, fee_wei: int
) -> None:
    """What is not signed has nothing to replace; what is final needs nothing."""
    async with connected(founded.database.owner) as owner:
        await owner.execute(
            """insert into slots (chain_id, address, nonce, epoch, mode_epoch, admitted_epoch,
                purpose, to_address, value, data, gas_limit, max_fee_wei, priority_fee_wei, digest,
                state, signer_region, tx_hash, raw, block_number, block_hash)
               select chain_id, address, 0, 1, 1, 1, 'payout', address, 0, '', 1, 10, 1, sha256(''),
                      $1, signed.region, signed.hash, signed.raw, mined.number, mined.hash
               from lanes
               left join (select 'us-east-1' as region, '0xa' as hash, 'a'::bytea as raw) signed
                    on $1 <> 'open'
               left join (select 1 as number, '0xb' as hash) mined on $1 = 'final'
               limit 1""",
            state,
        )
        with pytest.raises(asyncpg.RaiseError, match="nothing replaces the transaction of slot"):
            await owner.execute(
                """insert into replacements (slot_id, n, max_fee_wei, priority_fee_wei)
                   select id, 1, $1, 1 from slots""",
                fee_wei,
            )

"""The check of the books finds what is wrong with them, each kind on its own."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.testing.books import contents, faults
from tests.testing.venue_harness import Founded, connected

pytestmark = pytest.mark.integration
_ACCOUNT = """(select id from accounts where customer_id = 1 and network = 'aster'
    and asset = 'USDX')"""
_WRONG = {
    "I1": f"""
        insert into entries (posting_id, account_id, amount)
        select min(id), {_ACCOUNT}, -5 from postings""",
    "a balance is not what its entries say": f"""
        update balances set available = available + 1 where account_id = {_ACCOUNT}""",
    "I2": """
        update floats set available = -1 where asset = 'AST'""",
    "a customer owes the venue": f"""
        insert into entries (posting_id, account_id, amount)
        select min(id), {_ACCOUNT}, 10::numeric ^ 20 from postings""",
    "what is reserved is not what is open": """
        insert into entries (posting_id, account_id, amount)
        select (select min(id) from postings), id, -5 from accounts
        where kind = 'reserved' limit 1""",
    "a withdrawal is not reserved once, or not resolved as its state says": """
        insert into withdrawals (id, customer_id, bucket, source_network, network, asset, amount,
                                 value_micro, size, destination, state)
        values (gen_random_uuid(), 1, 'customer', 'aster', 'aster', 'USDX', 1, 1, 'small',
                '0x' || repeat('ab', 20), 'reserved')""",
    "I8": """
        insert into withdrawals (id, customer_id, bucket, source_network, network, asset, amount,
                                 value_micro, size, destination, state, reason)
        values (gen_random_uuid(), 1, 'customer', 'aster', 'aster', 'USDX', 1, 1, 'small',
                '0x' || repeat('ab', 20), 'voided', 'test')""",
    "a swap is not booked once": """
        insert into swaps values (gen_random_uuid(), 1, 'aster', 'AST', 1, 'USDX', 1, 1)""",
}


@pytest.mark.parametrize("fault", _WRONG)
async def test_the_check_of_the_books_finds(founded: Founded, fault: str) -> None:
    """The books are right when the venue is founded, and are not afterwards."""
    async with connected(founded.database.owner) as owner:
        assert await faults(owner) == []
        before = await contents(owner)
        await owner.execute(f"alter table entries disable trigger user; {_WRONG[fault]}")
        assert any(each.startswith(f"{fault}: ") for each in await faults(owner))
        assert await contents(owner) != before


async def test_a_withdrawal_that_was_acknowledged_and_is_not_there_is_found(
    founded: Founded,
) -> None:
    """Its id is named."""
    async with connected(founded.database.owner) as owner:
        lost = UUID(int=7)
        assert await faults(owner, [lost]) == [f"I11: {lost} vanished"]

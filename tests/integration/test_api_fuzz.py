"""The api keeps its OpenAPI document whatever it is sent, and the books hold whatever it is asked.

A seed that found something is kept in ``SEEDS``; each finding has a test of its own beside.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.testing.api_fuzzer import fuzz, with_known_values
from tests.testing.books import contents, faults
from tests.testing.exchange import exchange
from tests.testing.nightly import repetitions
from tests.testing.venue_harness import HANGS_AFTER_S, Founded, connected, heartbeat, venue_process

pytestmark = pytest.mark.integration
CUSTOMERS = "tests.testing.fuzz_as_customers"
STRANGERS = "tests.testing.fuzz_as_strangers"
SEEDS = repetitions([(20250221, 20), (1, 200), (2, 200)], keep=1)
OF_STRANGERS = repetitions([(20250221, 4), (1, 200), (2, 200)], keep=1)
"""Seeds, and how many requests of each operation are drawn with them."""
_DONE = """
    select (select count(*) from withdrawals where state = 'reserved') as reserved,
           (select count(*) from withdrawals where state = 'voided') as voided,
           (select count(*) from withdrawals where network <> source_network) as transferred,
           (select count(*) from swaps) as swapped, (select count(*) from tickets) as tickets,
           (select count(*) from listings) as listed, (select count(*) from bids) as bid,
           (select count(*) from bids where state <> 'open') as ended"""


@pytest.fixture
async def document(founded: Founded) -> AsyncIterator[dict[str, Any]]:
    """What the api serves as its document, while all that it needs is alive."""
    async with exchange(founded.policy) as url:
        sides = founded.config.exchange.model_copy(update={"primary": url, "standby": url})
        config = founded.config.model_copy(update={"exchange": sides})
        founded.config_path.write_text(config.model_dump_json(), encoding="utf-8")
        async with (
            heartbeat(founded.database.owner),
            venue_process("api", founded.config_path, founded.database),
            httpx.AsyncClient(base_url=config.api_url, timeout=HANGS_AFTER_S) as http,
        ):
            served: dict[str, Any] = (await http.get("/openapi.json")).json()
            yield served


@pytest.mark.parametrize(("seed", "cases"), SEEDS)
async def test_the_api_is_as_its_document_says(
    document: dict[str, Any], founded: Founded, tmp_path: Path, seed: int, cases: int
) -> None:
    """Requests as the document wants them, and others, of customers: also the books hold."""
    said = await fuzz(
        document,
        url=founded.config.api_url,
        hooks=CUSTOMERS,
        seed=seed,
        cases=cases,
        mode="all",
        folder=tmp_path,
    )
    assert "Tested: 15\n" in said, said
    async with connected(founded.database.owner) as owner:
        assert await faults(owner) == []


@pytest.mark.parametrize(("seed", "cases"), SEEDS)
async def test_the_books_hold_whatever_customers_ask_for(
    document: dict[str, Any], founded: Founded, tmp_path: Path, seed: int, cases: int
) -> None:
    """Requests that name what the venue has move money, and the ledger explains all of it."""
    said = await fuzz(
        with_known_values(document, founded.policy),
        url=founded.config.api_url,
        hooks=CUSTOMERS,
        seed=seed,
        cases=cases,
        mode="positive",
        folder=tmp_path,
    )
    async with connected(founded.database.owner) as owner:
        assert await faults(owner) == []
        done = await owner.fetchrow(_DONE)
    assert done is not None
    assert min(done.values()) > 0, f"nothing of some kind was done: {dict(done)}\n{said}"


@pytest.mark.parametrize(("seed", "cases"), OF_STRANGERS)
async def test_who_has_no_key_is_told_so_and_changes_nothing(
    document: dict[str, Any], founded: Founded, tmp_path: Path, seed: int, cases: int
) -> None:
    """Not a row of any table, whether the requests are right or wrong in all else."""
    async with connected(founded.database.owner) as owner:
        before = await contents(owner)
        await fuzz(
            document,
            url=founded.config.api_url,
            hooks=STRANGERS,
            seed=seed,
            cases=cases,
            mode="all",
            folder=tmp_path,
        )
        assert await contents(owner) == before

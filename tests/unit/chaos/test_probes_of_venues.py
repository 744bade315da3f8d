"""The steady state of a venue that speaks otherwise, or does not offer all of the contract."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from chaos import probes
from seawall.cache import repository_root
from seawall.errors import UsageError
from seawall.formats.drill_contract import VenueClient, load_adapter
from seawall.policy_file import load_policy
from tests.testing.deployments import write_deployment
from tests.testing.fake_venue import KEY, FakeVenue
from tests.testing.mappings import write_mapping

POLICY = repository_root() / "policies" / "sandbox.yaml"


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeVenue]:
    """Makes the probes ask a venue of the user's own, whose mapping file is changed as given."""

    def make(**changes: Any) -> FakeVenue:
        venue = FakeVenue(dialect="own")
        given = {"assets.aster": {"USDX": "usdx-on-aster"}}
        speaks = str(write_mapping(tmp_path, given | changes))
        customers = tmp_path / "mine.csv"
        rows = "".join(f"c-{number},{KEY},aster,USDX,90000000\n" for number in (1, 2, 3))
        customers.write_text("customer_id,api_key,network,asset,amount\n" + rows)
        path = write_deployment(tmp_path, customers=str(customers), venue={"speaks": speaks})
        monkeypatch.setenv("SEAWALL_DEPLOYMENT", str(path))
        monkeypatch.setenv("SEAWALL_POLICY", str(POLICY))
        adapter = load_adapter(speaks, policy=load_policy(POLICY))

        def call(_: object, question: Callable[[VenueClient], Awaitable[Any]]) -> Any:
            async def asked() -> Any:
                transport = httpx.ASGITransport(venue.app)
                async with httpx.AsyncClient(transport=transport, base_url="http://v") as http:
                    return await question(VenueClient(http, adapter))

            return asyncio.run(asked())

        monkeypatch.setattr(probes, "_call_venue", call)
        return venue

    return make


def test_a_customer_of_a_venue_of_ones_own_logs_in(ask: Callable[..., FakeVenue]) -> None:
    venue = ask()
    assert probes.api_answers() is True
    assert venue.requests == ["POST /sessions"]


def test_without_a_login_the_balances_or_the_status_show_that_the_api_answers(
    ask: Callable[..., FakeVenue],
) -> None:
    key = {"credential": {"header": "Authorization", "value": "{credential}"}}
    venue = ask(**key, **{"operations.login": None})
    assert probes.api_answers() is False  # it wants a session, so the customer is refused
    assert venue.requests == ["GET /wallet"]
    left_out = {"operations.login": None, "operations.balances": None}
    venue = ask(**key, **left_out)
    assert probes.api_answers() is True
    assert venue.requests == ["GET /service"]


def test_promises_that_a_venue_does_not_make_are_not_compared(
    ask: Callable[..., FakeVenue],
) -> None:
    ask()
    assert probes.status_reachable() is True


def test_a_small_withdrawal_is_followed_by_the_venues_id_until_it_is_posted(
    ask: Callable[..., FakeVenue],
) -> None:
    venue = ask(states={"queued": "reserved", "sent": "posted"})
    assert probes.withdrawal_completes() is True
    assert venue.left == 89_000_000
    assert venue.requests[-1] == "GET /payouts/1"


def test_without_balances_the_list_says_what_there_is(ask: Callable[..., FakeVenue]) -> None:
    states = {"states": {"queued": "reserved", "sent": "posted"}}
    venue = ask(**states, **{"operations.balances": None})
    assert probes.withdrawal_completes() is True
    assert "GET /wallet" not in venue.requests


def test_what_the_venue_does_not_offer_cannot_be_observed(ask: Callable[..., FakeVenue]) -> None:
    """An error, not a steady state and not its absence."""
    ask(**{"operations.follow_withdrawal": None, "operations.status": None})
    with pytest.raises(UsageError, match="offers no follow_withdrawal"):
        probes.withdrawal_completes()
    with pytest.raises(UsageError, match="offers no status"):
        probes.status_reachable()

"""Providers as processes: an id is one payout, whoever asks at once, and whatever is killed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from seawall.formats.payout_rail import Instruction
from tests.testing.providers import ACCOUNT, CLOSED_ACCOUNT, Provider, running

ADDRESS = "0x" + "ab" * 20


@pytest.fixture(params=["processor", "exchange"])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Provider]:
    made = Provider(module=request.param, name="meridian", folder=tmp_path / "provider")
    with running(made):
        yield made


def _instruction(provider: Provider, client_id: str) -> Instruction:
    to = ACCOUNT if provider.module == "processor" else ADDRESS
    return Instruction(client_id=client_id, asset="USDX", amount="5", destination=to)


def test_identical_requests_at_once_are_one_payout(provider: Provider) -> None:
    """Over connections of their own: one is new, all others are told the same."""
    asked = _instruction(provider, "a")
    with ThreadPoolExecutor(max_workers=8) as pool:
        answers = list(pool.map(provider.submit, [asked] * 8))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    other = provider.submit(asked.model_copy(update={"amount": "6"}))
    assert (other.status_code, other.json()["code"]) == (409, "id_reused")
    provider.until_settled(1)
    states = [line.payout.state for line in provider.lines()]
    assert states == ["accepted", "settled"]


def test_what_was_answered_survives_a_kill(provider: Provider) -> None:
    """A payout, and a cancellation: the same ids have the same outcome afterwards."""
    asked, never = _instruction(provider, "a"), _instruction(provider, "b")
    assert provider.submit(asked).status_code == 201
    assert provider.ask("POST", "/payouts/b/cancel").status_code == 200
    provider.kill()
    provider.start()
    assert provider.submit(asked).status_code == 200
    assert provider.submit(never).status_code == 410
    provider.until_settled(1)
    assert provider.paid() == [("a", "5", asked.destination)]


def test_a_closed_account_is_paid_back(tmp_path: Path) -> None:
    with running(made := Provider(module="processor", name="cordwain", folder=tmp_path / "made")):
        asked = _instruction(made, "a").model_copy(update={"destination": CLOSED_ACCOUNT})
        assert made.submit(asked).status_code == 201
        made.until_settled(1)
        assert made.paid() == []


def test_an_exchange_that_pays_quotes_as_well(tmp_path: Path) -> None:
    """Prices need no credential; payouts do."""
    with running(made := Provider(module="exchange", name="meridian", folder=tmp_path / "made")):
        assert made.ask("GET", "/price?sell=AST&buy=USDX").status_code == 200
        assert made.ask("GET", "/payouts/a").status_code == 404

"""``seawall contract verify`` names each way in which a venue can break the contract."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from seawall.cli import app as command_line
from seawall.contract_verify import Limits, OperationResult, Verification, nobodys_address
from seawall.formats.customers import Account
from seawall.formats.drill_contract import ContractAdapter, Credentials, VenueAdapter, VenueClient
from seawall.policy_file import load_policy
from tests.testing.deployments import urls, write_deployment
from tests.testing.fake_venue import KEY, VICES, FakeVenue
from tests.testing.mappings import mapped

POLICY = load_policy(Path("policies/sandbox.yaml"))
QUICK = Limits(answer_s=0.2, settled_s=0.1, look_every_s=0.02)
OWN_POOLS: dict[str, object] = {"assets.aster": {"USDX": "usdx-on-aster"}}


async def _verify(
    venue: FakeVenue, *, adapter: VenueAdapter | None = None, read_only: bool = False
) -> dict[str, OperationResult]:
    account = Account(
        customer=Credentials(customer_id="c-1", credential=KEY),
        balances={("aster", "USDX"): 90_000_000},
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(venue.app), base_url="http://venue"
    ) as http:
        results = await Verification(
            client=VenueClient(http, adapter or ContractAdapter()),
            policy=POLICY,
            account=account,
            destination=nobodys_address(),
            read_only=read_only,
            limits=QUICK,
        ).run()
    return {tried.operation: tried for tried in results}


async def test_a_venue_that_keeps_the_contract_works_and_pays_one_small_sum() -> None:
    venue = FakeVenue()
    found = await _verify(venue)
    assert {name: tried.result for name, tried in found.items()} == {
        "login": "works",
        "balances": "works",
        "request_withdrawal": "works",
        "follow_withdrawal": "works",
        "cancel_withdrawal": "works",
        "quote": "works",
        "swap": "not tried",
        "status": "works",
        "ticket": "not tried",
    }
    assert len(venue.made) == 1
    assert 90_000_000 - venue.left == 1_000_000  # one USDX
    assert "the balance went down once" in found["request_withdrawal"].reason


async def test_a_venue_of_ones_own_is_verified_in_its_own_words(tmp_path: Path) -> None:
    venue = FakeVenue(dialect="own")
    found = await _verify(venue, adapter=mapped(tmp_path, OWN_POOLS))
    assert {name: tried.result for name, tried in found.items()} == {
        "login": "works",
        "balances": "works",
        "request_withdrawal": "works",
        "follow_withdrawal": "works",
        "cancel_withdrawal": "not offered",
        "quote": "not offered",
        "swap": "not offered",
        "status": "works",
        "ticket": "not offered",
    }
    assert venue.left == 89_000_000


@pytest.mark.parametrize("dialect", ["contract", "own"])
async def test_reading_only_moves_no_money(tmp_path: Path, dialect: str) -> None:
    venue = FakeVenue(dialect=dialect)
    adapter = mapped(tmp_path, OWN_POOLS) if dialect == "own" else None
    found = await _verify(venue, adapter=adapter, read_only=True)
    assert found["request_withdrawal"].result == "not tried"
    assert found["follow_withdrawal"].result == "works"
    assert not venue.made
    posted = {asked for asked in venue.requests if asked.startswith("POST")}
    assert {asked.rpartition("/")[2] for asked in posted} <= {"login", "sessions", "cancel"}


COMPLAINTS = {
    "nonsense": ("status", "outside the contract (200)"),
    "html": ("balances", "outside the contract (200)"),
    "hangs": ("login", "it hangs: there was no whole answer within 0.2 s"),
    "redirects": ("request_withdrawal", "redirect (307) to http://elsewhere/"),
    "pays twice": ("request_withdrawal", "accepts a withdrawal twice"),
    "takes from the balance twice": ("request_withdrawal", "went down again"),
    "forgets the amount": ("request_withdrawal", "another amount is accepted"),
    "refuses repetitions": ("request_withdrawal", "sent again is refused (id_reused"),
    "loses it": ("follow_withdrawal", "it loses a withdrawal that it accepted: not_found"),
    "finds anything": ("follow_withdrawal", "finds a withdrawal that nobody made"),
    "takes nothing": ("request_withdrawal", "goes from 90000000 to 90000000 only"),
    "ignores credentials": ("balances", "it ignores a wrong credential"),
    "refuses strangers oddly": ("balances", "refused as not_found and not as unauthorized"),
    "has no word for not found": ("follow_withdrawal", "as unavailable and not as not_found"),
    "calls all repetitions": ("request_withdrawal", "as a repetition of an earlier one"),
    "refuses another amount oddly": ("request_withdrawal", "as over_limit and not as id_reused"),
    "shows a balance twice": ("balances", "shows USDX on aster twice"),
    "answers about another": ("follow_withdrawal", "answered about another withdrawal"),
}


@pytest.mark.parametrize("vice", VICES)
async def test_each_vice_is_named_at_the_operation_that_has_it(vice: str) -> None:
    operation, complaint = COMPLAINTS[vice]
    tried = (await _verify(FakeVenue(vice)))[operation]
    assert tried.result == "broken"
    assert complaint in tried.reason
    assert tried.reason.isprintable()


@pytest.mark.parametrize(
    ("vice", "operation", "complaint"),
    [
        ("pays twice", "request_withdrawal", "accepts a withdrawal twice"),
        ("forgets the amount", "request_withdrawal", "another amount is accepted"),
        ("loses it", "follow_withdrawal", "loses a withdrawal"),
        ("finds anything", "follow_withdrawal", "nobody made"),
        ("ignores credentials", "login", "ignores a wrong credential"),
        ("html", "status", "not with JSON"),
        ("nonsense", "balances", "POST /sessions was answered with 200, and it has no token"),
    ],
)
async def test_a_venue_of_ones_own_with_a_vice_is_named_too(
    tmp_path: Path, vice: str, operation: str, complaint: str
) -> None:
    venue = FakeVenue(vice, dialect="own")
    tried = (await _verify(venue, adapter=mapped(tmp_path, OWN_POOLS)))[operation]
    assert tried.result == "broken"
    assert complaint in tried.reason


async def test_the_same_number_is_as_good_as_the_word_for_a_repetition(tmp_path: Path) -> None:
    """A venue that answers a repetition as it did the first time tells them apart by its id."""
    changes = OWN_POOLS | {
        "operations.request_withdrawal.replayed": None,
        "operations.request_withdrawal.success": [200, 201],
    }
    found = await _verify(FakeVenue(dialect="own"), adapter=mapped(tmp_path, changes))
    assert found["request_withdrawal"].result == "works"
    assert "it is the same withdrawal" in found["request_withdrawal"].reason
    vicious = FakeVenue("pays twice", dialect="own")
    found = await _verify(vicious, adapter=mapped(tmp_path, changes))
    assert "accepts a withdrawal twice" in found["request_withdrawal"].reason


async def test_what_a_venue_says_is_shown_on_one_line_that_no_terminal_obeys() -> None:
    venue = FakeVenue("refuses repetitions", reason="used\x1b[2J\nup")
    tried = (await _verify(venue))["request_withdrawal"]
    assert "used?[2J up" in tried.reason


@pytest.fixture
def serving() -> Iterator[tuple[FakeVenue, str]]:
    """A venue on a port of its own."""
    venue = FakeVenue()
    server = uvicorn.Server(
        uvicorn.Config(venue.app, port=0, log_level="warning", lifespan="off", ws="none")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield venue, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


def _deployed(folder: Path, url: str, **changes: Any) -> list[str]:
    customers = folder / "customers.csv"
    rows = "".join(f"c-{number},{KEY},aster,USDX,90000000\n" for number in (1, 2, 3))
    customers.write_text("customer_id,api_key,network,asset,amount\n" + rows)
    path = write_deployment(folder, urls=urls(api=url), customers=str(customers), **changes)
    return ["contract", "verify", "--deployment", str(path)]


def test_the_exit_code_says_whether_all_that_is_offered_works(
    tmp_path: Path, serving: tuple[FakeVenue, str], capsys: pytest.CaptureFixture[str]
) -> None:
    venue, url = serving
    arguments = _deployed(tmp_path, url)
    assert command_line.main([*arguments, "--read-only", "--json"]) == 0
    assert '"ok": true' in capsys.readouterr().out
    venue.vice = "html"
    assert command_line.main([*arguments, "--read-only"]) == 1
    said = capsys.readouterr().out
    assert "broken" in said
    assert "[red]" in said  # shown, and not obeyed
    assert "\x1b" not in said


def test_it_says_which_drills_and_claims_the_deployment_allows(
    tmp_path: Path, serving: tuple[FakeVenue, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A venue that can only be spoken to has nothing outside it that shows its payouts."""
    arguments = [*_deployed(tmp_path, serving[1]), "--read-only"]
    assert command_line.main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    offered = {row["kind"]: row["offered"] for row in found["evidence"]}
    assert (offered["metrics"], offered["payouts"]) == ("yes", "no")
    drills = {row["drill"]: row for row in found["drills"]}
    assert drills["calm"]["can_pass"] == "no"
    assert "evidence: payouts" in drills["calm"]["missing"]
    assert "names no such process" in drills["api-killed"]["missing"]
    assert command_line.main(arguments) == 0
    assert "are seen nowhere" in capsys.readouterr().out


def test_what_cannot_be_asked_has_a_code_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """4: nothing listens; 3: the file, the adapter or the list of customers is wrong."""
    arguments = _deployed(tmp_path, "http://127.0.0.1:1")
    assert command_line.main(arguments) == 4
    assert "the venue cannot be reached at http://127.0.0.1:1" in capsys.readouterr().err
    arguments = _deployed(tmp_path, "http://127.0.0.1:1", venue={"speaks": "klingon"})
    assert command_line.main(arguments) == 3
    assert "nothing that the kit can read" in capsys.readouterr().err
    production = {"kind": "production", "kill_switch": {"file": "/x"}}
    assert command_line.main(_deployed(tmp_path, "http://127.0.0.1:1", **production)) == 3
    assert "has no approval" in capsys.readouterr().err
    reading = [*_deployed(tmp_path, "http://127.0.0.1:1", **production), "--read-only"]
    assert command_line.main(reading) == 4

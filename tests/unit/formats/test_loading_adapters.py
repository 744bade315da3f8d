"""Which adapter ``venue.speaks`` names, and what a class of one's own may get wrong."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from seawall.cache import repository_root
from seawall.errors import ServiceError, UsageError
from seawall.formats.deployment import load_deployment
from seawall.formats.drill_contract import (
    ContractAdapter,
    Credentials,
    Login,
    Refusal,
    Status,
    VenueClient,
    Withdrawal,
    load_adapter,
)
from tests.testing.mappings import CUSTOMER

WITHDRAWAL = {"id": "1", "network": "n", "asset": "a", "amount": "5", "destination": "d"}


def _documented() -> str:
    text = (repository_root() / "docs" / "speaking.md").read_text(encoding="utf-8")
    return text.split("```python\n", 1)[1].split("```", 1)[0]


def _own(folder: Path, source: str) -> str:
    path = folder / "own_venue.py"
    path.write_text(source)
    return f"{path}:Venue"


def test_the_class_of_the_documentation_is_whole(tmp_path: Path) -> None:
    adapter = load_adapter(_own(tmp_path, _documented()))
    assert (adapter.needs_session, adapter.transfers) == (False, False)
    request = adapter.request("request_withdrawal", WITHDRAWAL, customer=CUSTOMER)
    assert (request.method, request.target, request.body) == (
        "POST",
        "/out",
        b'{"ref": "1", "base_units": 5}',
    )
    assert adapter.answer("follow_withdrawal", 200, {}, b'{"done": true}') == Withdrawal(
        state="posted"
    )
    missing = adapter.answer("follow_withdrawal", 404, {}, b'{"why": "gone"}')
    assert missing == Refusal(code="not_found", reason="gone")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("class Venue", "class Other", "has no class Venue"),
        ("def answer", "def reply", "has no answer"),
        ('"follow_withdrawal"}', '"levitate"}', "operations that are none: levitate"),
        ("import json", "import nothing_like_it", "cannot be loaded: ModuleNotFoundError"),
        ("class Venue:", "class Venue:\n    def __init__(self, url): pass", "without arguments"),
        ("frozenset({", "0 or ({", None),
    ],
)
def test_a_class_that_is_not_whole_is_refused(
    tmp_path: Path, old: str, new: str, complaint: str | None
) -> None:
    speaks = _own(tmp_path, _documented().replace(old, new))
    if complaint is None:
        load_adapter(speaks)
        return
    with pytest.raises(UsageError, match=complaint):
        load_adapter(speaks)


@pytest.mark.parametrize(
    ("speaks", "complaint"),
    [
        ("", "nothing that the kit can read"),
        ("http", "nothing that the kit can read"),
        ("mapping.yml.txt", "nothing that the kit can read"),
        (":Venue", "nothing that the kit can read"),
        ("seawall_none:Venue", "cannot be loaded: ModuleNotFoundError"),
        ("/none/own.py:Venue", "there is no file"),
    ],
)
def test_what_names_no_adapter_is_refused(speaks: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        load_adapter(speaks)


def test_what_a_class_gets_wrong_is_an_error_that_names_it(tmp_path: Path) -> None:
    adapter = load_adapter(_own(tmp_path, _documented()))
    with pytest.raises(ServiceError, match=r"own_venue.py:Venue broke .* 200 .*KeyError: 'done'"):
        adapter.answer("follow_withdrawal", 200, {}, b"{}")
    with pytest.raises(ServiceError, match="JSONDecodeError"):
        adapter.answer("follow_withdrawal", 200, {}, b"<html>")
    with pytest.raises(UsageError, match="broke on a request for request_withdrawal: KeyError"):
        adapter.request("request_withdrawal", {}, customer=CUSTOMER)
    wrong = load_adapter(_own(tmp_path, _documented().replace('outcome="accepted"', "5")))
    with pytest.raises(ServiceError, match="broke on the answer"):
        wrong.answer("request_withdrawal", 200, {}, b"{}")
    other = _documented().replace("return WithdrawalReceipt(", "return dict(")
    with pytest.raises(ServiceError, match="made a dict of the answer 200"):
        load_adapter(_own(tmp_path, other)).answer("request_withdrawal", 200, {}, b"{}")
    relative = load_adapter(_own(tmp_path, _documented().replace('path="/out"', 'path="out"')))
    with pytest.raises(UsageError, match="no HttpRequest with a path"):
        relative.request("request_withdrawal", WITHDRAWAL, customer=CUSTOMER)


def test_a_path_in_the_deployment_file_is_relative_to_it(tmp_path: Path) -> None:
    for speaks in ("own.py:Venue", "mapping.yml"):
        (tmp_path / "d.yaml").write_text(
            "{kind: staging, stack: s, data_dir: ., policy: p, urls: {api: 'http://v'},"
            f" venue: {{speaks: '{speaks}'}}}}"
        )
        assert load_deployment(tmp_path / "d.yaml").venue.speaks == str(tmp_path / speaks)


def test_the_contract_says_the_key_and_takes_one_status_of_success() -> None:
    adapter = load_adapter("contract")
    assert isinstance(adapter, ContractAdapter)
    request = adapter.request("request_withdrawal", WITHDRAWAL, customer=CUSTOMER)
    assert (request.method, request.target) == ("POST", "/v1/withdrawals")
    assert request.headers["authorization"] == "Bearer s3cret"
    assert "s3cret" not in repr(request)
    assert "s3cret" not in repr(CUSTOMER)
    with pytest.raises(UsageError, match="in the name of a customer"):
        adapter.request("balances", {}, customer=None)
    for status, body, complaint in (
        (200, b'{"outcome": "accepted"}', "outside the contract .200."),
        (202, b"{}", "outside the contract .202."),
        (202, b'{"code": "suspended", "reason": "x"}', "outside the contract"),
        (200, b'{"code": "suspended", "reason": "x"}', "outside the contract"),
        (307, b"", "redirect .307. to /there, which is never followed"),
    ):
        with pytest.raises(ServiceError, match=complaint):
            adapter.answer("request_withdrawal", status, {"location": "/there"}, body)


@pytest.mark.parametrize(("operation", "status"), [("quote", 200), ("swap", 201), ("ticket", 201)])
def test_an_answer_that_says_nothing_is_no_answer(operation: str, status: int) -> None:
    """A venue need not say all, but an empty object is what any server may send."""
    with pytest.raises(ServiceError, match="outside the contract"):
        ContractAdapter().answer(operation, status, {}, b"{}")


def _client(handler: httpx.MockTransport, speaks: str) -> VenueClient:
    http = httpx.AsyncClient(transport=handler, base_url="http://venue/api/")
    return VenueClient(http, load_adapter(speaks))


SESSIONS = """
from seawall.formats.drill_contract import HttpRequest, Login, Balances, Refusal, Status
class Venue:
    operations = frozenset({"login", "balances", "status"})
    needs_session = True
    def request(self, operation, values, *, customer, session=None, venue_id=None):
        return HttpRequest(method="GET", path="/" + operation, headers={"x": session or ""})
    def answer(self, operation, status, headers, body):
        if status == 401:
            return Refusal(code="unauthorized", reason="who?")
        if operation == "login":
            return Login(session=body.decode())
        return Balances(balances=())
"""


async def test_a_customer_logs_in_once_and_once_more_if_the_session_is_worn_out(
    tmp_path: Path,
) -> None:
    asked: list[str] = []
    valid = "s1"

    def venue(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if request.url.path.endswith("login"):
            return httpx.Response(200, text=valid)
        return httpx.Response(200 if request.headers["x"] == valid else 401)

    client = _client(httpx.MockTransport(venue), _own(tmp_path, SESSIONS))
    for _ in range(2):
        assert not isinstance(await client.balances(CUSTOMER), Refusal)
    assert asked == ["/api/login", "/api/balances", "/api/balances"]
    other = Credentials(customer_id="c-2", credential="x")
    assert not isinstance(await client.balances(other), Refusal)
    assert asked.count("/api/login") == 2
    valid = "s2"
    assert not isinstance(await client.balances(CUSTOMER), Refusal)
    assert asked[-3:] == ["/api/balances", "/api/login", "/api/balances"]


async def test_a_customer_that_stays_unauthorized_logs_in_only_once_more(tmp_path: Path) -> None:
    asked: list[str] = []

    def venue(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200 if request.url.path.endswith("login") else 401, text="s")

    client = _client(httpx.MockTransport(venue), _own(tmp_path, SESSIONS))
    assert isinstance(await client.balances(CUSTOMER), Refusal)
    assert asked.count("/api/login") == 2
    assert asked.count("/api/balances") == 2


async def test_no_redirect_is_followed_and_another_message_is_an_error(tmp_path: Path) -> None:
    seen: list[str] = []

    def venue(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        return httpx.Response(302, headers={"location": "http://venue/api/elsewhere"})

    client = _client(httpx.MockTransport(venue), "contract")
    with pytest.raises(ServiceError, match="redirect"):
        await client.login(CUSTOMER)
    assert seen == ["/api/v1/login"]
    with pytest.raises(ServiceError, match="made a Balances of the answer 302 to status"):
        await _client(httpx.MockTransport(venue), _own(tmp_path, SESSIONS)).status()
    assert Status(tier="normal").epoch is None
    assert Login(session="s").customer_id is None

"""A provider pays an instruction once per client id, also across a restart of its process."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sandbox.counterparties import processor
from sandbox.counterparties.paying import PayingDesk
from sandbox.counterparties.payouts import BankHours, PayoutBook, Terms, terms_of
from sandbox.http1 import Message
from seawall.conventions.signing import fingerprint
from seawall.errors import ExitCode
from seawall.formats.payout_rail import Instruction, Payout, Refusal
from seawall.policy import Policy
from seawall.policy_file import load_policy

ROOT = Path(__file__).resolve().parents[3]
ACCOUNT, CLOSED = "GB00HARBOUR00000001", "GB00CLOSED00000001"
FUNDING = 200_000 * 10**6
FRIDAY_NOON = 1_795_176_000.0  # 2026-11-20 12:00 UTC
HOUR = 3_600.0


def asked(client_id: str = "a", *, amount: int = 5, to: str = ACCOUNT) -> Instruction:
    return Instruction(client_id=client_id, asset="USDX", amount=str(amount), destination=to)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy(ROOT / "policies" / "sandbox.yaml")


@pytest.fixture
def terms(policy: Policy) -> Terms:
    return terms_of(policy, policy.rails["fiat"], settles_after_s=2.0)


@pytest.fixture
def opened(tmp_path: Path, terms: Terms) -> Iterator[Callable[..., PayoutBook]]:
    """Opens the book anew, as a process does that starts."""
    books: list[PayoutBook] = []

    def anew(**changes: Any) -> PayoutBook:
        book = PayoutBook(tmp_path / "payouts.sqlite", dataclasses.replace(terms, **changes))
        books.append(book)
        return book

    yield anew
    for book in books:
        book.close()


def states(book: PayoutBook) -> list[tuple[str, str]]:
    lines = book.statement(after=0).lines
    assert [line.n for line in lines] == list(range(1, len(lines) + 1))
    return [(line.payout.client_id, line.payout.state) for line in lines]


def code(found: object) -> str:
    assert isinstance(found, Refusal), found
    return found.code


def test_a_replay_is_the_first_payout_also_after_a_restart(
    opened: Callable[..., PayoutBook],
) -> None:
    """One line of the statement, and the money leaves once."""
    first = Payout(client_id="a", state="accepted", instruction=asked())
    assert opened().submit(asked(), now=1.0) == (first, True)
    again = opened()
    assert again.submit(asked(), now=2.0) == (first, False)
    assert again.settle(now=3.0) == 1
    settled = first.model_copy(update={"state": "settled"})
    assert opened().submit(asked(), now=9.0) == (settled, False)
    assert states(again) == [("a", "accepted"), ("a", "settled")]
    assert again.available() == {"USDX": FUNDING - 5}


@pytest.mark.parametrize(
    "other", [asked(amount=6), asked(to="GB00HARBOUR00000002")], ids=["amount", "destination"]
)
def test_other_content_under_a_known_id_is_refused(
    opened: Callable[..., PayoutBook], other: Instruction
) -> None:
    book = opened()
    book.submit(asked(), now=1.0)
    assert code(book.submit(other, now=1.0)) == "id_reused"
    assert states(book) == [("a", "accepted")]


def test_a_cancelled_id_is_never_paid(opened: Callable[..., PayoutBook]) -> None:
    """Neither by an instruction that comes late, nor after a restart."""
    book = opened()
    assert code(book.find("a")) == "unknown_id"
    for _ in range(2):
        assert book.cancel("a", now=1.0) == Payout(
            client_id="a", state="cancelled", instruction=None
        )
    assert code(book.submit(asked(), now=2.0)) == "cancelled"
    assert code(opened().submit(asked(), now=2.0)) == "cancelled"
    assert states(book) == [("a", "cancelled")]
    assert book.available() == {"USDX": FUNDING}


def test_what_was_accepted_cannot_be_cancelled(opened: Callable[..., PayoutBook]) -> None:
    """Neither before nor after it is settled: the answer says what it is instead."""
    book = opened()
    book.submit(asked(), now=1.0)
    refused = book.cancel("a", now=1.0)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.payout) == ("too_late", book.find("a"))
    book.settle(now=9.0)
    assert code(book.cancel("a", now=9.0)) == "too_late"


def test_a_closed_account_returns_the_money(opened: Callable[..., PayoutBook]) -> None:
    """Only when it is due, with a reason."""
    book = opened()
    book.submit(asked(to=CLOSED), now=1.0)
    assert (book.settle(now=2.9), book.available()["USDX"]) == (0, FUNDING - 5)
    assert (book.settle(now=3.0), book.available()["USDX"]) == (1, FUNDING)
    found = book.find("a")
    assert isinstance(found, Payout)
    assert (found.state, found.reason) == ("returned", "There is no such account.")


@pytest.mark.parametrize(
    ("instruction", "refusal"),
    [
        (Instruction(client_id="a", asset="AST", amount="1", destination=ACCOUNT), "unknown_asset"),
        (asked(to="0x" + "ab" * 20), "bad_destination"),
        (asked(amount=50_000 * 10**6 + 1), "over_limit"),
    ],
)
def test_what_is_refused_is_not_known(
    opened: Callable[..., PayoutBook], instruction: Instruction, refusal: str
) -> None:
    """So a mended instruction may have the same id."""
    book = opened()
    assert code(book.submit(instruction, now=1.0)) == refusal
    assert code(book.find("a")) == "unknown_id"
    assert isinstance(book.submit(asked(), now=1.0), tuple)


def test_funds_and_credit_are_all_that_is_paid(opened: Callable[..., PayoutBook]) -> None:
    """A returned payout makes room again."""
    book = opened(funding={"USDX": 10}, credit_micro=3)
    book.submit(asked("a", amount=9, to=CLOSED), now=1.0)
    assert code(book.submit(asked("b"), now=1.0)) == "insufficient_funds"
    assert isinstance(book.submit(asked("c", amount=4), now=1.0), tuple)
    assert book.available() == {"USDX": -3}
    book.settle(now=9.0)
    assert isinstance(book.submit(asked("b"), now=9.0), tuple)


def test_two_identical_requests_at_once_are_one_payout(
    opened: Callable[..., PayoutBook], tmp_path: Path, terms: Terms
) -> None:
    """Also of two processes with one file: the second waits, and replays."""
    opened()
    both = threading.Barrier(2)

    def submit() -> bool:
        book = PayoutBook(tmp_path / "payouts.sqlite", terms)
        both.wait(timeout=30)
        taken = book.submit(asked(), now=1.0)
        book.close()
        assert isinstance(taken, tuple)
        return taken[1]

    with ThreadPoolExecutor(max_workers=2) as pool:
        news = [pool.submit(submit) for _ in range(2)]
        assert sorted(each.result(timeout=60) for each in news) == [False, True]
    assert states(opened()) == [("a", "accepted")]


def test_a_change_is_whole_or_not_at_all(opened: Callable[..., PayoutBook], tmp_path: Path) -> None:
    """The line of the statement and the payout are one transaction."""
    book = opened()
    with sqlite3.connect(tmp_path / "payouts.sqlite") as other:
        other.execute(
            "create trigger broken before insert on lines begin select raise(abort, 'x'); end"
        )
    with pytest.raises(sqlite3.IntegrityError):
        book.submit(asked(), now=1.0)
    assert code(book.find("a")) == "unknown_id"
    assert book.available() == {"USDX": FUNDING}


@pytest.mark.parametrize(
    ("at", "opens_in_h"),
    [
        (FRIDAY_NOON, 0),
        (FRIDAY_NOON - 6 * HOUR, 1),
        (FRIDAY_NOON + 6 * HOUR, 61),  # from 18:00 on Friday to 7:00 on Monday
        (FRIDAY_NOON + 24 * HOUR, 43),
    ],
)
def test_banks_settle_in_their_hours(at: float, opens_in_h: int) -> None:
    hours = BankHours(opens=7, closes=18, weekdays=(0, 1, 2, 3, 4))
    assert hours.next_open(at) == at + opens_in_h * HOUR


def test_a_payout_waits_for_the_bank(opened: Callable[..., PayoutBook]) -> None:
    """It is accepted at night and settled in the morning."""
    book = opened(hours=BankHours(opens=13, closes=14))
    book.submit(asked(), now=FRIDAY_NOON)
    assert book.settle(now=FRIDAY_NOON + HOUR - 1) == 0
    assert book.settle(now=FRIDAY_NOON + HOUR) == 1


@pytest.mark.parametrize("hours", [{"opens": 5, "closes": 5}, {"closes": 25}, {"weekdays": (7,)}])
def test_hours_in_which_no_bank_opens_are_refused(hours: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no bank is open"):
        BankHours(**hours)


class Desk:
    """Asks a desk as the payer, unless said otherwise."""

    def __init__(self, book: PayoutBook) -> None:
        callers = {"payer": fingerprint("pay"), "reader": fingerprint("read")}
        self._desk = PayingDesk(name="cordwain", book=book, callers=callers)  # type: ignore[arg-type]

    def __call__(
        self, method: str, target: str, body: object = None, *, shows: str = "pay"
    ) -> tuple[int, Any]:
        """Status and document."""
        request = Message(
            start=(method, target, "HTTP/1.1"),
            headers={"authorization": f"Bearer {shows}"},
            body=json.dumps(body).encode(),
            raw=b"",
        )
        status, answer = self._desk.answer(request, now=1.0)
        return status, json.loads(answer)


def test_requests_and_their_answers(opened: Callable[..., PayoutBook]) -> None:
    """The statuses of the format, each with what it says."""
    desk = Desk(opened())
    payout = asked().model_dump()
    assert desk("GET", "/payouts/a")[1]["code"] == "unknown_id"
    assert [desk("POST", "/payouts", payout)[0] for _ in range(2)] == [201, 200]
    assert desk("POST", "/payouts", payout | {"amount": "6"})[0] == 409
    assert desk("POST", "/payouts", payout | {"amount": "0"})[1]["code"] == "malformed"
    assert desk("POST", "/payouts/a/cancel")[1]["payout"]["state"] == "accepted"
    assert desk("POST", "/payouts/b/cancel") == (
        200,
        {"client_id": "b", "state": "cancelled", "instruction": None, "reason": None},
    )
    assert desk("POST", "/payouts", payout | {"client_id": "b"})[0] == 410
    assert desk("GET", "/payouts/a") == (
        200,
        {"client_id": "a", "state": "accepted", "instruction": payout, "reason": None},
    )
    assert [line["n"] for line in desk("GET", "/statement?after=1")[1]["lines"]] == [2]
    assert desk("GET", "/statement?after=x")[0] == 400
    assert desk("GET", "/balances") == (200, {"available": {"USDX": str(FUNDING - 5)}})
    assert desk("GET", "/health")[0] == 200
    assert desk("GET", "/elsewhere")[0] == 404


def test_a_reader_may_only_read(opened: Callable[..., PayoutBook]) -> None:
    """And a stranger nothing at all."""
    desk = Desk(opened())
    for target in ("/statement", "/balances", "/health"):
        assert desk("GET", target, shows="read")[0] == 200
        assert desk("GET", target, shows="stranger")[0] == 401
    assert desk("POST", "/payouts", asked().model_dump(), shows="read")[0] == 401
    assert desk("POST", "/payouts/a/cancel", shows="read")[0] == 401
    assert desk("GET", "/payouts/a", shows="read")[0] == 401


def test_a_long_statement_comes_in_parts(opened: Callable[..., PayoutBook]) -> None:
    book = opened()
    for number in range(501):
        book.cancel(f"c-{number}", now=1.0)
    first = book.statement(after=0)
    rest = book.statement(after=first.lines[-1].n)
    assert (len(first.lines), first.more, len(rest.lines), rest.more) == (500, True, 1, False)


def test_a_processor_without_its_credentials_does_not_start(
    capsys: pytest.CaptureFixture[str],
) -> None:
    policy = str(ROOT / "policies" / "sandbox.yaml")
    arguments = ["--name", "cordwain", "--policy", policy, "--port", "9"]
    assert processor.main(arguments) == ExitCode.USAGE
    assert "--payer-sha256" in capsys.readouterr().err

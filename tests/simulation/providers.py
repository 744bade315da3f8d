"""The simulated providers of a rail: the sandbox's own desks and books, behind a bad line.

Each request arrives or not, whatever becomes of who sent it, and so does its answer. A provider can
be restored to a backup while it is dark: what it then takes, it pays again.
"""

from __future__ import annotations

import asyncio
import json as encoding
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import httpx

from sandbox.counterparties.paying import PayingDesk
from sandbox.counterparties.payouts import BankHours, PayoutBook, Terms
from sandbox.http1 import Message
from seawall.conventions.signing import authorization, fingerprint
from seawall.formats.payout_rail import STATUS_OF, Instruction, Refusal, Statement
from tests.simulation.nodes import Answer
from tests.simulation.processes import Life, pass_through, running
from tests.simulation.trace import Trace

PAYER = "what-the-payer-shows"
_HEADERS = {name.lower(): value for name, value in authorization(PAYER).items()}
_NOTHING: Mapping[str, int] = {}
_ALL = 10**9
_TAKEN, _OK = 201, 200
Dark = Literal["all", "payouts", "statement"]
_NONSENSE = (
    Answer(status_code=500, content=b"<html>"),
    Answer(status_code=200, content=b"{}"),
    Answer(status_code=503, content=b""),
    Answer(status_code=401, content=b'{"code": "unauthorized", "reason": "Who are you?"}'),
    Answer(
        status_code=200,
        content=b'{"client_id": "another", "state": "cancelled", "instruction": null}',
    ),
)


@dataclass(frozen=True, kw_only=True)
class ShortDays(BankHours):
    """A bank that is open for the first ``open_s`` of every ``day_s``; a run sees several days.

    ``closed`` is called when a payout has to wait for the next one.
    """

    open_s: float
    day_s: float
    closed: Callable[[], object]

    def next_open(self, at: float) -> float:
        """The first instant from ``at`` on at which it is open."""
        within = at % self.day_s
        if within < self.open_s:
            return at
        self.closed()
        return at - within + self.day_s


@dataclass(kw_only=True)
class Line:
    """What goes wrong on the way to a provider, as chances per request."""

    lost: float = 0.0
    unheard: float = 0.0
    hangs: float = 0.0
    nonsense: float = 0.0
    slow: float = 0.0


@dataclass(kw_only=True)
class SimulatedProvider:
    """One provider of a rail.

    Attributes:
        side: Which of the two.
        terms: What was agreed on.
        now_s: Its clock.
        line: What goes wrong on the way to it.
        dark: What of it does not answer, if anything.
        poor: Whether it says that it has no money.
        stands_at: Its statement shows no line after this one.
        page: Lines of its statement that it shows at a time.
        taken: What it has taken as new, in order: an id that is there twice is paid twice.
        missed: Processes that it has not answered since it went dark.
    """

    side: str
    terms: Terms
    now_s: Callable[[], float]
    trace: Trace
    line: Line = field(default_factory=Line)
    dark: Dark | None = None
    poor: bool = False
    stands_at: int = _ALL
    page: int = _ALL
    taken: list[Instruction] = field(default_factory=list)
    missed: dict[Life, None] = field(default_factory=dict)
    incarnation: int = 0
    book: PayoutBook = field(init=False)
    _true: PayoutBook = field(init=False)
    _served: list[PayoutBook] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.book = self._true = self._opened()
        self._served.append(self.book)

    def _opened(self) -> PayoutBook:
        book = PayoutBook(Path(":memory:"), self.terms)
        self._desk = PayingDesk(name=self.side, book=book, callers={"payer": fingerprint(PAYER)})
        return book

    # Its books.

    def backup(self) -> PayoutBook:
        """Its book as it is now, to be restored from."""
        desk, book = self._desk, self._opened()
        self._desk = desk
        self._true._database.backup(book._database)
        return book

    def forget(self, backup: PayoutBook) -> None:
        """Go on from ``backup``; what is on its way to it is lost."""
        self._serve(backup)

    def remember(self) -> None:
        """Its true book is found again."""
        if self.forgetful:
            self._serve(self._true)

    @property
    def forgetful(self) -> bool:
        """Whether it goes on from a backup."""
        return self.book is not self._true

    def _serve(self, book: PayoutBook) -> None:
        self.book, self.incarnation = book, self.incarnation + 1
        if not any(each is book for each in self._served):
            self._served.append(book)
        self._desk = replace(self._desk, book=book)

    def settle(self) -> None:
        """Settle what is due, by whichever book it has."""
        self.book.settle(now=self.now_s())

    def lines(self) -> list[tuple[int, str, str]]:
        """Its true statement: number, id and state."""
        rows = self._true._database.execute("select n, client_id, state from lines order by n")
        return [(row["n"], row["client_id"], row["state"]) for row in rows]

    def states(self) -> dict[str, str]:
        """What has become of each id, by any book it ever had; what one has settled is paid."""
        found: dict[str, str] = {}
        for book in self._served:
            for row in book._database.execute("select client_id, state from payouts"):
                if found.get(row["client_id"]) != "settled":
                    found[row["client_id"]] = row["state"]
        return found

    def available(self) -> dict[str, int]:
        """What is left of the venue's money by asset."""
        return self._true.available()

    # Its desk.

    def answers(self, path: str) -> bool:
        """Whether it answers what goes there at all."""
        statement = path.startswith(("/statement", "/balances"))
        return self.dark is None or (self.dark != "all" and (self.dark == "statement") != statement)

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        """What it says, and does."""
        if self.poor and (method, path) == ("POST", "/payouts"):
            asked = Instruction.model_validate_json(body)
            if isinstance(self.book.find(asked.client_id), Refusal):
                self.trace.reach("rail: insufficient_funds")
                poor = Refusal(code="insufficient_funds", reason="There is no money.")
                status = STATUS_OF[poor.code]
                return Answer(status_code=status, content=poor.model_dump_json().encode())
        if path == "/balances" and self.poor:
            return Answer(status_code=_OK, content=b'{"available": {}}')
        request = Message(start=(method, path, ""), headers=_HEADERS, body=body, raw=body)
        status, content = self._desk.answer(request, now=self.now_s())
        if method == "POST":
            self._note(path, status, body, content)
        elif path.startswith("/statement") and min(self.stands_at, self.page) < _ALL:
            content = self._shown(content)
        return Answer(status_code=status, content=content)

    def _note(self, path: str, status: int, body: bytes, content: bytes) -> None:
        if status not in (_OK, _TAKEN):
            self.trace.reach(f"rail: {encoding.loads(content)['code']}")
        elif status == _TAKEN:
            asked = Instruction.model_validate_json(body)
            self.taken.append(asked)
            self.trace.note(f"the {self.side} takes", asked.client_id)
        else:
            self.trace.note(f"the {self.side} answers", path)

    def _shown(self, content: bytes) -> bytes:
        """Its statement, as far as it shows it now."""
        whole = Statement.model_validate_json(content)
        seen = tuple(line for line in whole.lines if line.n <= self.stands_at)
        page = seen[: self.page]
        if len(seen) < len(whole.lines):
            self.trace.reach("fault: statement of a rail late")
        if len(page) < len(seen):
            self.trace.reach("fault: statement of a rail in pages")
        return Statement(lines=page, more=len(page) < len(seen)).model_dump_json().encode()


@dataclass(kw_only=True)
class Wire:
    """Asks the providers, as httpx does, by the URL of their side."""

    providers: Mapping[str, SimulatedProvider]
    draw: Callable[[], float]
    trace: Trace

    async def request(
        self,
        method: str,
        url: str,
        *,
        json: Any = None,
        headers: Mapping[str, str] = _NOTHING,  # type: ignore[assignment]
        timeout: float | None = None,  # noqa: ASYNC109 - httpx's
    ) -> Answer:
        """Send a request and wait for its answer, for ever if need be."""
        del headers, timeout
        await pass_through()
        side, _, path = re.sub("^http://", "", url).partition("/")
        provider, loop = self.providers[side], asyncio.get_running_loop()
        answered: asyncio.Future[Answer] = loop.create_future()
        body = b"" if json is None else encoding.dumps(json).encode()
        request, life = (method, f"/{path}", body), running.get()
        if not provider.answers(request[1]) and life is not None:
            provider.missed[life] = None
        if self._happens(provider.line.lost):
            self.trace.reach("fault: request to a rail lost")
            if self.draw() < 0.5:
                loop.call_later(self._way_s(provider), self._fail, answered)
        else:
            way_s = self._way_s(provider)
            if self._happens(provider.line.hangs):
                self.trace.reach("fault: request to a rail hangs")
                way_s += 1 + 9 * self.draw()
            arriving = (provider, provider.incarnation, request, answered)
            loop.call_later(way_s, self._arrive, *arriving)
        answer = await answered
        await pass_through()
        return answer

    def _happens(self, chance: float) -> bool:
        return chance > 0 and self.draw() < chance

    def _way_s(self, provider: SimulatedProvider) -> float:
        way_s = 0.002 + 0.02 * self.draw()
        return way_s + 0.8 * self.draw() if self._happens(provider.line.slow) else way_s

    def _arrive(
        self,
        provider: SimulatedProvider,
        incarnation: int,
        request: tuple[str, str, bytes],
        answered: asyncio.Future[Answer],
    ) -> None:
        if incarnation != provider.incarnation or not provider.answers(request[1]):
            if incarnation != provider.incarnation or self.draw() < 0.3:
                self._fail(answered)
            return
        if self._happens(provider.line.nonsense):
            self.trace.reach("fault: nonsense of a rail")
            if self.draw() < 0.5:
                provider.answer(*request)
            answer = _NONSENSE[int(self.draw() * len(_NONSENSE))]
        else:
            answer = provider.answer(*request)
        if self._happens(provider.line.unheard):
            self.trace.reach("fault: answer of a rail lost")
            return
        way_s, loop = self._way_s(provider), asyncio.get_running_loop()
        loop.call_later(way_s, self._deliver, answered, answer)

    @staticmethod
    def _deliver(answered: asyncio.Future[Answer], answer: Answer) -> None:
        if not answered.done():
            answered.set_result(answer)

    @staticmethod
    def _fail(answered: asyncio.Future[Answer]) -> None:
        if not answered.done():
            answered.set_exception(httpx.ReadError("the connection was lost"))

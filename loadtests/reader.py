"""Sends what customers look at in a flood, and says whether each answer was right.

A read has no second chance: a login, a balance or a status that does not come, or is not what was
asked for, is of no use to the customer who waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from geventhttpclient.response import HTTPParseError

from loadtests.arrivals import Arrival
from loadtests.reads import PlannedRead
from loadtests.results import ReadResult
from loadtests.venue import UNAUTHORIZED, Sessions, Venue, Zero
from seawall.conventions.reads import ANSWERED, FOLLOW_READ
from seawall.errors import ServiceError, UsageError
from seawall.formats.drill_contract import (
    Balances,
    Credentials,
    Login,
    Message,
    Refusal,
    Status,
    VenueAdapter,
    Withdrawal,
)

NOT_ACKNOWLEDGED = "not acknowledged"
"""Why a look at a withdrawal was not sent: the venue had not acknowledged that by then."""


@dataclass(frozen=True, kw_only=True)
class ReadAnswer:
    """What came of one read; ``length`` of the answer in bytes, ``session`` of a login."""

    status: int
    outcome: str
    error: str
    length: int = 0
    session: str = ""


class Reader:
    """Sends the reads of one worker, each in the name of its customer.

    Args:
        venue: Offers the operations of all reads.
        customers: Credentials by customer id.
        sessions: Of the customers, for a venue that needs them.
        arrivals: The worker's own withdrawals, which the reads belong to.
        worker: Name of this worker in the results.
        on_result: Gets each result and the length of its answer in bytes.
        on_missed: Gets the index of each read that was not sent, and why.
    """

    def __init__(
        self,
        *,
        venue: Venue,
        customers: Mapping[str, Credentials],
        sessions: Sessions,
        arrivals: Sequence[Arrival],
        worker: str,
        on_result: Callable[[ReadResult, int], None],
        on_missed: Callable[[int, str], None],
    ) -> None:
        self._venue = venue
        self._customers = customers
        self._sessions = sessions
        self._ids = {arrival.index: arrival.id for arrival in arrivals}
        self._worker = worker
        self._on_result = on_result
        self._on_missed = on_missed
        self._venue_ids: dict[int, str] = {}

    def acknowledged(self, arrival: Arrival, *, venue_id: str) -> None:
        """Take note of a withdrawal that can be followed, and of the venue's own name of it."""
        self._venue_ids[arrival.index] = venue_id

    def missed(self, read: PlannedRead, reason: str) -> None:
        """Report a read that was not sent."""
        self._on_missed(read.index, reason)

    def send(self, read: PlannedRead, zero: Zero) -> None:
        """Send ``read`` and report what came of it; it belongs into a greenlet of its own."""
        if read.operation == FOLLOW_READ and read.request not in self._venue_ids:
            self.missed(read, NOT_ACKNOWLEDGED)
            return
        sent = time.monotonic()
        answer = self._log_in(read) if read.operation == "login" else self._look(read)
        done = time.monotonic()
        self._on_result(
            ReadResult(
                index=read.index,
                operation=read.operation,
                planned_at=zero.planned_at(read.offset_us),
                sent_at=zero.wall(sent),
                done_at=zero.wall(done),
                status=answer.status,
                outcome=answer.outcome,
                error=answer.error,
                worker=self._worker,
            ),
            answer.length,
        )

    def _log_in(self, read: PlannedRead) -> ReadAnswer:
        customer = self._customers[read.customer_id]
        with self._sessions.lock_of(customer):  # a login may end the session that others use
            answer = self._exchange(read, session=None)
            if answer.outcome == ANSWERED:
                self._sessions.opened(customer, answer.session)
        return answer

    def _look(self, read: PlannedRead) -> ReadAnswer:
        """The answer in the customer's session; with a new one, once, if that is worn out."""
        customer = self._customers[read.customer_id]
        try:
            session = self._sessions.of(customer)
            answer = self._exchange(read, session=session)
            if session is not None and answer.error == UNAUTHORIZED:
                answer = self._exchange(read, session=self._sessions.of(customer, worn_out=session))
        except ServiceError as error:
            return ReadAnswer(status=0, outcome="failed", error=f"no session: {error}")
        return answer

    def _exchange(self, read: PlannedRead, *, session: str | None) -> ReadAnswer:
        identity = self._ids[read.request]
        follows = read.operation == FOLLOW_READ
        try:
            request = self._venue.adapter.request(
                read.operation,
                {"id": identity} if follows else {},
                customer=None if read.operation == "status" else self._customers[read.customer_id],
                session=session,
                venue_id=(self._venue_ids[read.request] or None) if follows else None,
            )
            status, headers, body = self._venue.send(self._venue.prepared(request, session=session))
        except UsageError as error:
            return ReadAnswer(status=0, outcome="failed", error=f"it cannot be asked: {error}")
        except (OSError, HTTPParseError) as error:  # also timeouts, refused and closed connections
            return ReadAnswer(status=0, outcome="failed", error=type(error).__name__)
        return interpret(
            self._venue.adapter, read, identity=identity, status=status, headers=headers, body=body
        )


def interpret(
    adapter: VenueAdapter,
    read: PlannedRead,
    *,
    identity: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
) -> ReadAnswer:
    """What an answer to ``read`` is worth; ``identity`` is the id of the withdrawal it is about.

    One that the adapter does not understand is a failure, and one that says something else than
    what was asked for is wrong: neither is ever taken for an answer.
    """
    try:
        message = adapter.answer(read.operation, status, headers, body)
    except ServiceError:
        error = f"unexpected answer {status}"
        return ReadAnswer(status=status, outcome="failed", error=error, length=len(body))
    if isinstance(message, Refusal):
        return ReadAnswer(status=status, outcome="refused", error=message.code, length=len(body))
    fault = _fault_of(message, read, identity=identity, needs_session=adapter.needs_session)
    return ReadAnswer(
        status=status,
        outcome=ANSWERED if fault is None else "wrong",
        error=fault or "",
        length=len(body),
        session=message.session if isinstance(message, Login) else "",
    )


def _fault_of(
    message: Message, read: PlannedRead, *, identity: str, needs_session: bool
) -> str | None:
    """Why ``message`` is no right answer to ``read``; None if it is one."""
    match read.operation, message:
        case "login", Login(session=session):
            if needs_session and not session:
                return "a login without a session"
        case "balances", Balances(balances=listed):
            named = {(balance.network, balance.asset) for balance in listed}
            if missing := [pool for pool in read.names if pool not in named]:
                return f"balances without {' '.join('/'.join(pool) for pool in missing)}"
        case "status", Status():
            return None
        case "follow_withdrawal", Withdrawal(id=whose):
            if whose is not None and str(whose) != identity:
                return "another withdrawal"
        case _:
            return f"a {type(message).__name__}"
    return None

"""One worker's part of a flood: sends each request and each read at its planned instant.

The load model is open: a slow venue delays no request, because each one has a greenlet of its own.
Latency counts from the planned instant. What cannot be sent in time is missed and reported, and not
sent in a bunch with what comes later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import gevent
from gevent.pool import Pool
from geventhttpclient.response import HTTPParseError

from loadtests.arrivals import MICROSECONDS, Arrival
from loadtests.reader import Reader
from loadtests.reads import PlannedRead
from loadtests.results import ACKNOWLEDGED, Outcome, RequestResult
from loadtests.venue import UNAUTHORIZED, Prepared, Sessions, Venue, Zero
from seawall.errors import ServiceError
from seawall.formats.drill_contract import (
    WITHDRAW,
    Credentials,
    Refusal,
    VenueAdapter,
    WithdrawalReceipt,
)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of a sender.

    Attributes:
        inflight_max: Requests in flight at once.
        timeout_s: How long to wait for a connection or an answer.
        late_ms_max: How late an arrival may still be sent.
    """

    inflight_max: int
    timeout_s: float
    late_ms_max: float


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to one request; ``length`` in bytes.

    ``venue_id`` is the venue's own name of the withdrawal, if it gave one.
    """

    status: int
    outcome: Outcome
    error: str
    length: int
    venue_id: str = ""


@dataclass(frozen=True, slots=True)
class _Due:
    """Something to send: when after the zero, how, and whom to tell if it is missed."""

    offset_us: int
    send: Callable[[], None]
    missed: Callable[[str], None]


class Sender:
    """Sends arrivals to a venue, and what their customers look at besides.

    Args:
        venue: Asked over as many connections as ``limits`` allow requests in flight.
        customers: Credentials by customer id.
        limits: Of requests, waiting and lateness.
        worker: Name of this worker in the results.
        on_result: Gets each result and the length of its answer in bytes.
        on_missed: Gets the index of each arrival that was not sent, and why.
        sessions: Of the customers, for a venue that needs them; none is open if left out.
        reader: Sends the reads; without one there are none.
    """

    def __init__(
        self,
        *,
        venue: Venue,
        customers: Mapping[str, Credentials],
        limits: Limits,
        worker: str,
        on_result: Callable[[RequestResult, int], None],
        on_missed: Callable[[int, str], None],
        sessions: Sessions | None = None,
        reader: Reader | None = None,
    ) -> None:
        self._venue = venue
        self._customers = customers
        self._limits = limits
        self._worker = worker
        self._on_result = on_result
        self._on_missed = on_missed
        self._sessions = Sessions(venue) if sessions is None else sessions
        self._reader = reader
        self._ahead_s: float | None = None

    def now(self) -> float:
        """Unix seconds by the clock that stamps this worker's requests.

        That is the wall clock, and from the zero on the steady one, which began with it.
        """
        return time.time() if self._ahead_s is None else time.monotonic() + self._ahead_s

    def send_all(
        self, arrivals: Sequence[Arrival], *, t_zero: float, reads: Sequence[PlannedRead] = ()
    ) -> None:
        """Send all of them, and return when each is answered or has timed out.

        Args:
            arrivals: In order of time.
            t_zero: The planned zero in Unix seconds.
            reads: In order of time; each belongs to one of ``arrivals``.
        """
        # Requests are timed by the monotonic clock, so that a correction of the wall clock moves
        # none.
        self._ahead_s = time.time() - time.monotonic()
        zero = Zero(at=t_zero, steady=t_zero - self._ahead_s)
        everything = [self._due(arrival, zero) for arrival in arrivals]
        if self._reader is not None:
            everything += [_due_read(self._reader, read, zero) for read in reads]
        everything.sort(key=lambda each: each.offset_us)
        pool = Pool(self._limits.inflight_max)
        for each in everything:
            due = zero.steady + each.offset_us / MICROSECONDS
            while (ahead := due - time.monotonic()) > 0:
                gevent.sleep(ahead)
            if -ahead * 1_000 > self._limits.late_ms_max:
                each.missed("late")
            elif pool.full():
                each.missed("in flight")
            else:
                pool.spawn(each.send)
        pool.join()

    def _due(self, arrival: Arrival, zero: Zero) -> _Due:
        return _Due(
            arrival.offset_us,
            partial(self._send, arrival, self._request(arrival), zero),
            partial(self._on_missed, arrival.index),
        )

    def _request(self, arrival: Arrival) -> Prepared:
        customer = self._customers[arrival.customer_id]
        values = {
            "id": arrival.id,
            "network": arrival.network,
            "asset": arrival.asset,
            "amount": str(arrival.amount),
            "destination": arrival.destination,
        }
        if arrival.source_network:
            values["source_network"] = arrival.source_network
        session = self._sessions.of(customer)
        made = self._venue.adapter.request(WITHDRAW, values, customer=customer, session=session)
        return self._venue.prepared(made, session=session)

    def _send(self, arrival: Arrival, request: Prepared, zero: Zero) -> None:
        if request.session is not None:
            request = self._renewed(arrival, request)
        sent = time.monotonic()
        answer = self._post(request)
        if answer.error == UNAUTHORIZED and request.session is not None:
            answer = self._again(arrival, answer, used=request.session)
        done = time.monotonic()
        if self._reader is not None and answer.outcome in ACKNOWLEDGED:
            self._reader.acknowledged(arrival, venue_id=answer.venue_id)
        self._on_result(
            RequestResult(
                index=arrival.index,
                planned_at=zero.planned_at(arrival.offset_us),
                sent_at=zero.wall(sent),
                done_at=zero.wall(done),
                status=answer.status,
                outcome=answer.outcome,
                error=answer.error,
                worker=self._worker,
                venue_id=answer.venue_id,
            ),
            answer.length,
        )

    def _post(self, request: Prepared) -> Answer:
        try:
            status, headers, body = self._venue.send(request)
        except (OSError, HTTPParseError) as error:  # also timeouts, refused and closed connections
            return Answer(status=0, outcome="failed", error=type(error).__name__, length=0)
        return interpret(self._venue.adapter, status, headers, body)

    def _renewed(self, arrival: Arrival, request: Prepared) -> Prepared:
        """``request`` with the session that is open now, if it is another one by now."""
        current = self._sessions.known.get(arrival.customer_id)
        return request if current in (None, request.session) else self._request(arrival)

    def _again(self, arrival: Arrival, refused: Answer, *, used: str) -> Answer:
        """The answer with a new session, once: the old one is worn out."""
        customer = self._customers[arrival.customer_id]
        try:
            self._sessions.of(customer, worn_out=used)
        except ServiceError:
            return refused
        return self._post(self._request(arrival))


def _due_read(reader: Reader, read: PlannedRead, zero: Zero) -> _Due:
    return _Due(read.offset_us, partial(reader.send, read, zero), partial(reader.missed, read))


def interpret(
    adapter: VenueAdapter, status: int, headers: Mapping[str, str], body: bytes
) -> Answer:
    """What an answer to a withdrawal means.

    One that the adapter does not understand is a failure, never an acknowledgement.
    """
    try:
        message = adapter.answer(WITHDRAW, status, headers, body)
    except ServiceError:
        message = None
    match message:
        case WithdrawalReceipt():
            return Answer(
                status=status,
                outcome=message.outcome,
                error="",
                length=len(body),
                venue_id=message.venue_id or "",
            )
        case Refusal():
            return Answer(status=status, outcome="refused", error=message.code, length=len(body))
        case _:
            error = f"unexpected answer {status}"
            return Answer(status=status, outcome="failed", error=error, length=len(body))

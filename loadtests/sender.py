"""One worker's part of a flood.

Requests leave on their planned instants, however slow the venue is.

The model is open: a greenlet per arrival, latency from the planned instant. An arrival that cannot
leave in time is missed and reported, never bunched with the next ones.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.pool import Pool
from geventhttpclient.client import HTTPClient
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError

from loadtests.arrivals import MICROSECONDS, Arrival
from loadtests.results import ACKNOWLEDGED, Outcome, Sent

PATH = "/v1/withdrawals"
ACCEPTED = 202


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How far a sender goes.

    Requests in flight, seconds to wait for an answer, milliseconds by which an arrival may leave
    late.
    """

    inflight_max: int
    answer_s_max: float
    late_ms_max: float


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back for one request; ``length`` in bytes."""

    status: int
    outcome: Outcome
    error: str
    length: int


class Sender:
    """Sends its arrivals to ``url`` and hands every result to ``on_sent``, every missed index to
    ``on_missed``.
    """

    def __init__(
        self,
        *,
        url: str,
        keys: dict[int, str],
        limits: Limits,
        worker: str,
        on_sent: Callable[[Sent, int], None],
        on_missed: Callable[[int, str], None],
    ) -> None:
        self._keys = keys
        self._limits = limits
        self._worker = worker
        self._on_sent = on_sent
        self._on_missed = on_missed
        self._client = HTTPClient.from_url(
            url,
            concurrency=limits.inflight_max,
            connection_timeout=limits.answer_s_max,
            network_timeout=limits.answer_s_max,
        )

    def send_all(self, arrivals: Sequence[Arrival], *, t_zero: float) -> None:
        """Send ``arrivals`` around the planned zero (Unix seconds) and return when every answer is
        in or given up.
        """
        # Dispatch runs on the monotonic clock, so that a correction of the wall clock moves no
        # request.
        zero = time.monotonic() + (t_zero - time.time())
        requests = [(arrival, *self._request(arrival)) for arrival in arrivals]
        pool = Pool(self._limits.inflight_max)
        for arrival, body, headers in requests:
            due = zero + arrival.offset_us / MICROSECONDS
            while (ahead := due - time.monotonic()) > 0:
                gevent.sleep(ahead)
            if -ahead * 1_000 > self._limits.late_ms_max:
                self._on_missed(arrival.index, "late")
            elif pool.full():
                self._on_missed(arrival.index, "in flight")
            else:
                pool.spawn(self._send, arrival, body, headers, t_zero=t_zero, zero=zero)
        pool.join()

    def _request(self, arrival: Arrival) -> tuple[bytes, dict[str, str]]:
        body = {
            "id": arrival.id,
            "network": arrival.network,
            "asset": arrival.asset,
            "amount": str(arrival.amount),
            "destination": arrival.destination,
        }
        headers = {
            "Authorization": f"Bearer {self._keys[arrival.customer_id]}",
            "Content-Type": "application/json",
        }
        return json.dumps(body, separators=(",", ":")).encode(), headers

    def _send(
        self, arrival: Arrival, body: bytes, headers: dict[str, str], *, t_zero: float, zero: float
    ) -> None:
        left = time.monotonic()
        answer = self._post(body, headers)
        done = time.monotonic()
        self._on_sent(
            Sent(
                index=arrival.index,
                planned_at=t_zero + arrival.offset_us / MICROSECONDS,
                sent_at=t_zero + (left - zero),
                done_at=t_zero + (done - zero),
                status=answer.status,
                outcome=answer.outcome,
                error=answer.error,
                worker=self._worker,
            ),
            answer.length,
        )

    def _post(self, body: bytes, headers: dict[str, str]) -> Answer:
        try:
            try:
                return self._exchange(body, headers)
            except (HTTPConnectionClosed, ConnectionResetError, BrokenPipeError):
                # An idle connection that the venue closes as we write says nothing about it; the id
                # makes sending again safe.
                return self._exchange(body, headers)
        except (
            OSError,
            HTTPParseError,
        ) as error:  # includes timeouts and refused or closed connections
            return Answer(status=0, outcome="failed", error=type(error).__name__, length=0)

    def _exchange(self, body: bytes, headers: dict[str, str]) -> Answer:
        response = self._client.request("POST", PATH, body, headers)
        return judged(response.status_code, bytes(response.read()))


def judged(status: int, text: bytes) -> Answer:
    """What an answer means under the drill contract.

    One that does not parse is a failure, never an acknowledgement.
    """
    try:
        parsed: Any = json.loads(text)
    except ValueError:
        parsed = None
    told = parsed if isinstance(parsed, dict) else {}
    outcome, code = told.get("outcome"), told.get("code")
    if status == ACCEPTED and isinstance(outcome, str) and outcome in ACKNOWLEDGED:
        return Answer(
            status=status,
            outcome="accepted" if outcome == "accepted" else "replayed",
            error="",
            length=len(text),
        )
    if isinstance(code, str) and status != ACCEPTED:
        return Answer(status=status, outcome="refused", error=code, length=len(text))
    return Answer(
        status=status, outcome="failed", error=f"unexpected answer {status}", length=len(text)
    )

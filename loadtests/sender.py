"""One worker's part of a flood: sends each request at its planned instant.

The load model is open: a slow venue delays no request, because each arrival has a greenlet of its
own. Latency counts from the planned instant. An
arrival that cannot be sent in time is missed and reported, and not sent in a bunch with later ones.
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
from loadtests.results import ACKNOWLEDGED, Outcome, RequestResult

PATH = "/v1/withdrawals"
ACCEPTED = 202


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
    """The answer to one request; ``length`` in bytes."""

    status: int
    outcome: Outcome
    error: str
    length: int


class Sender:
    """Sends arrivals to the venue at ``url``.

    Args:
        url: Base URL of the venue's api.
        keys: API key by customer id.
        limits: See there.
        worker: Name of this worker in the results.
        on_result: Gets each result and the length of its answer in bytes.
        on_missed: Gets the index of each arrival that was not sent, and why.
    """

    def __init__(
        self,
        *,
        url: str,
        keys: dict[int, str],
        limits: Limits,
        worker: str,
        on_result: Callable[[RequestResult, int], None],
        on_missed: Callable[[int, str], None],
    ) -> None:
        self._keys = keys
        self._limits = limits
        self._worker = worker
        self._on_result = on_result
        self._on_missed = on_missed
        self._client = HTTPClient.from_url(
            url,
            concurrency=limits.inflight_max,
            connection_timeout=limits.timeout_s,
            network_timeout=limits.timeout_s,
        )

    def send_all(self, arrivals: Sequence[Arrival], *, t_zero: float) -> None:
        """Send ``arrivals``, and return when each is answered or has timed out.

        Args:
            arrivals: In order of time.
            t_zero: The planned zero in Unix seconds.
        """
        # Requests are timed by the monotonic clock, so that a correction of the wall clock moves
        # none.
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
        sent = time.monotonic()
        answer = self._post(body, headers)
        done = time.monotonic()
        self._on_result(
            RequestResult(
                index=arrival.index,
                planned_at=t_zero + arrival.offset_us / MICROSECONDS,
                sent_at=t_zero + (sent - zero),
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
                # The venue may close an idle connection just as it is written to, which is no
                # failure. The id makes it safe to send again.
                return self._exchange(body, headers)
        except (OSError, HTTPParseError) as error:  # also timeouts, refused and closed connections
            return Answer(status=0, outcome="failed", error=type(error).__name__, length=0)

    def _exchange(self, body: bytes, headers: dict[str, str]) -> Answer:
        response = self._client.request("POST", PATH, body, headers)
        return interpret(response.status_code, bytes(response.read()))


def interpret(status: int, text: bytes) -> Answer:
    """What an answer means under the drill contract.

    An answer that does not parse is a failure, never an acknowledgement.
    """
    try:
        parsed: Any = json.loads(text)
    except ValueError:
        parsed = None
    body = parsed if isinstance(parsed, dict) else {}
    outcome, code = body.get("outcome"), body.get("code")
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

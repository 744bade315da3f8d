"""The venue as gevent programs reach it: the flood, and what follows its requests afterwards."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import gevent
from gevent.lock import BoundedSemaphore
from gevent.pool import Pool
from geventhttpclient.client import HTTPClient
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError

from loadtests.arrivals import MICROSECONDS
from seawall.errors import ServiceError
from seawall.formats.drill_contract import (
    Credentials,
    HttpRequest,
    Login,
    Message,
    Refusal,
    VenueAdapter,
)

UNAUTHORIZED = "unauthorized"
LOGINS_AT_ONCE = 32
"""Few enough that logging in is no flood of its own."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request as it is sent, worked out beforehand; ``session`` is the one that it carries."""

    method: str
    target: str
    body: bytes
    headers: dict[str, str]
    session: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Zero:
    """The planned zero by two clocks: ``at`` in Unix seconds, ``steady`` by the monotonic one."""

    at: float
    steady: float

    def planned_at(self, offset_us: int) -> float:
        """The instant so many microseconds after it, in Unix seconds."""
        return self.at + offset_us / MICROSECONDS

    def wall(self, moment: float) -> float:
        """A moment of the monotonic clock in Unix seconds."""
        return self.at + (moment - self.steady)


class LowerCase(Mapping[str, str]):
    """The headers of an answer by their names in lower case, looked up only when asked for."""

    __slots__ = ("_response",)

    def __init__(self, response: Any) -> None:
        self._response = response

    def __getitem__(self, name: str) -> str:
        return str(self._response[name])

    def __iter__(self) -> Iterator[str]:
        return (name.lower() for name, _ in self._response.items())

    def __len__(self) -> int:
        return len(list(self._response.items()))


class Venue:
    """Asks the venue at ``url``, whose path the requests of the adapter are below.

    Args:
        url: Base URL of the venue's api.
        adapter: What it speaks.
        concurrency: Connections at once.
        timeout_s: How long to wait for a connection, and for each part of an answer.
    """

    def __init__(
        self, url: str, adapter: VenueAdapter, *, concurrency: int, timeout_s: float
    ) -> None:
        self.adapter = adapter
        self._below = urlsplit(url).path.rstrip("/")
        self._timeout_s = timeout_s
        self._client = HTTPClient.from_url(
            url, concurrency=concurrency, connection_timeout=timeout_s, network_timeout=timeout_s
        )
        # The client repeats a GET as often as it may have connections, as fast as it can: thousands
        # of times while the venue is down, which keeps it down. `send` repeats once. The pool has
        # counted its connections by now, and nothing else reads this number.
        self._client._connection_pool.size = -1  # noqa: SLF001 - there is no option for it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections."""
        self._client.close()

    def prepared(self, request: HttpRequest, *, session: str | None) -> Prepared:
        """``request``, which carries ``session``, as it is sent to this venue."""
        return Prepared(
            method=request.method,
            target=self._below + request.target,
            body=request.body or b"",
            headers=dict(request.headers),
            session=session,
        )

    def send(self, request: Prepared) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the answer; redirects are not followed.

        Raises OSError (also for time-outs) and HTTPParseError.
        """
        try:
            return self._exchange(request)
        except (HTTPConnectionClosed, ConnectionResetError, BrokenPipeError):
            # The venue may close an idle connection just as it is written to, which is no
            # failure. The id makes it safe to send again.
            return self._exchange(request)

    def _exchange(self, request: Prepared) -> tuple[int, Mapping[str, str], bytes]:
        response = self._client.request(
            request.method, request.target, request.body, request.headers
        )
        return response.status_code, LowerCase(response), bytes(response.read())

    def ask(
        self,
        operation: str,
        values: Mapping[str, str],
        *,
        customer: Credentials,
        session: str | None = None,
        venue_id: str | None = None,
    ) -> Message:
        """The venue's answer, in twice the time-out at most.

        Raises :class:`ServiceError` if there is none, or none that the adapter understands, and
        :class:`UsageError` if the venue cannot be asked this.
        """
        request = self.prepared(
            self.adapter.request(
                operation, values, customer=customer, session=session, venue_id=venue_id
            ),
            session=session,
        )
        try:
            with gevent.Timeout(2 * self._timeout_s, TimeoutError("no whole answer in time")):
                status, headers, body = self.send(request)
        except (OSError, HTTPParseError) as error:
            raise ServiceError(
                f"{request.method} {request.target} was not answered: {type(error).__name__}"
            ) from error
        return self.adapter.answer(operation, status, headers, body)


class Sessions:
    """Sessions by customer, each opened once, and once more when it is worn out.

    A venue that needs none has none.
    """

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._known: dict[str, str] = {}
        self._locks: dict[str, BoundedSemaphore] = {}

    @property
    def known(self) -> Mapping[str, str]:
        """Those that are open, by customer id."""
        return self._known

    def of(self, customer: Credentials, *, worn_out: str | None = None) -> str | None:
        """The customer's session; None if the venue needs none. ``worn_out`` is not valid any more.

        Raises :class:`ServiceError` if the venue does not log the customer in.
        """
        if not self._venue.adapter.needs_session:
            return None
        known = self._known.get(customer.customer_id)
        if known is not None and known != worn_out:
            return known
        with self.lock_of(customer):  # of several that find it worn out, one logs in
            known = self._known.get(customer.customer_id)
            if known is not None and known != worn_out:
                return known
            session = self._log_in(customer)
            self.opened(customer, session)
            return session

    def lock_of(self, customer: Credentials) -> BoundedSemaphore:
        """Who holds it logs the customer in; everybody else waits for the new session."""
        return self._locks.setdefault(customer.customer_id, BoundedSemaphore())

    def opened(self, customer: Credentials, session: str) -> None:
        """Use ``session`` from now on: a login may have ended the customer's earlier one."""
        if self._venue.adapter.needs_session:
            self._known[customer.customer_id] = session

    def _log_in(self, customer: Credentials) -> str:
        answer = self._venue.ask("login", {}, customer=customer)
        if isinstance(answer, Refusal):
            raise ServiceError(
                f"customer {customer.customer_id} cannot log in: {answer.code}, {answer.reason}",
                remedy="see that the list of customers has credentials of this venue",
            )
        if not isinstance(answer, Login) or not answer.session:
            raise ServiceError(f"the login of customer {customer.customer_id} gave no session")
        return answer.session

    def open_all(self, customers: Collection[Credentials], *, within_s: float) -> None:
        """Log all of them in, a few at once.

        Raises :class:`ServiceError` for the first that cannot be, or when the time has passed.
        """
        if not self._venue.adapter.needs_session:
            return
        failures: list[ServiceError] = []

        def one(customer: Credentials) -> None:
            if failures:
                return
            try:
                self.of(customer)
            except ServiceError as error:
                failures.append(error)

        began = time.monotonic()
        pool = Pool(LOGINS_AT_ONCE)
        with gevent.Timeout(within_s, False):
            for customer in customers:
                if failures:
                    break
                pool.spawn(one, customer)
            pool.join()
        pool.kill()
        if failures:
            raise failures[0]
        opened = sum(customer.customer_id in self._known for customer in customers)
        if opened < len(customers):
            raise ServiceError(
                f"only {opened} of {len(customers)} customers were logged in within"
                f" {time.monotonic() - began:.0f} s",
                remedy="a flood begins once all of its customers have a session",
            )

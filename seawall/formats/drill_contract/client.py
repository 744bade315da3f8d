"""The HTTP client of a venue, which probes and experiments use with any adapter."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

import httpx

from seawall.errors import ServiceError
from seawall.formats.drill_contract.adapter import ContractAdapter, Credentials, VenueAdapter
from seawall.formats.drill_contract.messages import (
    Balances,
    Login,
    Message,
    Quote,
    Refusal,
    Status,
    SwapReceipt,
    SwapRequest,
    Ticket,
    TicketRequest,
    Withdrawal,
    WithdrawalReceipt,
    WithdrawalRequest,
)

if TYPE_CHECKING:
    from uuid import UUID

_Answer = TypeVar("_Answer", bound=Message)
UNAUTHORIZED = "unauthorized"


class VenueClient:
    """The operations of the drill contract over ``http``, whose base URL is the venue's.

    A refusal is an answer and is returned. No answer, a late one, or one that the adapter does not
    understand raises :class:`ServiceError`. Redirects are never followed. Where the venue wants a
    session, each customer is logged in once, and once more if the session is not valid any more.

    Args:
        http: Must not follow redirects, which is httpx's default.
        adapter: What the venue speaks; the contract itself by default.
    """

    def __init__(self, http: httpx.AsyncClient, adapter: VenueAdapter | None = None) -> None:
        self._http = http
        self.adapter: VenueAdapter = ContractAdapter() if adapter is None else adapter
        self._sessions: dict[str, str] = {}
        self._logging_in: dict[str, asyncio.Lock] = {}

    async def login(self, customer: Credentials) -> Login | Refusal:
        """Open a session; where the venue wants one, it is used from now on."""
        answer = await self._exchange("login", Login, {}, customer=customer)
        if isinstance(answer, Login) and self.adapter.needs_session:
            self._sessions[customer.customer_id] = answer.session
        return answer

    async def balances(self, customer: Credentials) -> Balances | Refusal:
        """What the customer may still spend."""
        return await self._call("balances", Balances, {}, customer=customer)

    async def withdraw(
        self, customer: Credentials, request: WithdrawalRequest
    ) -> WithdrawalReceipt | Refusal:
        """Request a withdrawal; a receipt means that it is durably reserved."""
        return await self._call(
            "request_withdrawal", WithdrawalReceipt, _values(request), customer=customer
        )

    async def withdrawal(
        self, customer: Credentials, withdrawal_id: UUID, *, venue_id: str | None = None
    ) -> Withdrawal | Refusal:
        """Read the state of a withdrawal; ``venue_id`` is the venue's own name of it."""
        return await self._call(
            "follow_withdrawal",
            Withdrawal,
            {"id": str(withdrawal_id)},
            customer=customer,
            venue_id=venue_id,
        )

    async def cancel(
        self, customer: Credentials, withdrawal_id: UUID, *, venue_id: str | None = None
    ) -> Withdrawal | Refusal:
        """Cancel a withdrawal whose payment has not begun; a repetition is harmless."""
        return await self._call(
            "cancel_withdrawal",
            Withdrawal,
            {"id": str(withdrawal_id)},
            customer=customer,
            venue_id=venue_id,
        )

    async def quote(
        self, customer: Credentials, *, network: str, sell: str, buy: str, amount: str
    ) -> Quote | Refusal:
        """What ``amount`` of ``sell`` would buy now."""
        values = {"network": network, "sell": sell, "buy": buy, "amount": amount}
        return await self._call("quote", Quote, values, customer=customer)

    async def swap(self, customer: Credentials, request: SwapRequest) -> SwapReceipt | Refusal:
        """Exchange one asset for another inside the venue."""
        return await self._call("swap", SwapReceipt, _values(request), customer=customer)

    async def ticket(self, customer: Credentials, request: TicketRequest) -> Ticket | Refusal:
        """Open a support ticket."""
        return await self._call("ticket", Ticket, _values(request), customer=customer)

    async def status(self) -> Status:
        """The mode in force; needs no key and is never refused."""
        answer = await self._exchange("status", Status, {}, customer=None)
        if isinstance(answer, Refusal):
            raise ServiceError(f"the venue refused to give its status: {answer.code}")
        return answer

    async def _call(
        self,
        operation: str,
        expected: type[_Answer],
        values: Mapping[str, str],
        *,
        customer: Credentials,
        venue_id: str | None = None,
    ) -> _Answer | Refusal:
        if not self.adapter.needs_session:
            return await self._exchange(
                operation, expected, values, customer=customer, venue_id=venue_id
            )
        session = await self._session(customer, worn_out=None)
        for last in (False, True):
            if isinstance(session, Refusal):
                return session
            answer = await self._exchange(
                operation, expected, values, customer=customer, session=session, venue_id=venue_id
            )
            if last or not isinstance(answer, Refusal) or answer.code != UNAUTHORIZED:
                return answer
            session = await self._session(customer, worn_out=session)
        raise AssertionError("the second answer was returned")

    async def _session(self, customer: Credentials, *, worn_out: str | None) -> str | Refusal:
        """The customer's session, or why it has none; ``worn_out`` is one that is not valid."""
        lock = self._logging_in.setdefault(customer.customer_id, asyncio.Lock())
        async with lock:  # of several that find it invalid, one logs in
            known = self._sessions.get(customer.customer_id)
            if known is not None and known != worn_out:
                return known
            answer = await self.login(customer)
            if isinstance(answer, Login) and not answer.session:
                raise ServiceError("the venue answered a login without a session")
            return answer if isinstance(answer, Refusal) else answer.session

    async def ask(
        self,
        operation: str,
        values: Mapping[str, str],
        *,
        customer: Credentials | None,
        session: str | None = None,
        venue_id: str | None = None,
    ) -> Message:
        """One request as it is given, in the session that is given: nobody is logged in for it."""
        request = self.adapter.request(
            operation, values, customer=customer, session=session, venue_id=venue_id
        )
        try:
            response = await self._http.request(
                request.method,
                request.path,
                headers=dict(request.headers),
                content=request.body,
                params=dict(request.query) or None,
                follow_redirects=False,
            )
        except httpx.HTTPError as error:
            raise ServiceError(
                f"{request.method} {request.path} was not answered: {error!r}"
            ) from error
        return self.adapter.answer(
            operation, response.status_code, response.headers, response.content
        )

    async def _exchange(
        self,
        operation: str,
        expected: type[_Answer],
        values: Mapping[str, str],
        *,
        customer: Credentials | None,
        session: str | None = None,
        venue_id: str | None = None,
    ) -> _Answer | Refusal:
        answer = await self.ask(
            operation, values, customer=customer, session=session, venue_id=venue_id
        )
        if not isinstance(answer, expected | Refusal):
            raise ServiceError(f"the adapter made a {type(answer).__name__} of a {operation}")
        said = answer.id if isinstance(answer, WithdrawalReceipt | Withdrawal) else None
        if said is not None and str(said) != values.get("id"):
            raise ServiceError(f"the venue answered about another withdrawal, {said}")
        return answer


def _values(request: Message) -> dict[str, str]:
    """The fields of ``request`` that are given, as the texts that an adapter takes."""
    return request.model_dump(mode="json", exclude_none=True)

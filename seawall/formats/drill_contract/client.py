"""The HTTP client of the drill contract, which probes and experiments use with any venue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import httpx
from pydantic import ValidationError

from seawall.errors import ServiceError
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


class VenueClient:
    """The operations of the drill contract over ``http``, whose base URL is the venue's.

    A refusal is an answer and is returned. No answer, a late one, or one that does not follow the
    contract raises :class:`ServiceError`.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def login(self, api_key: str) -> Login | Refusal:
        """Open a session."""
        return await self._call("POST", "/v1/login", Login, api_key)

    async def balances(self, api_key: str) -> Balances | Refusal:
        """What the customer may still spend."""
        return await self._call("GET", "/v1/balances", Balances, api_key)

    async def withdraw(
        self, api_key: str, request: WithdrawalRequest
    ) -> WithdrawalReceipt | Refusal:
        """Request a withdrawal; a receipt means that it is durably reserved."""
        return await self._call("POST", "/v1/withdrawals", WithdrawalReceipt, api_key, body=request)

    async def withdrawal(self, api_key: str, withdrawal_id: UUID) -> Withdrawal | Refusal:
        """Read the state of a withdrawal."""
        return await self._call("GET", f"/v1/withdrawals/{withdrawal_id}", Withdrawal, api_key)

    async def cancel(self, api_key: str, withdrawal_id: UUID) -> Withdrawal | Refusal:
        """Cancel a withdrawal whose payment has not begun; a repetition is harmless."""
        return await self._call(
            "POST", f"/v1/withdrawals/{withdrawal_id}/cancel", Withdrawal, api_key
        )

    async def quote(
        self, api_key: str, *, network: str, sell: str, buy: str, amount: str
    ) -> Quote | Refusal:
        """What ``amount`` of ``sell`` would buy now."""
        query = {"network": network, "sell": sell, "buy": buy, "amount": amount}
        return await self._call("GET", "/v1/quote", Quote, api_key, query=query)

    async def swap(self, api_key: str, request: SwapRequest) -> SwapReceipt | Refusal:
        """Exchange one asset for another inside the venue."""
        return await self._call("POST", "/v1/swaps", SwapReceipt, api_key, body=request)

    async def ticket(self, api_key: str, request: TicketRequest) -> Ticket | Refusal:
        """Open a support ticket."""
        return await self._call("POST", "/v1/tickets", Ticket, api_key, body=request)

    async def status(self) -> Status:
        """The mode in force; needs no key and is never refused."""
        answer = await self._call("GET", "/v1/status", Status, None)
        if isinstance(answer, Refusal):
            raise ServiceError(f"the venue refused to give its status: {answer.code}")
        return answer

    async def _call(
        self,
        method: str,
        path: str,
        expected: type[_Answer],
        api_key: str | None,
        *,
        body: Message | None = None,
        query: dict[str, str] | None = None,
    ) -> _Answer | Refusal:
        headers: dict[str, str] = {} if api_key is None else {"authorization": f"Bearer {api_key}"}
        content: Any = None
        if body is not None:
            headers["content-type"] = "application/json"
            content = body.model_dump_json(exclude_none=True)
        try:
            response = await self._http.request(
                method, path, headers=headers, content=content, params=query
            )
        except httpx.HTTPError as error:
            raise ServiceError(f"{method} {path} was not answered: {error!r}") from error
        kind = expected if response.is_success else Refusal
        try:
            return kind.model_validate_json(response.content)
        except ValidationError as error:
            raise ServiceError(
                f"{method} {path} was answered outside the contract "
                f"({response.status_code}): {error}"
            ) from error

"""What the treasury asks of a custodian, or of a carrier, and which of their answers count.

An answer that does not name the very transfer that was asked about is none, whatever its status:
one that talks nonsense is as silent as one that is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from seawall.controls.timing import CUSTODIAN_TIMEOUT_MS
from seawall.conventions.signing import authorization
from seawall.errors import ServiceError
from seawall.formats.carrier import Carriage, CarriageRequest
from seawall.formats.custody import Condition, Refusal, Transfer, TransferRequest

EXPIRED = "approval_expired"
NEVER: Mapping[str, int] = {
    "unknown_wallet": 422,
    "unknown_asset": 422,
    "bad_request": 422,
    "destination_not_allowed": 403,
    "bad_approval": 403,
    "too_few_approvals": 403,
    EXPIRED: 403,
}
"""Refusals that the same request would meet again, with their status."""
ID_REUSED = "id_reused"
_OF_ASKING = {**NEVER, "incident": 503, ID_REUSED: 409}
_OF_LOOKING = {"not_found": 404}
_Message = TypeVar("_Message", bound=BaseModel)
_Wanted = TypeVar("_Wanted", TransferRequest, CarriageRequest)
_Told = TypeVar("_Told", Transfer, Carriage)


@dataclass(frozen=True, kw_only=True)
class Counterparty(Generic[_Wanted, _Told]):
    """One at ``url``, which knows the venue by ``credential``.

    ``who`` is what people call it, ``shows`` what it tells of a transfer.
    """

    url: str
    credential: str
    client: httpx.AsyncClient
    who: str
    shows: type[_Told]

    async def condition(self) -> Condition:
        """How it is. Raises :class:`ServiceError`."""
        answer = await self._ask("GET", "/v1/condition")
        told = self._read(answer, Condition, {200}, refusals={})
        assert isinstance(told, Condition)  # there are no refusals of this
        return told

    async def ask(self, wanted: _Wanted) -> _Told | Refusal:
        """Have ``wanted`` done, once. Raises :class:`ServiceError` if it is not known whether."""
        answer = await self._ask("POST", "/v1/transfers", content=wanted.model_dump_json())
        return self._about(wanted, self._read(answer, self.shows, {200, 201}, refusals=_OF_ASKING))

    async def find(self, wanted: _Wanted) -> _Told | Refusal:
        """How far ``wanted`` has come, or that it was never asked for.

        Raises :class:`ServiceError`.
        """
        answer = await self._ask("GET", f"/v1/transfers/{wanted.client_id}")
        return self._about(wanted, self._read(answer, self.shows, {200}, refusals=_OF_LOOKING))

    async def _ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            async with asyncio.timeout(CUSTODIAN_TIMEOUT_MS / 1_000):
                return await self.client.request(
                    method,
                    self.url.rstrip("/") + path,
                    headers=authorization(self.credential),
                    timeout=None,  # that above counts, over connecting and the whole answer
                    **arguments,
                )
        except (httpx.HTTPError, TimeoutError) as error:
            raise self._nonsense(f"{method} {path}: {error!r}") from error

    def _read(
        self,
        answer: httpx.Response,
        kind: type[_Message],
        statuses: Collection[int],
        *,
        refusals: Mapping[str, int],
    ) -> _Message | Refusal:
        try:
            if answer.status_code in statuses:
                return kind.model_validate_json(answer.content)
            refusal = Refusal.model_validate_json(answer.content)
        except ValidationError as error:
            raise self._nonsense(f"{answer.status_code} with {answer.content[:80]!r}") from error
        if refusals.get(refusal.code) != answer.status_code:
            raise self._nonsense(f"{answer.status_code} {refusal.code}: {refusal.reason}")
        return refusal

    def _about(self, wanted: _Wanted, told: _Told | Refusal) -> _Told | Refusal:
        names = type(wanted).model_fields.keys() & self.shows.model_fields.keys()
        if isinstance(told, self.shows) and any(
            getattr(told, name) != getattr(wanted, name) for name in names
        ):
            raise self._nonsense(f"of {wanted.client_id} it says {told!r}")
        return told

    def _nonsense(self, what: str) -> ServiceError:
        return ServiceError(f"{self.who} does not answer: {what}")


@dataclass(frozen=True, kw_only=True)
class Custodian(Counterparty[TransferRequest, Transfer]):
    """The custodian of the cold wallets."""

    who: str = "the custodian"
    shows: type[Transfer] = Transfer


@dataclass(frozen=True, kw_only=True)
class Carrier(Counterparty[CarriageRequest, Carriage]):
    """The carrier between the networks."""

    who: str = "the carrier"
    shows: type[Carriage] = Carriage

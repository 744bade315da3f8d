"""What the venue asks of a provider of a rail, and which of its answers count.

An answer that does not name the very instruction that was asked about is none, whatever its status:
a provider that talks nonsense is as silent as one that is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from seawall.controls.timing import RAIL_TIMEOUT_MS
from seawall.conventions.signing import authorization
from seawall.errors import ServiceError
from seawall.formats.payout_rail import (
    STATUS_OF,
    Balances,
    Instruction,
    Payout,
    Refusal,
    RefusalCode,
    Statement,
)

NEVER: tuple[RefusalCode, ...] = ("unknown_asset", "bad_destination", "over_limit")
"""Refusals that the same instruction would meet again."""
_OF_CANCEL: tuple[RefusalCode, ...] = ("too_late",)
_OF_SUBMIT: tuple[RefusalCode, ...] = ("id_reused", "cancelled", "insufficient_funds", *NEVER)
_Message = TypeVar("_Message", bound=BaseModel)


class ShortenedError(ServiceError):
    """A provider's statement does not go on from what was read in it before."""


@dataclass(frozen=True, kw_only=True)
class Provider:
    """The provider of one ``side`` of a rail, at ``url``.

    ``tell`` is called after each request with whether it was answered.
    """

    rail: str
    side: str
    url: str
    credential: str
    client: httpx.AsyncClient
    tell: Callable[[str, bool], None]

    async def submit(self, asked: Instruction) -> Payout | Refusal:
        """Have ``asked`` paid, once. Raises :class:`ServiceError` if it is not known whether."""
        answer = await self._ask("POST", "/payouts", json=asked.model_dump())
        told = self._read(answer, Payout, {200, 201}, refusals=_OF_SUBMIT)
        if isinstance(told, Payout) and (
            told.instruction != asked
            or told.client_id != asked.client_id
            or told.state == "cancelled"
        ):
            raise self._nonsense(f"of {asked.client_id} it says {told!r}")
        if isinstance(told, Refusal) and told.code == "id_reused":
            other = told.payout
            if other is None or other.client_id != asked.client_id or other.instruction == asked:
                raise self._nonsense(f"of {asked.client_id} it says {told!r}")
        return self._answered(told)

    async def balances(self) -> Balances:
        """What it would still pay out, without credit. Raises :class:`ServiceError`."""
        answer = await self._ask("GET", "/balances")
        told = self._read(answer, Balances, {200}, refusals=())
        if isinstance(told, Refusal):
            raise self._nonsense(told.reason)
        return self._answered(told)

    async def cancel(self, client_id: str) -> Payout | Refusal:
        """Use up ``client_id`` if it is not known there. Raises :class:`ServiceError`."""
        answer = await self._ask("POST", f"/payouts/{client_id}/cancel")
        told = self._read(answer, Payout, {200}, refusals=_OF_CANCEL)
        if isinstance(told, Payout) and (told.client_id, told.state) != (client_id, "cancelled"):
            raise self._nonsense(f"of {client_id} it says {told!r}")
        return self._answered(told)

    async def statement(self, *, after: int) -> Statement:
        """The lines after number ``after``, without a gap. Raises :class:`ServiceError`."""
        answer = await self._ask("GET", f"/statement?after={after}")
        told = self._read(answer, Statement, {200}, refusals=())
        if isinstance(told, Refusal):
            raise self._nonsense(told.reason)
        numbers = [line.n for line in told.lines]
        if numbers != list(range(after + 1, after + 1 + len(numbers))) or (
            told.more and not numbers
        ):
            raise self._nonsense(f"after line {after} its statement goes on with {numbers[:3]}")
        return self._answered(told)

    async def _ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            async with asyncio.timeout(RAIL_TIMEOUT_MS / 1_000):
                return await self.client.request(
                    method,
                    self.url + path,
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
        refusals: Collection[RefusalCode],
    ) -> _Message | Refusal:
        try:
            if answer.status_code in statuses:
                return kind.model_validate_json(answer.content)
            refusal = Refusal.model_validate_json(answer.content)
        except ValidationError as error:
            raise self._nonsense(f"{answer.status_code} with {answer.content[:80]!r}") from error
        if refusal.code not in refusals or STATUS_OF[refusal.code] != answer.status_code:
            raise self._nonsense(f"{answer.status_code} {refusal.code}: {refusal.reason}")
        return refusal

    def _answered(self, told: _Message) -> _Message:
        self.tell(self.side, True)
        return told

    def _nonsense(self, what: str) -> ServiceError:
        self.tell(self.side, False)
        return ServiceError(f"the {self.side} provider of {self.rail} does not answer: {what}")

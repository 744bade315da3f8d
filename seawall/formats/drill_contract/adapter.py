"""The translation between the drill contract and what a venue really speaks.

An adapter does no input or output of its own. So the flood (gevent) and the prober (asyncio) share
one, and a test needs no venue. It makes an HTTP request of an operation and its values, and a
message of the contract of an answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol
from urllib.parse import quote, urlencode

from pydantic import ValidationError

from seawall.errors import ServiceError, UsageError
from seawall.formats.drill_contract.messages import Login, Message, Refusal
from seawall.formats.drill_contract.schema import OPERATIONS

_BY_NAME = {operation.name: operation for operation in OPERATIONS}
_SHOWN_MAX = 120
WITHDRAW = "request_withdrawal"
FOLLOW = "follow_withdrawal"


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A customer in whose name a drill acts; ``credential`` is the customer's secret."""

    customer_id: str
    credential: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class HttpRequest:
    """A request to a venue; ``path`` begins with a slash and is below the venue's base URL."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)

    @property
    def target(self) -> str:
        """Path and query, as they stand in the first line of the request."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


class VenueAdapter(Protocol):
    """What a venue speaks.

    Attributes:
        operations: Names of the operations of the contract that the venue has.
        needs_session: Whether a customer must log in first. A client then logs in once for each
            customer, hands the session to :meth:`request`, and logs in again once if it is told
            ``unauthorized``.
        transfers: Whether a withdrawal may name a ``source_network``; a class may leave it out,
            which means no.
    """

    @property
    def operations(self) -> frozenset[str]:
        """As above."""
        ...

    @property
    def needs_session(self) -> bool:
        """As above."""
        ...

    @property
    def transfers(self) -> bool:
        """As above."""
        ...

    def request(
        self,
        operation: str,
        values: Mapping[str, str],
        *,
        customer: Credentials | None,
        session: str | None = None,
        venue_id: str | None = None,
    ) -> HttpRequest:
        """The request for ``operation``.

        Args:
            operation: Its name in the contract.
            values: The fields of the contract's request, amounts in base units; an absent one is
                left out. To follow or cancel a withdrawal: its ``id``.
            customer: Who asks; None for the status, which anyone may ask for.
            session: Of the customer's login, for a venue that needs one.
            venue_id: The venue's own name of the withdrawal, if it gave one.

        Raises :class:`UsageError` if the venue cannot be asked this.
        """
        ...

    def answer(
        self, operation: str, status: int, headers: Mapping[str, str], body: bytes
    ) -> Message:
        """The contract's message for an answer: that of the operation, or a :class:`Refusal`.

        The names in ``headers`` are in lower case. Raises :class:`ServiceError` for an answer that
        is neither: a success without what it must say, a redirect, an unknown word.
        """
        ...


def require_pools(adapter: VenueAdapter, pools: Iterable[tuple[str, str]]) -> None:
    """Require that the venue can be asked for a withdrawal from each of ``pools``.

    They are (network, asset). Raises :class:`UsageError`, before anything is sent.
    """
    if WITHDRAW not in adapter.operations:
        raise UsageError(
            f"the venue offers no {WITHDRAW}, so there is nothing to flood",
            remedy="declare the operation in what venue.speaks names",
        )
    nobody = Credentials(customer_id="nobody", credential="nothing")
    for network, asset in sorted(set(pools)):
        values = {
            "id": "00000000-0000-0000-0000-000000000000",
            "network": network,
            "asset": asset,
            "amount": "1",
            "destination": "0x" + "0" * 40,
        }
        adapter.request(WITHDRAW, values, customer=nobody, session="none")


def is_redirect(status: int) -> bool:
    """Whether a status sends the client elsewhere; the kit never goes there."""
    return HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST


def shown(body: bytes) -> str:
    """The beginning of an answer, for a message."""
    text = body[: _SHOWN_MAX + 1].decode("utf-8", errors="replace")
    return repr(text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}...")


class ContractAdapter:
    """The drill contract itself, as its OpenAPI document has it."""

    operations = frozenset(_BY_NAME)
    needs_session = False
    transfers = True

    def request(
        self,
        operation: str,
        values: Mapping[str, str],
        *,
        customer: Credentials | None,
        session: str | None = None,  # noqa: ARG002 - the key is enough
        venue_id: str | None = None,  # noqa: ARG002 - the client's own id is the venue's
    ) -> HttpRequest:
        """The request for ``operation``, with the customer's key as bearer token."""
        declared = _BY_NAME[operation]
        headers: dict[str, str] = {}
        if declared.keyed:
            if customer is None:
                raise UsageError(f"{operation} is asked for in the name of a customer")
            headers["authorization"] = f"Bearer {customer.credential}"
        body = None
        if declared.request is not None:
            headers["content-type"] = "application/json"
            body = json.dumps(dict(values), separators=(",", ":")).encode()
        return HttpRequest(
            method=declared.method.upper(),
            path=declared.path.replace("{id}", quote(values.get("id", ""), safe="")),
            query={name: values[name] for name in declared.query},
            headers=headers,
            body=body,
        )

    def answer(
        self, operation: str, status: int, headers: Mapping[str, str], body: bytes
    ) -> Message:
        """The message in ``body``: a success has the one status that the contract declares.

        A login opens a session, so one without it is no success.
        """
        declared = _BY_NAME[operation]
        call = f"{declared.method.upper()} {declared.path}"
        if is_redirect(status):
            raise ServiceError(
                f"{call} was answered with a redirect ({status}) to"
                f" {headers.get('location', 'nowhere')}, which is never followed"
            )
        kind = declared.answer if status == declared.success else Refusal
        try:
            message = kind.model_validate_json(body)
        except ValidationError as error:
            raise ServiceError(
                f"{call} was answered outside the contract ({status}): {error}"
            ) from error
        empty = not message.model_fields_set or (isinstance(message, Login) and not message.session)
        if empty or (kind is Refusal and status < HTTPStatus.BAD_REQUEST):
            raise ServiceError(
                f"{call} was answered outside the contract ({status}): {shown(body)}"
            )
        return message

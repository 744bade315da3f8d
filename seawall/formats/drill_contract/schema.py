"""The drill contract's table of operations, and the OpenAPI 3.1 document made from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from seawall.formats.drill_contract.messages import (
    Balances,
    Login,
    Message,
    PositiveAmountText,
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


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation: its request, its answer on success, and the statuses of its refusals.

    ``refusals`` are those of its own; :data:`ALWAYS` are every operation's, and 401 is that of each
    that needs a key.
    """

    name: str
    method: str
    path: str
    success: int
    answer: type[Message]
    request: type[Message] | None = None
    query: tuple[str, ...] = ()
    optional_query: tuple[str, ...] = ()
    keyed: bool = True
    refusals: tuple[int, ...] = ()


ALWAYS = (413, 503)
"""A body may be too long whatever it is for, and a venue may be unable to answer."""
_TEXT = {"type": "string"}
_QUERY: dict[str, dict[str, Any]] = {
    "amount": TypeAdapter(PositiveAmountText).json_schema(),
    "before": {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"},
}
OPERATIONS: tuple[Operation, ...] = (
    Operation(name="login", method="post", path="/v1/login", success=200, answer=Login),
    Operation(name="balances", method="get", path="/v1/balances", success=200, answer=Balances),
    Operation(
        name="request_withdrawal",
        method="post",
        path="/v1/withdrawals",
        success=202,
        answer=WithdrawalReceipt,
        request=WithdrawalRequest,
        refusals=(400, 409, 422, 429),
    ),
    Operation(
        name="follow_withdrawal",
        method="get",
        path="/v1/withdrawals/{id}",
        success=200,
        answer=Withdrawal,
        refusals=(400, 404),
    ),
    Operation(
        name="cancel_withdrawal",
        method="post",
        path="/v1/withdrawals/{id}/cancel",
        success=200,
        answer=Withdrawal,
        refusals=(400, 404, 409),
    ),
    Operation(
        name="quote",
        method="get",
        path="/v1/quote",
        success=200,
        answer=Quote,
        query=("network", "sell", "buy", "amount"),
        refusals=(400, 422),
    ),
    Operation(
        name="swap",
        method="post",
        path="/v1/swaps",
        success=201,
        answer=SwapReceipt,
        request=SwapRequest,
        refusals=(400, 409, 422),
    ),
    Operation(
        name="status", method="get", path="/v1/status", success=200, answer=Status, keyed=False
    ),
    Operation(
        name="ticket",
        method="post",
        path="/v1/tickets",
        success=201,
        answer=Ticket,
        request=TicketRequest,
        refusals=(400,),
    ),
)


def openapi(beside: Sequence[Operation] = ()) -> dict[str, Any]:
    """The contract as an OpenAPI document; every drilled venue or its adapter satisfies it.

    ``beside`` are operations that a venue has beside those of the contract.
    """
    operations = (*OPERATIONS, *beside)
    models = (
        {operation.answer for operation in operations}
        | {operation.request for operation in operations if operation.request}
        | {Refusal}
    )
    ordered = sorted(models, key=lambda model: model.__name__)
    _, definitions = models_json_schema(
        [(model, "validation") for model in ordered], ref_template="#/components/schemas/{model}"
    )
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Seawall drill contract", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"api_key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    answers = {str(operation.success): _body(operation.answer, "done")}
    refusals = {*operation.refusals, *ALWAYS} | ({401} if operation.keyed else set())
    answers |= {str(status): _body(Refusal, "refused") for status in sorted(refusals)}
    parameters = [
        {
            "name": name,
            "in": "query",
            "required": name in operation.query,
            "schema": _QUERY.get(name, _TEXT),
        }
        for name in (*operation.query, *operation.optional_query)
    ]
    if "{id}" in operation.path:
        parameters.append(
            {
                "name": "id",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "format": "uuid"},
            }
        )
    rendered: dict[str, Any] = {
        "operationId": operation.name,
        "parameters": parameters,
        "responses": answers,
    }
    if operation.request is not None:
        rendered["requestBody"] = _body(operation.request, "request") | {"required": True}
    if operation.keyed:
        rendered["security"] = [{"api_key": []}]
    return rendered


def _body(model: type[Message], description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {
            "application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}
        },
    }

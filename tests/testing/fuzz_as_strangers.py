"""Hooks of the fuzzer: nobody has a key that the venue knows, and nobody may be served."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import schemathesis


@schemathesis.check
def strangers_are_refused(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """401 from every operation that wants a key, whatever else is wrong with the request."""
    if "security" not in case.operation.definition.raw:
        return
    if case.method.upper() != case.operation.method.upper():
        return
    assert response.status_code == HTTPStatus.UNAUTHORIZED, "a stranger is not told so"

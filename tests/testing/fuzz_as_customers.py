"""Hooks of the fuzzer: each request is made in the name of the next one of a few customers."""

from __future__ import annotations

import itertools
from typing import Any

import schemathesis

CUSTOMERS = 4
_KEYS = itertools.cycle(f"key-{number + 1}" for number in range(CUSTOMERS))


@schemathesis.auth(refresh_interval=None)
class Customers:
    """Gives each request a key of its own."""

    def get(self, case: schemathesis.Case[Any], ctx: schemathesis.AuthContext) -> str:
        """The next key."""
        return next(_KEYS)

    def set(self, case: schemathesis.Case[Any], data: str, ctx: schemathesis.AuthContext) -> None:
        """Show it as the document says."""
        case.headers["Authorization"] = f"Bearer {data}"

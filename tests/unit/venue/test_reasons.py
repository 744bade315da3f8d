"""What the log says of a failed statement: what the server said, not what the driver made of it."""

from __future__ import annotations

import asyncpg

from seawall.errors import ServiceError
from venue.database import reason_of

CLOSED = "cannot call Transaction.__aexit__(): the underlying connection is closed"
SAID = "terminating connection due to transaction timeout"


def test_a_session_that_the_server_ended_is_logged_with_what_it_said() -> None:
    try:
        try:
            raise asyncpg.PostgresConnectionError(SAID)
        finally:
            raise asyncpg.InterfaceError(CLOSED)
    except asyncpg.InterfaceError as error:
        found = reason_of(error)
    assert found == f"PostgresConnectionError: {SAID}; then the connection was closed"


def test_any_other_failure_is_its_own_reason() -> None:
    """Also one of ours, whose text is for people, and one without a text."""
    assert reason_of(asyncpg.InterfaceError(CLOSED)) == f"InterfaceError: {CLOSED}"
    assert reason_of(ServiceError("the node is dark")) == "the node is dark"
    assert reason_of(TimeoutError()).startswith("TimeoutError")

"""Undo calls, repeated until each is answered with 2xx or 404 or a bound has passed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from seawall.errors import ServiceError
from seawall.formats.deployment import address_of
from seawall.lease.book import UndoCall

ATTEMPT_S_MAX = 0.4
"""How long one call may take.

Two attempts fit into the second that a lease has after its time to live.
"""
PAUSE_S = 0.05
"""Between two attempts at the same call."""
UNDO_MS_MAX = 30_000
"""How long the undo of an expired lease is tried before its failure is reported.

It is still tried after that, but not reported again.
"""
NOTHING_THERE = 404
"""The fault is not there, so its undo is done."""


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Time, as a parameter so that tests can give their own.

    Attributes:
        monotonic_ms: The monotonic clock that all processes of the machine share.
        unix_s: Seconds since 1970.
        sleep: Waits for that many seconds.
    """

    monotonic_ms: Callable[[], int]
    unix_s: Callable[[], float]
    sleep: Callable[[float], None]


REAL_CLOCK = Clock(
    monotonic_ms=lambda: time.monotonic_ns() // 1_000_000, unix_s=time.time, sleep=time.sleep
)


def perform(
    calls: Sequence[UndoCall],
    *,
    within_ms: int,
    clock: Clock = REAL_CLOCK,
    transport: httpx.BaseTransport | None = None,
) -> None:
    """Make ``calls`` in order, each repeated until it is done.

    Calls after one that cannot be done are still tried once, so that one dead service does not keep
    the faults of others in force.

    Raises:
        ServiceError: Not all are done within ``within_ms``; holds the last answers.
    """
    give_up_ms = clock.monotonic_ms() + within_ms
    failures: list[str] = []
    with httpx.Client(timeout=ATTEMPT_S_MAX, trust_env=False, transport=transport) as client:
        for call in calls:
            answer = _attempt(client, call)
            while answer is not None and clock.monotonic_ms() < give_up_ms:
                clock.sleep(PAUSE_S)
                answer = _attempt(client, call)
            if answer is not None:
                failures.append(f"{call.method} {address_of(call.url)}: {answer}")
    if failures:
        raise ServiceError(
            f"not undone after {within_ms} ms: " + "; ".join(failures),
            remedy="make these calls by hand",
        )


def _attempt(client: httpx.Client, call: UndoCall) -> str | None:
    """None if the call is done, else what was answered instead."""
    try:
        response = client.request(call.method, call.url, json=call.json_body)
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}"
    if response.status_code == NOTHING_THERE:
        return None
    if not response.is_success:
        return f"HTTP {response.status_code}"
    return _refusal(response)


def _refusal(response: httpx.Response) -> str | None:
    """What a JSON-RPC server refused with HTTP 200; None for every other answer."""
    try:
        said = response.json()
    except ValueError:
        return None
    error = said.get("error") if isinstance(said, dict) and "jsonrpc" in said else None
    return None if error is None else f"refused: {error}"

"""Waits until Prometheus scrapes every process of the venue; before that no alert could fire."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection

import httpx

from seawall.errors import ServiceError

WATCHING_S_MAX = 30.0
"""Many scrapes: a process that is not seen within them serves no metrics."""
_POLL_EVERY_S = 0.25


def unwatched(
    prometheus_url: str, processes: Collection[str], *, transport: httpx.BaseTransport | None = None
) -> set[str]:
    """Which of ``processes`` Prometheus does not scrape successfully at this moment.

    All of them while it does not answer.
    """
    try:
        with httpx.Client(timeout=2, trust_env=False, transport=transport) as client:
            answer = (
                client.get(f"{prometheus_url}/api/v1/query", params={"query": "up == 1"})
                .raise_for_status()
                .json()
            )
        seen = {sample["metric"].get("process") for sample in answer["data"]["result"]}
    except (httpx.HTTPError, json.JSONDecodeError, KeyError):
        seen = set()
    return set(processes) - seen


def await_watched(
    prometheus_url: str,
    processes: Collection[str],
    *,
    transport: httpx.BaseTransport | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return when every process is scraped.

    Raises :class:`ServiceError` naming those that are not within the bound.
    """
    deadline = clock() + WATCHING_S_MAX
    while missing := unwatched(prometheus_url, processes, transport=transport):
        if clock() > deadline:
            message = f"Prometheus does not see {', '.join(sorted(missing))}"
            raise ServiceError(message, remedy="see prometheus.log in the run's logs")
        sleep(_POLL_EVERY_S)

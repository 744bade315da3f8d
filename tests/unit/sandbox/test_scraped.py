"""A drill begins only when Prometheus scrapes every process."""

from __future__ import annotations

import httpx
import pytest

from sandbox import scraped as watching
from seawall.errors import ServiceError

URL = "http://127.0.0.1:9"


def _scraping(*answers: list[str]) -> httpx.MockTransport:
    """Prometheus, which scrapes what each answer names, in turn; the last one for ever."""
    left = list(answers)

    def handle(_: httpx.Request) -> httpx.Response:
        scraped = left.pop(0) if len(left) > 1 else left[0]
        result = [{"metric": {"process": name}, "value": [0, "1"]} for name in scraped]
        return httpx.Response(200, json={"status": "success", "data": {"result": result}})

    return httpx.MockTransport(handle)


def test_it_waits_until_every_process_is_scraped() -> None:
    """Two of three are not enough."""
    naps: list[float] = []
    transport = _scraping([], ["api", "mode-controller"], ["api", "mode-controller", "treasury"])

    watching.await_watched(
        URL, ["api", "mode-controller", "treasury"], transport=transport, sleep=naps.append
    )

    assert len(naps) == 2


def test_a_process_that_is_never_scraped_is_named() -> None:
    """A drill does not begin without its monitors."""
    now = iter(range(0, 1000, 10))

    with pytest.raises(ServiceError, match=r"^Prometheus does not see mode-controller"):
        watching.await_watched(
            URL,
            ["api", "mode-controller"],
            transport=_scraping(["api"]),
            clock=lambda: float(next(now)),
            sleep=lambda _: None,
        )


def test_a_prometheus_that_does_not_answer_sees_nothing() -> None:
    """No answer is not a good sign."""

    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    assert watching.unwatched(URL, ["api"], transport=httpx.MockTransport(refuse)) == {"api"}

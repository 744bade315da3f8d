"""Endpoints of a real chain of which one shows too little, or says something else."""

from __future__ import annotations

from typing import Any


def lacks_events(endpoint: Any, times: int) -> None:
    """``endpoint`` shows no event so many times, as one whose index has a gap."""
    left = [times]

    def lacks() -> bool:
        left[0] -= 1
        return left[0] >= 0

    _answers(endpoint, "eth_getLogs", [], when=lacks)


def says(endpoint: Any, method: str, result: Any) -> None:
    """``endpoint`` answers every call of ``method`` with ``result``."""
    _answers(endpoint, method, result, when=lambda: True)


def _answers(endpoint: Any, method: str, result: Any, *, when: Any) -> None:
    real = endpoint.ask

    async def ask(parse: Any, asked: str, params: Any) -> Any:
        if asked == method and when():
            return parse(result)
        return await real(parse, asked, params)

    object.__setattr__(endpoint, "ask", ask)

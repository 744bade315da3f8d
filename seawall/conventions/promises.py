"""What a venue promises a customer when it answers a request, by kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

PromiseKind = Literal[
    "withdrawal", "cancellation", "swap", "listing", "bid", "settlement", "refund", "ticket"
]
PROMISE_KINDS: tuple[PromiseKind, ...] = get_args(PromiseKind)
"""Each is named by the id of a request, but some by the id of what they end.

A ``cancellation`` has the id of its withdrawal, ``settlement`` and ``refund`` that of their bid; a
``ticket`` has the number that the venue gave it.
"""
COUNTED_AS: Mapping[PromiseKind, str] = {
    "cancellation": "cancel",
    "swap": "swap",
    "listing": "list_item",
    "bid": "bid",
    "settlement": "settle_bid",
    "refund": "refund_bid",
    "ticket": "ticket",
}
"""By kind but ``withdrawal``: the label ``operation`` under which the api counts requests."""
ACKNOWLEDGED_OUTCOME = "ok"
"""The label ``outcome`` of those that it acknowledged."""

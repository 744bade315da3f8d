"""An exchange: prices, books, and orders that are filled once per client order id.

Usage: ``python -m sandbox.counterparties.exchange --name NAME --policy FILE --port N``. ``GET
/price?sell=&buy=`` -> ``{"price","ts"}``; ``GET /depth?asset=``; ``POST /orders``
``{"client_order_id","side","asset","amount"}`` -> 201, or 200 for a replay, 409 for another order
under the same id, 422 for an order that makes no sense.

With ``--data-dir DIR --payer-sha256 HEX --reader-sha256 HEX`` it also pays from what the venue
keeps there (``seawall/formats/payout_rail.py``), also once per client order id.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import uvloop

from sandbox.counterparties import paying
from sandbox.counterparties.book import Exchange
from sandbox.http1 import Message
from seawall.errors import SeawallError
from seawall.policy_file import load_policy

TICK_S = 1.0
NOT_FOUND = 404

Answer = tuple[int, dict[str, Any]]


def answer(exchange: Exchange, *, method: str, target: str, body: bytes, now: float) -> Answer:
    """Status and JSON for one request."""
    parts = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    try:
        if (method, parts.path) == ("GET", "/price"):
            return 200, {
                "price": f"{exchange.price(sell=query['sell'], buy=query['buy']):f}",
                "ts": now,
            }
        if (method, parts.path) == ("GET", "/depth"):
            return 200, {"ts": now, **exchange.depth(query["asset"])}
        if (method, parts.path) == ("POST", "/orders"):
            return _order(exchange, body)
    except KeyError as error:
        return 422, {"code": "unknown_asset", "reason": f"{error} is missing or not traded here"}
    return NOT_FOUND, {"code": "not_found", "reason": f"nothing is at {method} {parts.path}"}


def _order(exchange: Exchange, body: bytes) -> Answer:
    try:
        order = json.loads(body)
        identity, side, asset = str(order["client_order_id"]), order["side"], str(order["asset"])
        amount = int(order["amount"])
    except (ValueError, TypeError, KeyError) as error:
        return 422, {"code": "bad_order", "reason": f"the order cannot be read: {error}"}
    if side not in ("buy", "sell") or amount <= 0:
        return 422, {"code": "bad_order", "reason": "buy or sell a positive amount"}
    known = exchange.knows(identity)
    try:
        outcome = exchange.order(client_order_id=identity, side=side, asset=asset, amount=amount)
    except ValueError as error:
        return 409, {"code": "id_reused", "reason": str(error)}
    return 200 if known else 201, {
        "client_order_id": outcome.client_order_id,
        "side": outcome.side,
        "asset": outcome.asset,
        "asked": str(outcome.asked),
        "filled": str(outcome.filled),
        "value_micro": str(outcome.value_micro),
    }


def main(arguments: list[str] | None = None, *, clock: Callable[[], float] = time.time) -> int:
    """Run one exchange; returns the exit code."""
    parser = argparse.ArgumentParser(
        description="An exchange with books and prices around the policy's reference prices."
    )
    paying.add_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        policy = load_policy(options.policy)
        exchange = Exchange(policy, seed=zlib.crc32(options.name.encode()))
        loops: dict[Callable[[], object], float] = {exchange.tick: TICK_S}
        desk = None
        if options.data_dir is not None:
            desk = paying.desk_of(options, policy, kind="exchange")
            book = desk.book
            loops[lambda: book.settle(now=clock())] = paying.SETTLE_EVERY_S

        def answered(request: Message) -> paying.Answer:
            method, target, _ = request.start
            now = clock()
            status, document = answer(
                exchange, method=method, target=target, body=request.body, now=now
            )
            if status == NOT_FOUND and desk is not None:
                return desk.answer(request, now=now)
            return status, json.dumps(document).encode()

        uvloop.run(paying.run(answered, port=options.port, loops=loops))
    except SeawallError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

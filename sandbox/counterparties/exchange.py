"""An exchange: prices, books, and orders that are filled once per client order id.

Usage: ``python -m sandbox.counterparties.exchange --name NAME --policy FILE --port N``. ``GET
/price?sell=&buy=`` -> ``{"price","ts"}``; ``GET /depth?asset=``; ``POST /orders``
``{"client_order_id","side","asset","amount"}`` -> 201, or 200 for a replay, 409 for another order
under the same id, 422 for an order that makes no sense.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import uvloop

from sandbox.counterparties.book import Exchange
from sandbox.http1 import read_message, response, serve
from seawall.errors import SeawallError, ServiceError
from seawall.policy_file import load_policy

TICK_S = 1.0

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
    return 404, {"code": "not_found", "reason": f"nothing is at {method} {parts.path}"}


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


async def run(exchange: Exchange, *, port: int, clock: Callable[[], float] = time.time) -> None:
    """Serve ``exchange`` on ``port`` until a signal ends it; prices tick every second."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_message(reader)) is not None:
                method, target, _ = request.start
                status, document = answer(
                    exchange, method=method, target=target, body=request.body, now=clock()
                )
                writer.write(response(status, json.dumps(document).encode()))
                await writer.drain()
        except (ServiceError, OSError) as error:
            print(f"connection lost: {error}", file=sys.stderr)
        finally:
            writer.close()

    async def tick() -> None:
        while True:
            await asyncio.sleep(TICK_S)
            exchange.tick()

    ticking = asyncio.create_task(tick())
    try:
        await serve({port: handle})
    finally:
        ticking.cancel()


def main(arguments: list[str] | None = None) -> int:
    """Run one exchange; returns the exit code."""
    parser = argparse.ArgumentParser(
        description="An exchange with books and prices around the policy's reference prices."
    )
    parser.add_argument("--name", required=True, help="its name; seeds its prices")
    parser.add_argument("--policy", type=Path, required=True, help="the policy in force")
    parser.add_argument("--port", type=int, required=True, help="port on loopback")
    options = parser.parse_args(arguments)
    try:
        exchange = Exchange(load_policy(options.policy), seed=zlib.crc32(options.name.encode()))
        uvloop.run(run(exchange, port=options.port))
    except SeawallError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""An exchange that quotes the policy's reference prices, at once and always new."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

from seawall.controls.prices import reference_price
from seawall.policy import Policy


@asynccontextmanager
async def exchange(policy: Policy) -> AsyncIterator[str]:
    """The exchange's URL, while it is served."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = (await reader.readuntil(b"\r\n\r\n")).split(maxsplit=2)[1].decode()
        asked = parse_qs(urlsplit(target).query)
        price = reference_price(policy, sell=asked["sell"][0], buy=asked["buy"][0])
        exact = Decimal(price.numerator) / Decimal(price.denominator)
        body = json.dumps({"price": f"{exact:f}", "ts": time.time()}).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n%s" % (len(body), body)
        )
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

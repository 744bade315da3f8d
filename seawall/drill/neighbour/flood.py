"""Ask a signer for proofs on a precomputed schedule, however slow it is: an open arrival model."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import httpx

from seawall.drill.neighbour.plan import Ask
from seawall.drill.segregation.control import SignerDoor
from seawall.ethereum.keys import recover_message_signer, to_bytes
from seawall.keys.proofs import proof_text
from seawall.scorecard.checks.neighbour import SIGNED
from seawall.scorecard.one_control import Answer, Who

_TIMEOUT_S = 5.0
"""How long an answer is waited for in all.

Far beyond any bound, so that a late answer is seen as late and not as lost.
"""
_HEAD_START_S = 0.5
_CLIENTS = 40
_CONNECTIONS_OF_CLIENT_MAX = 10
"""A client looks through all its connections for each request.

With one client of 400, a generator that meets a slow signer was itself late by half a second.
"""


async def flood(
    asks: Sequence[Ask],
    *,
    door: SignerDoor,
    region: str,
    stack: str,
    wallets: Mapping[Who, str],
    addresses: Mapping[str, str],
    clock: Callable[[], float] = time.perf_counter,
) -> list[Answer]:
    """Every answer, in the order of ``asks``.

    ``wallets`` says which wallet stands for whom, ``addresses`` whose key must have signed.
    """
    limits = httpx.Limits(
        max_connections=_CONNECTIONS_OF_CLIENT_MAX,
        max_keepalive_connections=_CONNECTIONS_OF_CLIENT_MAX,
    )
    tls = httpx.create_ssl_context(trust_env=False)
    async with AsyncExitStack() as opened:
        clients = [
            await opened.enter_async_context(
                httpx.AsyncClient(
                    base_url=door.url,
                    headers=door.headers,
                    timeout=_TIMEOUT_S,
                    limits=limits,
                    trust_env=False,
                    verify=tls,
                )
            )
            for _ in range(_CLIENTS)
        ]
        zero = clock() + _HEAD_START_S

        async def one(ask: Ask, client: httpx.AsyncClient) -> Answer:
            await asyncio.sleep(max(0.0, zero + ask.at_s - clock()))
            sent = clock()
            wallet = wallets[ask.who]
            outcome = await _prove(client, wallet, addresses[wallet], region=region, stack=stack)
            planned = zero + ask.at_s
            return Answer(
                at_s=ask.at_s,
                who=ask.who,
                lag_ms=(sent - planned) * 1000,
                latency_ms=(clock() - planned) * 1000,
                outcome=outcome,
            )

        return list(
            await asyncio.gather(*(one(ask, clients[n % _CLIENTS]) for n, ask in enumerate(asks)))
        )


async def _prove(
    client: httpx.AsyncClient, wallet: str, address: str, *, region: str, stack: str
) -> str:
    """``signed`` if the key of ``address`` really signed our text; else why not."""
    text = proof_text(
        stack=stack,
        name=wallet,
        key="by-signer",
        region=region,
        time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        challenge=secrets.token_hex(8),
    )
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            answer = await client.post("/prove", json={"wallet": wallet, "text": text})
        body = answer.json()
        if not answer.is_success:
            return str(body["code"])
        signer = recover_message_signer(text, to_bytes(str(body["signature"])))
    except (TimeoutError, httpx.TimeoutException):
        return "timeout"
    except httpx.HTTPError as error:
        return type(error).__name__
    except (ValueError, KeyError, TypeError):
        return "malformed"
    return SIGNED if signer == address.lower() else "wrong_key"

"""The interface to customers: sessions, a wallet, payouts, and the state of the service.

It is unlike the drill contract on purpose: another path, word and unit for everything.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.testing.second_venue.amounts import to_text, to_units
from tests.testing.second_venue.config import Config
from tests.testing.second_venue.desk import Desk, Refusal, Wish
from tests.testing.second_venue.store import connect, secret_hash

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_NUMBER = re.compile(r"P-([0-9]{6,18})")
_ELSEWHERE = "http://elsewhere.invalid/service"


class Api:
    """The handlers, on a connection that only reads and a desk that writes."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._books = connect(config)
        (key,) = self._books.execute(
            "select value from facts where name = 'session key'"
        ).fetchone()
        self._session_key = bytes.fromhex(key)
        self._desk = Desk(config)
        self._numbers = {name: number for number, name in enumerate(config.customers, start=1)}

    def application(self) -> Starlette:
        """The ASGI application; it closes the books when it ends."""

        @asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            yield
            self.close()

        return Starlette(
            routes=[
                Route("/sessions", self.log_in, methods=["POST"]),
                Route("/wallet", self.wallet),
                Route("/payouts", self.pay_out, methods=["POST"]),
                Route("/payouts/{number}", self.follow),
                Route("/service", self.service),
            ],
            exception_handlers={Refusal: _refused, HTTPException: _not_here},
            lifespan=lifespan,
        )

    def close(self) -> None:
        """End the desk and close the books."""
        self._desk.close()
        self._books.close()

    async def log_in(self, request: Request) -> Response:
        """A token for a user who knows the secret."""
        body = await _body(request)
        user, secret = body.get("user"), body.get("secret")
        if not isinstance(user, str) or not isinstance(secret, str):
            raise Refusal(400, "malformed", "user and secret are texts")
        row = self._books.execute(
            "select secret_sha256 from customers where name = ?", (user,)
        ).fetchone()
        if not hmac.compare_digest(row[0] if row else b"", secret_hash(secret)):
            raise Refusal(401, "bad_login", "no such user, or another secret")
        return JSONResponse({"token": self._token(user)})

    async def wallet(self, request: Request) -> Response:
        """What the customer may pay out now."""
        user = self._user(request)
        if self._config.vice == "hangs":
            await asyncio.Event().wait()
        rows = self._books.execute(
            "select coin, free from holdings where customer = ? order by coin", (user,)
        ).fetchall()
        holdings = [
            {"coin": coin, "free": to_text(int(free), decimals=self._config.coins[coin].decimals)}
            for coin, free in rows
        ]
        blank = self._config.strikes("blanks", self._numbers[user])
        return JSONResponse({"holdings": [] if blank else holdings})

    async def pay_out(self, request: Request) -> Response:
        """Take a payout: acknowledged once it is on disk, and at most once for each reference."""
        user = self._user(request)
        if self._config.vice == "nonsense":
            return HTMLResponse("<html><body><h1>Welcome</h1></body></html>")
        wish = self._wish(user, await _body(request))
        number, new = await self._desk.take(wish)
        lost = new and self._config.strikes("loses", number)
        return JSONResponse(
            {"payout": self._payout(user, number)},
            status_code=201 if new else 200,
            background=BackgroundTask(self._desk.lose, number) if lost else None,
        )

    async def follow(self, request: Request) -> Response:
        """What became of a payout of this customer."""
        user = self._user(request)
        match = _NUMBER.fullmatch(request.path_params["number"])
        found = self._payout(user, int(match[1])) if match else None
        if found is None:
            raise Refusal(404, "no_such_payout", "there is no such payout of yours")
        return JSONResponse({"payout": found})

    async def service(self, _request: Request) -> Response:
        """Whether the venue is open; it knows no other state."""
        if self._config.vice == "redirects":
            return RedirectResponse(_ELSEWHERE, status_code=302)
        return JSONResponse({"state": "open"})

    def _wish(self, user: str, body: dict[str, Any]) -> Wish:
        ref, name, address = body.get("ref"), body.get("coin"), body.get("address")
        if not isinstance(ref, str) or not _is_uuid(ref):
            raise Refusal(400, "malformed", "ref is a UUID")
        coin = self._config.coins.get(name) if isinstance(name, str) else None
        if coin is None or not isinstance(name, str):
            raise Refusal(400, "unknown_coin", "there is no such coin")
        if not isinstance(address, str) or not _ADDRESS.fullmatch(address) or not int(address, 16):
            raise Refusal(400, "bad_address", "an address is 0x and 40 hexadecimal digits")
        amount = to_units(body.get("amount"), decimals=coin.decimals)
        if amount is None:
            raise Refusal(
                400,
                "malformed",
                f"amount is a positive decimal text with at most {coin.decimals} places",
            )
        return Wish(
            customer=user,
            ref=ref.lower(),
            coin=name,
            network=coin.network,
            amount=amount,
            address=address.lower(),
        )

    def _payout(self, user: str, number: int) -> dict[str, Any] | None:
        row = self._books.execute(
            "select ref, status, note, chain_tx from payouts where number = ? and customer = ?",
            (number, user),
        ).fetchone()
        if row is None:
            return None
        return {"no": f"P-{number:06d}", **dict(zip(_PAYOUT_FIELDS, row, strict=True))}

    def _token(self, user: str) -> str:
        # Nothing is stored, so that a session outlives the death of the process.
        seal = hmac.digest(self._session_key, user.encode(), hashlib.sha256).hex()
        return f"{user.encode().hex()}.{seal}"

    def _user(self, request: Request) -> str:
        token = request.headers.get("x-session", "")
        try:
            user = bytes.fromhex(token.partition(".")[0]).decode()
        except ValueError:
            user = ""
        if not user or not hmac.compare_digest(token.encode(), self._token(user).encode()):
            raise Refusal(401, "bad_session", "log in first")
        return user


_PAYOUT_FIELDS = ("ref", "status", "note", "chain_tx")


def serve(config: Config) -> None:
    """Serve until SIGTERM."""
    # Whoever hangs is not waited for at the end.
    uvicorn.run(
        Api(config).application(),
        host="127.0.0.1",
        port=config.api_port,
        log_level="warning",
        access_log=False,
        ws="none",
        timeout_graceful_shutdown=1,
        timeout_keep_alive=60,
        backlog=4096,
    )


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refusal(400, "malformed", "the body is no JSON object")
    return body


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _error(status: int, kind: str, text: str) -> Response:
    return JSONResponse({"error": {"kind": kind, "text": text}}, status_code=status)


def _refused(_request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return _error(refusal.status, refusal.kind, str(refusal))


def _not_here(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, "not_here", error.detail)

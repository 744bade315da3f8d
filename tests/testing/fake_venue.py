"""A small venue that keeps the drill contract, or breaks it in one way that it is told."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

KEY = "s3cret"
VICES = (
    "nonsense",
    "html",
    "hangs",
    "redirects",
    "pays twice",
    "takes from the balance twice",
    "forgets the amount",
    "refuses repetitions",
    "loses it",
    "finds anything",
    "takes nothing",
    "ignores credentials",
    "refuses strangers oddly",
    "answers about another",
    "has no word for not found",
    "calls all repetitions",
    "refuses another amount oddly",
    "shows a balance twice",
)


class FakeVenue:
    """Speaks the contract with ``vice``; ``dialect`` "own" is that of docs/speaking.md.

    ``reason`` is what it says when an id was used before.
    """

    def __init__(
        self, vice: str | None = None, *, dialect: str = "contract", reason: str = "used"
    ) -> None:
        self.vice, self.own, self.reason = vice, dialect == "own", reason
        self.left = 90_000_000
        self.made: dict[str, tuple[str, str]] = {}
        self.requests: list[str] = []
        self.app = Starlette(routes=[Route("/{path:path}", self._serve, methods=["GET", "POST"])])

    async def _serve(self, request: Request) -> Response:
        path = request.url.path
        self.requests.append(f"{request.method} {path}")
        match self.vice:
            case "nonsense":
                return JSONResponse({"fine": True}, 202 if path == "/v1/withdrawals" else 200)
            case "html":
                return Response("<html>down for maintenance [red]\x1b[2J", 200)
            case "hangs":
                await asyncio.sleep(60)
            case "redirects":
                return RedirectResponse("http://elsewhere/", 307)
        body = json.loads(await request.body() or b"{}")
        routes: dict[str, Callable[..., Awaitable[Response]]] = {
            "/v1/status": self._status,
            "/service": self._status,
            "/sessions": self._own_login,
        }
        if path in routes:
            return await routes[path](body)
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        allowed = request.headers.get("x-session") == "tok" if self.own else key == KEY
        if not allowed and self.vice == "refuses strangers oddly":
            return self._refused("not_found", "nothing here", 404)
        if not allowed and self.vice != "ignores credentials":
            return self._refused("unauthorized", "who are you?", 401)
        return await self._of_customer(request.method, path, body)

    async def _of_customer(self, method: str, path: str, body: dict[str, Any]) -> Response:
        last = path.rpartition("/")[2]
        if path == "/v1/login":
            return JSONResponse({"customer_id": "c-1", "session": "s"})
        if path in ("/v1/balances", "/wallet"):
            return self._balances()
        if path == "/v1/quote":
            return JSONResponse({"buy_amount": "5", "valid_ms": 1000})
        if method == "POST" and path in ("/v1/withdrawals", "/payouts"):
            return self._withdraw(body)
        if path.endswith("/cancel"):
            return self._refused("not_found", "no such withdrawal", 404)
        return self._follow(last)

    async def _status(self, _: dict[str, Any]) -> Response:
        return JSONResponse({"state": "open"} if self.own else {"tier": "normal"})

    async def _own_login(self, body: dict[str, Any]) -> Response:
        if body["secret"] != KEY and self.vice != "ignores credentials":
            return self._refused("unauthorized", "who are you?", 401)
        return JSONResponse({"token": "tok"})

    def _balances(self) -> Response:
        if self.own:
            free = f"{self.left // 10**6}.{self.left % 10**6:06d}"
            return JSONResponse({"holdings": [{"coin": "usdx-on-aster", "free": free}]})
        pools = [{"network": "aster", "asset": "USDX", "available": str(self.left)}]
        return JSONResponse({"balances": pools * (1 + (self.vice == "shows a balance twice"))})

    def _withdraw(self, body: dict[str, Any]) -> Response:
        name = body["ref" if self.own else "id"]
        amount = str(body["amount"])
        units = int(float(amount) * 10**6) if self.own else int(amount)
        known = self.made.get(name)
        if known is None or self.vice == "pays twice":
            number = str(len(self.made) + 1) if known is None else f"{known[0]}9"
            self.made[name] = (number, amount)
            self.left -= 0 if self.vice == "takes nothing" else units
            return self._receipt(name, number, replayed=self.vice == "calls all repetitions")
        if self.vice == "refuses repetitions" or (
            amount != known[1] and self.vice != "forgets the amount"
        ):
            odd = self.vice == "refuses another amount oddly"
            return self._refused("over_limit" if odd else "id_reused", self.reason, 409)
        if self.vice == "takes from the balance twice":
            self.left -= units
        return self._receipt(name, known[0], replayed=True)

    def _receipt(self, name: str, number: str, *, replayed: bool) -> Response:
        if self.own:
            said: dict[str, Any] = {"payout": {"no": int(number), "status": "queued"}}
            return JSONResponse(said, 200 if replayed else 201)
        said = {"id": name, "state": "reserved", "outcome": "replayed" if replayed else "accepted"}
        return JSONResponse(said, 202)

    def _follow(self, last: str) -> Response:
        numbers = {number for number, _ in self.made.values()}
        known = last in (numbers if self.own else self.made)
        if self.vice == "finds anything":
            known = True
        if self.vice == "loses it":
            known = False
        if not known and self.vice == "has no word for not found":
            return self._refused("unavailable", "who knows", 503)
        if not known:
            return self._refused("not_found", "no such withdrawal", 404)
        if self.own:
            return JSONResponse({"payout": {"status": "sent", "chain_tx": "0x1"}})
        name = str(uuid.uuid4()) if self.vice == "answers about another" else last
        return JSONResponse({"id": name, "state": "broadcast", "reason": None, "tx_hash": "0x1"})

    def _refused(self, code: str, reason: str, status: int) -> Response:
        if not self.own:
            return JSONResponse({"code": code, "reason": reason}, status)
        words = {
            "unauthorized": "bad_session",
            "not_found": "no_such_payout",
            "id_reused": "duplicate_ref",
        }
        return JSONResponse({"error": {"kind": words[code], "text": reason}}, status)

"""The HTTP interface of a provider that pays (``seawall/formats/payout_rail.py``), and its loop."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ValidationError

from sandbox.counterparties.payouts import BankHours, PayoutBook, terms_of
from sandbox.http1 import Message, answering, serve_beside
from seawall.errors import UsageError
from seawall.formats.payout_rail import STATUS_OF, Balances, Instruction, Refusal, RefusalCode
from seawall.policy import Policy

SETTLE_EVERY_S = 0.1
PAYOUTS_FILE = "payouts.sqlite"
Caller = Literal["payer", "reader"]
Answer = tuple[int, bytes]


@dataclass(frozen=True, kw_only=True)
class PayingDesk:
    """Answers requests about ``book``; ``callers``: SHA-256 of each one's credential, in hex."""

    name: str
    book: PayoutBook
    callers: Mapping[Caller, str]

    def answer(self, request: Message, *, now: float) -> Answer:
        """Status and body for one request."""
        method, target, _ = request.start
        caller = self._caller(request.headers.get("authorization", ""))
        if caller is None:
            return _refuse("unauthorized", "This credential is not known.")
        parts = urlsplit(target)
        match method, parts.path.strip("/").split("/"):
            case "GET", ["health"]:
                return 200, json.dumps({"name": self.name}).encode()
            case "GET", ["statement"]:
                after = parse_qs(parts.query).get("after", ["0"])[0]
                if not (after.isascii() and after.isdigit()) or len(after) > 18:  # noqa: PLR2004
                    return _refuse("malformed", "after is the number of a line.")
                return _said(200, self.book.statement(after=int(after)))
            case "GET", ["balances"]:
                left = {asset: str(amount) for asset, amount in self.book.available().items()}
                return _said(200, Balances(available=left))
            case _ if caller != "payer":
                return _refuse("unauthorized", "A reader looks at statements and balances only.")
            case "GET", ["payouts", client_id]:
                return _said(200, self.book.find(client_id))
            case "POST", ["payouts", client_id, "cancel"]:
                return _said(200, self.book.cancel(client_id, now=now))
            case "POST", ["payouts"]:
                return self._submit(request.body, now=now)
        return _refuse("not_found", f"Nothing is at {method} {parts.path}.")

    def _submit(self, body: bytes, *, now: float) -> Answer:
        try:
            asked = Instruction.model_validate_json(body)
        except ValidationError as error:
            return _refuse("malformed", str(error))
        taken = self.book.submit(asked, now=now)
        if isinstance(taken, Refusal):
            return _said(200, taken)
        payout, new = taken
        return _said(201 if new else 200, payout)

    def _caller(self, authorization: str) -> Caller | None:
        credential = authorization.removeprefix("Bearer ")
        shown = hashlib.sha256(credential.encode()).hexdigest()
        found: Caller | None = None
        for caller, digest in self.callers.items():
            if hmac.compare_digest(shown, digest):
                found = caller
        return found


def _said(status: int, message: BaseModel) -> Answer:
    if isinstance(message, Refusal):
        status = STATUS_OF[message.code]
    return status, message.model_dump_json().encode()


def _refuse(code: RefusalCode, reason: str) -> Answer:
    return _said(200, Refusal(code=code, reason=reason))


async def run(
    answer: Callable[[Message], Answer], *, port: int, loops: Mapping[Callable[[], object], float]
) -> None:
    """Serve ``answer`` on ``port`` until a signal ends it; call each of ``loops`` every so often.

    The periods are seconds. A loop that fails ends the process.
    """

    async def again(work: Callable[[], object], every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            work()

    working = (again(work, every_s) for work, every_s in loops.items())
    await serve_beside({port: answering(answer)}, working)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of a provider that pays."""
    parser.add_argument("--name", required=True, help="its name")
    parser.add_argument("--policy", type=Path, required=True, help="the policy in force")
    parser.add_argument("--port", type=int, required=True, help="port on loopback")
    parser.add_argument("--data-dir", type=Path, help="folder of its payouts")
    parser.add_argument("--payer-sha256", help="SHA-256 of the payer's credential, in hex")
    parser.add_argument("--reader-sha256", help="SHA-256 of the reader's credential, in hex")
    parser.add_argument(
        "--settles-after-s", type=float, default=1.0, help="from accepted to settled"
    )


def desk_of(
    options: argparse.Namespace, policy: Policy, *, kind: str, hours: BankHours | None = None
) -> PayingDesk:
    """The desk that the command line asks for, for the policy's rail of ``kind``.

    Raises :class:`UsageError`.
    """
    rail = next((rail for rail in policy.paying_rails().values() if rail.kind == kind), None)
    if rail is None:
        raise UsageError(f"the policy pays over no rail of kind {kind}")
    needed = (options.data_dir, options.payer_sha256, options.reader_sha256)
    if None in needed:
        raise UsageError("payouts need --data-dir, --payer-sha256 and --reader-sha256")
    options.data_dir.mkdir(parents=True, exist_ok=True)
    terms = terms_of(policy, rail, settles_after_s=options.settles_after_s, hours=hours)
    return PayingDesk(
        name=options.name,
        book=PayoutBook(options.data_dir / PAYOUTS_FILE, terms),
        callers={"payer": options.payer_sha256, "reader": options.reader_sha256},
    )

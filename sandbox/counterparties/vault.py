"""A custodian's vault: which transfers out of cold wallets it takes, when, and what became of them.

It trusts nobody's records but its own. A transfer goes to the reserve of its cold wallet alone, as
enough of the venue's approvers have signed; it is released after a delay, within a window of the
day, while the custodian is in order. Everything is on disk before anybody is told, and the bytes of
a transaction before a node is.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from pydantic import BaseModel

from seawall.controls.timing import CUSTODIAN_CLOCK_MS
from seawall.errors import UsageError
from seawall.ethereum.keys import recover_message_signer, to_bytes
from seawall.formats.custody import ENDED, Condition, Statement, Transfer, TransferRequest

_DAY_S = 86_400
_SCHEMA = """
    create table if not exists transfers (
        n integer primary key autoincrement, client_id text not null unique,
        request text not null, network text not null, received_at real not null,
        release_at real not null, state text not null, number integer unique, nonce integer,
        raw blob, tx_hash text, block_number integer, unique (network, nonce));
    create table if not exists condition (
        only_row integer primary key check (only_row = 1), state text not null,
        reason text not null);
    insert or ignore into condition values (1, 'normal', '');
"""
_READ = "select * from transfers where"


class RefusedError(UsageError):
    """What the custodian does not do, with the status and the code of its answer."""

    def __init__(self, status: int, code: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.code, self.reason = status, code, reason


@dataclass(frozen=True, kw_only=True)
class KeptWallet:
    """A wallet whose key is kept here: the contract that holds its money.

    ``tokens`` are token addresses by asset; the zero address is the coin. Addresses are lower case.
    """

    network: str
    contract: str
    tokens: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ColdWallet(KeptWallet):
    """A wallet that the custodian keeps, and the only address that it pays."""

    destination: str


class Agreed(Protocol):
    """What a vault must know of what was agreed with the venue."""

    @property
    def delay_s(self) -> float:
        """From a request to its release, seconds."""

    @property
    def opens_s(self) -> int:
        """Releases begin so many seconds after midnight UTC."""

    def is_open(self, now_s: float) -> bool:
        """Whether ``now_s``, Unix seconds, is within the window of its day."""

    def wallet_of(self, request: Any) -> KeptWallet:
        """The wallet that pays a request that was taken."""

    def check(self, request: Any) -> None:
        """Raises :class:`RefusedError` for what was not agreed."""

    def ends_at(self, request: Any) -> float:
        """From when on a request is not signed any more, Unix seconds."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What was agreed with the venue.

    Attributes:
        wallets: By name.
        approvers: Addresses of the keys of the venue's roles.
        needed: How many of them must sign, each another.
        delay_s: From a request to its release, seconds.
        opens_s: Releases begin so many seconds after midnight UTC.
        closes_s: They end so many seconds after midnight UTC; below ``opens_s``: on the next day,
            and as ``opens_s``: they never end.
    """

    wallets: Mapping[str, ColdWallet]
    approvers: Mapping[str, str]
    needed: int
    delay_s: float
    opens_s: int
    closes_s: int

    def is_open(self, now_s: float) -> bool:
        """Whether ``now_s``, Unix seconds, is within the window of its day."""
        of_day = now_s % _DAY_S
        if self.opens_s < self.closes_s:
            return self.opens_s <= of_day < self.closes_s
        return of_day >= self.opens_s or of_day < self.closes_s

    def wallet_of(self, request: TransferRequest) -> ColdWallet:
        """The wallet that pays it."""
        return self.wallets[request.wallet]

    def ends_at(self, request: TransferRequest) -> float:
        """When its approval ends."""
        return request.expires_at

    def check(self, request: TransferRequest) -> None:
        """Raises :class:`RefusedError` for what was not agreed, or not signed."""
        wallet = self.wallets.get(request.wallet)
        if wallet is None or wallet.network != request.network:
            reason = f"no wallet {request.wallet} on {request.network} is kept here"
            raise RefusedError(422, "unknown_wallet", reason)
        if request.asset not in wallet.tokens:
            reason = f"{request.wallet} holds no {request.asset}"
            raise RefusedError(422, "unknown_asset", reason)
        if request.destination != wallet.destination:
            reason = f"{request.wallet} pays {wallet.destination} alone, not {request.destination}"
            raise RefusedError(403, "destination_not_allowed", reason)
        signers = set()
        for each in request.approvals:
            try:
                signer = recover_message_signer(request.text, to_bytes(each.signature))
            except ValueError:
                signer = ""
            if self.approvers.get(each.role) != signer:
                reason = f"the signature of {each.role!r} is not that approver's, of this request"
                raise RefusedError(403, "bad_approval", reason)
            signers.add(signer)
        if len(signers) < self.needed:
            reason = f"{len(signers)} approvers have signed, and {self.needed} are needed"
            raise RefusedError(403, "too_few_approvals", reason)


@dataclass(frozen=True, kw_only=True)
class Held:
    """A transfer as it is on disk.

    ``request`` is as it was asked for; ``number`` is that in the contract of its wallet, from when
    it was signed.
    """

    n: int
    request: Any
    release_at: float
    state: str
    number: int | None
    nonce: int | None
    raw: bytes | None
    tx_hash: str | None
    block_number: int | None


class Vault:
    """The custodian's records, in the file ``path``; of one process.

    ``asks`` is what a request is, ``shows`` what is told of it.
    """

    asks: type[BaseModel] = TransferRequest
    shows: type[BaseModel] = Transfer

    def __init__(self, path: Path, terms: Agreed) -> None:
        self.terms: Any = terms
        self._file = sqlite3.connect(path, isolation_level=None)
        self._file.row_factory = sqlite3.Row
        for pragma in ("journal_mode = wal", "synchronous = full"):
            self._file.execute(f"pragma {pragma}")
        self._file.executescript(_SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    # --- what the venue asks for
    def take(self, request: Any, *, now_s: float) -> tuple[Any, bool]:
        """Take ``request``, or return what became of the same one before; whether it is new.

        Raises :class:`RefusedError`. What was taken stays taken in any condition.
        """
        known = self._one("client_id = ?", str(request.client_id))
        if known is not None:
            if known.request.text != request.text:
                reason = f"{request.client_id} is for something else: {known.request.text}"
                raise RefusedError(409, "id_reused", reason)
            return self._shown(known, now_s), False
        if self.terms.ends_at(request) <= now_s:
            reason = f"its approval has expired: {request.text}"
            raise RefusedError(403, "approval_expired", reason)
        condition = self.condition()
        if condition.state == "incident":
            raise RefusedError(503, "incident", condition.reason)
        self.terms.check(request)
        self._file.execute(
            "insert into transfers (client_id, request, network, received_at, release_at, state)"
            " values (?, ?, ?, ?, ?, 'accepted')",
            (
                *(str(request.client_id), request.model_dump_json(), request.network),
                *(now_s, now_s + self.terms.delay_s),
            ),
        )
        return self.transfer(request.client_id, now_s=now_s), True

    def transfer(self, client_id: UUID, *, now_s: float) -> Any:
        """How far a request has come. Raises :class:`RefusedError` if there is none."""
        known = self._one("client_id = ?", str(client_id))
        if known is None:
            raise RefusedError(404, "not_found", f"{client_id} was never asked for")
        return self._shown(known, now_s)

    def statement(self, *, now_s: float) -> Statement:
        """All transfers that were signed and have ended."""
        marks = ", ".join("?" * len(ENDED))
        ended = self._all(f"state in ({marks}) order by nonce, n", *ENDED)
        return Statement(at=now_s, transfers=tuple(self._shown(each, now_s) for each in ended))

    def condition(self) -> Condition:
        """How the custodian is."""
        row = self._file.execute("select state, reason from condition").fetchone()
        return Condition(state=row["state"], reason=row["reason"])

    def become(self, condition: Condition) -> None:
        """The custodian's own people say how it is."""
        self._file.execute(
            "update condition set state = ?, reason = ?", (condition.state, condition.reason)
        )

    # --- what the custodian does
    def due(self, network: str, now_s: float) -> Held | None:
        """The oldest transfer on ``network`` that is to be signed now."""
        waiting = self.accepted(network)
        return next((each for each in waiting if not self._waits_for(each, now_s)), None)

    def expired(self, network: str, now_s: float) -> list[Held]:
        """What was taken on ``network`` and not signed before its approval ended.

        It is called so when it has ended by the venue's clock as well, whichever is behind.
        """
        surely_s = now_s - CUSTODIAN_CLOCK_MS / 1_000
        return [
            each for each in self.accepted(network) if self.terms.ends_at(each.request) <= surely_s
        ]

    def under_way(self, network: str) -> list[Held]:
        """What is signed on ``network`` and has not ended, in the order of nonces."""
        return self._all("network = ? and state in ('signed', 'sent') order by nonce", network)

    def next_nonce(self, network: str) -> int | None:
        """The nonce after the last one that was used on ``network``; None if none was."""
        row = self._file.execute(
            "select max(nonce) + 1 as next from transfers where network = ?", (network,)
        ).fetchone()
        return None if row["next"] is None else int(row["next"])

    def next_number(self) -> int:
        """The number after the last one that was used in any contract; 1 if none was."""
        row = self._file.execute("select max(number) + 1 as next from transfers").fetchone()
        return int(row["next"] or 1)

    def sign(self, of: Held, *, number: int, nonce: int, raw: bytes, tx_hash: str) -> Held:
        """Keep the bytes of its transaction; they never change. Returns it as it is now."""
        self._file.execute(
            "update transfers set state = 'signed', number = ?, nonce = ?, raw = ?, tx_hash = ?"
            " where n = ? and state = 'accepted'",
            (number, nonce, raw, tx_hash, of.n),
        )
        found = self._one("n = ?", of.n)
        assert found is not None  # nothing is ever deleted
        return found

    def adopt(self, of: Held, *, tx_hash: str) -> None:
        """Keep which transaction has moved it, though none is on record: a lost file had it."""
        self._file.execute(
            "update transfers set state = 'sent', tx_hash = ? where n = ? and state = 'accepted'",
            (tx_hash, of.n),
        )

    def note(self, of: Held, state: str, *, block_number: int | None = None) -> None:
        """Keep how far its transaction has come."""
        self._file.execute(
            "update transfers set state = ?, block_number = ? where n = ?",
            (state, block_number, of.n),
        )

    def accepted(self, network: str) -> list[Held]:
        """What was taken on ``network`` and is not signed yet, the oldest first."""
        return self._all("network = ? and state = 'accepted' order by n", network)

    def _waits_for(self, held: Held, now_s: float) -> str:
        """Why an accepted transfer is not signed now; empty if nothing speaks against it."""
        if self.terms.ends_at(held.request) <= now_s:
            return "nothing: its approval has expired"
        condition = self.condition()
        if condition.state != "normal":
            return f"{condition.state}: {condition.reason}"
        if now_s < held.release_at:
            return f"its delay, which ends in {held.release_at - now_s:.0f} s"
        if not self.terms.is_open(now_s):
            return f"the window of the day, which opens {self.terms.opens_s} s after midnight UTC"
        return ""

    def _shown(self, held: Held, now_s: float) -> Any:
        waits_for = self._waits_for(held, now_s) if held.state == "accepted" else ""
        return self.shows.model_validate(
            {
                **held.request.model_dump(exclude={"approvals"}),
                "state": held.state,
                "waits_for": waits_for,
                "release_at": held.release_at,
                "tx_hash": held.tx_hash,
                "block_number": held.block_number,
            }
        )

    def _one(self, where: str, *values: Any) -> Held | None:
        found = self._all(where, *values)
        return found[0] if found else None

    def _all(self, where: str, *values: Any) -> list[Held]:
        rows = self._file.execute(f"{_READ} {where}", values)
        return [
            Held(
                n=row["n"],
                request=self.asks.model_validate(json.loads(row["request"])),
                release_at=row["release_at"],
                state=row["state"],
                number=row["number"],
                nonce=row["nonce"],
                raw=row["raw"],
                tx_hash=row["tx_hash"],
                block_number=row["block_number"],
            )
            for row in rows
        ]

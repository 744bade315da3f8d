"""Approvals: what operators ask a reserve's contract for, and what approvers sign.

A request becomes a message that names buckets, destination, amount and use; approvers sign it with
keys of their own and hand the signatures in here. Nothing moves before the contract has found them
enough, and nothing here can make it move: the settler only passes on what was signed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from uuid import UUID, uuid4

import asyncpg

from seawall.controls.sizing import lane_caps, signer_caps
from seawall.conventions.components import OPERATOR_PROCESS
from seawall.errors import ServiceError, UsageError
from seawall.ethereum.keys import signature_from_der
from seawall.formats.venue_config import VenueConfig
from seawall.policy import Policy
from seawall.policy.model import ApprovalLane
from venue.contracts.approvals import (
    Approval,
    Home,
    Message,
    RequestKind,
    kind_of,
    recorded,
    review_message,
    signer_of,
    veto_message,
)
from venue.contracts.calls import NATIVE
from venue.database import Connection
from venue.ledger.chart import payout_routes
from venue.ledger.journal import append
from venue.operator.access import Operator

Act: TypeAlias = Literal["approve", "veto", "review"]
USE_LENGTH_MAX = 500
_SIGNATURE_BYTES = 65
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")

_REQUEST = """
    insert into approval_requests (id, kind, network, from_wallet, to_wallet, from_bucket,
                                   to_bucket, to_class, to_address, asset, token, amount, use,
                                   not_before, expires, operator, requester, needed,
                                   needed_for_review, digest)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
            $20)"""
_FIND = """
    select r.*, s.executed, s.vetoed,
           r.expires <= extract(epoch from clock_timestamp()) as expired
    from approval_requests r join approval_standing s on s.request_id = r.id where r.id = $1"""
_SIGN = """
    insert into approval_signatures (request_id, act, address, operator, signature, finding)
    values ($1, $2, $3, $4, $5, $6) on conflict do nothing returning true"""
_APPROVE = "select approve_request($1)"
_LIST = """
    select r.id, r.kind, r.network, r.from_wallet, r.to_wallet, r.to_address, r.asset,
           r.amount::text as amount, r.use, r.not_before, r.expires, r.operator, r.needed,
           r.needed_for_review, s.approvals, s.vetoes, s.reviews, s.ready_at,
           case when s.vetoed then 'vetoed'
                when s.reviewed then 'reviewed'
                when s.executed then 'executed'
                when s.vetoes > 0 then 'to be vetoed'
                when r.expires <= extract(epoch from clock_timestamp()) then 'expired'
                when s.proposed then 'proposed'
                when s.approved then 'approved'
                else 'asked' end as state,
           '0x' || encode(r.digest, 'hex') as digest
    from approval_requests r join approval_standing s on s.request_id = r.id
    order by r.at desc limit $1"""


class NotAllowedError(UsageError):
    """The operator may not sign this: it is their own request, or they are no approver of it."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for.

    ``wallet`` is the reserve, ``to`` another wallet of its network. Of a transfer ``amount`` is in
    base units of ``asset``. Of a recipient ``address`` is the new contract of the hot wallet
    ``to``. ``use`` says what it is for. ``not_before`` is Unix seconds, None: from now on.
    """

    kind: RequestKind
    wallet: str
    to: str
    use: str
    asset: str | None = None
    amount: int | None = None
    address: str | None = None
    not_before: int | None = None


@dataclass(frozen=True, kw_only=True)
class Approvals:
    """Requests and signatures under ``policy``, of the contracts and approvers of ``config``."""

    config: VenueConfig
    policy: Policy

    async def request(
        self, connection: Connection, wanted: Wanted, *, operator: Operator, now_s: int
    ) -> dict[str, Any]:
        """Put a request on record; its id, digest and the document to be signed.

        Raises :class:`UsageError` for one that the contract, or a cap, would never let through.
        """
        approval = self._approval(wanted, operator=operator, now_s=now_s)
        home = self._home(wanted.wallet)
        to = self.policy.wallets[wanted.to]
        body: dict[str, str | int | None] = {
            "approval": str(approval.id),
            "kind": wanted.kind,
            "from": wanted.wallet,
            "to": wanted.to,
            "address": approval.to,
            "asset": wanted.asset,
            "amount": str(approval.amount),
            "operator": operator.name,
        }
        digest = approval.message.digest(home)
        async with connection.transaction():
            await append(
                connection,
                writer=OPERATOR_PROCESS,
                kind="approval requested",
                justification=approval.use,
                body=body,
            )
            await connection.execute(
                _REQUEST,
                *(approval.id, wanted.kind, to.network, wanted.wallet, wanted.to),
                *(approval.from_bucket, approval.to_bucket, to.wallet_class, approval.to),
                *(wanted.asset, approval.token, approval.amount, approval.use),
                *(approval.not_before, approval.expires, operator.name, approval.requester),
                *(self._lane(wanted.kind).needed, self.policy.approvals.routine.needed, digest),
            )
        return _to_sign(approval.message, home) | {"approval": str(approval.id)}

    async def message(
        self, connection: Connection, approval: UUID, act: Act, said: str
    ) -> dict[str, Any]:
        """What is to be signed for ``act``: digest and document. Raises :class:`UsageError`."""
        row = await self._find(connection, approval)
        return _to_sign(_message(row, act, said), self._home(row["from_wallet"]))

    async def sign(
        self,
        connection: Connection,
        approval: UUID,
        act: Act,
        *,
        signature: bytes,
        said: str,
        operator: Operator,
    ) -> bool:
        """Keep an approver's signature; whether the request is approved by it.

        Args:
            connection: As the operator api, not in a transaction.
            approval: Which one.
            act: ``approve`` it, ``veto`` it, or ``review`` what the fast lane moved.
            signature: 65 bytes, or as a key service gives it (DER).
            said: Why; of a review it is the finding, which is signed.
            operator: Whose key must have made the signature.

        Raises :class:`NotAllowedError`, :class:`UsageError`.
        """
        row = await self._find(connection, approval)
        self._check_right(row, act, operator)
        _check_state(row, act)
        digest = _message(row, act, said).digest(self._home(row["from_wallet"]))
        kept = canonical(digest, signature, key=operator.key or "")
        async with connection.transaction():
            await append(
                connection,
                writer=OPERATOR_PROCESS,
                kind=f"approval: {act}",
                justification=said,
                body={"approval": str(approval), "operator": operator.name},
            )
            finding = said if act == "review" else None
            try:
                new = await connection.fetchval(
                    _SIGN, approval, act, operator.key, operator.name, kept, finding
                )
            except asyncpg.RaiseError as error:
                raise UsageError(str(error)) from error
            if not new:
                raise UsageError(f"{operator.name} has signed that before")
            return act == "approve" and bool(await connection.fetchval(_APPROVE, approval))

    async def listed(self, connection: Connection, *, limit: int) -> list[dict[str, Any]]:
        """The last ``limit`` requests, newest first, with how far each has come."""
        return [dict(row) for row in await connection.fetch(_LIST, limit)]

    def _approval(self, wanted: Wanted, *, operator: Operator, now_s: int) -> Approval:
        network = self._check_wallets(wanted)
        declared = self.policy.approvals
        lane = self._lane(wanted.kind)
        expires = now_s + declared.expires_after // 1_000
        not_before = now_s if wanted.not_before is None else wanted.not_before
        if not now_s <= not_before < expires - lane.cooling // 1_000:
            raise UsageError(
                f"{not_before} is too late, or past",
                remedy=f"leave the delay before {expires}, when the approval expires",
            )
        if not wanted.use.strip() or len(wanted.use) > USE_LENGTH_MAX:
            raise UsageError(
                "a request says what it is for", remedy=f"in at most {USE_LENGTH_MAX} characters"
            )
        token, amount = NATIVE, 0
        if wanted.kind != "recipient":
            token, amount = self._money(wanted, network, lane)
        return Approval(
            kind=kind_of(wanted.kind),
            id=uuid4(),
            from_bucket=self.policy.wallets[wanted.wallet].bucket,
            to_bucket=self.policy.wallets[wanted.to].bucket,
            to=self._destination(wanted),
            token=token,
            amount=amount,
            use=wanted.use.strip(),
            not_before=not_before,
            expires=expires,
            requester=operator.key or NATIVE,
        )

    def _check_wallets(self, wanted: Wanted) -> str:
        """The network of a request between wallets that can be asked for."""
        reserves = {route.reserve for route in payout_routes(self.policy).values()}
        if wanted.wallet not in reserves:
            raise UsageError(
                f"{wanted.wallet} has no lane that could hand an approval to its contract",
                remedy=f"name one of {', '.join(sorted(reserves))}",
            )
        own, to = self.policy.wallets[wanted.wallet], self.policy.wallets.get(wanted.to)
        if to is None or to.network != own.network or wanted.to == wanted.wallet:
            raise UsageError(
                f"{wanted.to} is no other wallet on {own.network}", remedy="name a wallet there"
            )
        market = self.policy.marketplace
        if market is not None and to.bucket == market.escrow:
            raise UsageError(
                f"{wanted.to} stands against what is in escrow, and what is moved there would leave"
                " no more room for bids",
                remedy="send it from outside, and identify what is booked as the bucket's own",
            )
        if wanted.kind == "recipient" and wanted.to != self.policy.refilled_by(wanted.wallet):
            raise UsageError(
                f"{wanted.wallet} refills {self.policy.refilled_by(wanted.wallet)}, not {wanted.to}"
            )
        return own.network

    def _destination(self, wanted: Wanted) -> str:
        if wanted.kind != "recipient":
            if wanted.address is not None:
                raise UsageError("a transfer goes to a wallet", remedy="name no address")
            return self.config.holder_of(self.policy, wanted.to)
        address = wanted.address or ""
        if not _ADDRESS.fullmatch(address) or not int(address, 16):
            raise UsageError(
                f"{address or 'nothing'} is no address of a contract",
                remedy="give 0x and 40 hexadecimal digits",
            )
        return address.lower()

    def _money(self, wanted: Wanted, network: str, lane: ApprovalLane) -> tuple[str, int]:
        """Token and base units of a transfer that fits into both caps."""
        asset, amount = wanted.asset or "", wanted.amount or 0
        for wallet in (wanted.wallet, wanted.to):
            if asset not in self.policy.wallets[wallet].holdings:
                raise UsageError(f"{wallet} holds no {asset or 'asset without a name'}")
        most = min(
            lane_caps(self.policy, wanted.wallet, lane)[asset],
            signer_caps(self.policy, wanted.wallet).amounts.get(asset, 0),
        )
        if not 0 < amount <= most:
            raise UsageError(
                f"{amount} base units of {asset} cannot be moved at once",
                remedy=f"ask for 1 to {most}: the lane's cap, or what its signer signs in a window",
            )
        native = self.policy.networks[network].native
        return (
            NATIVE if asset == native else self.config.networks[network].tokens[asset].lower(),
            amount,
        )

    def _check_right(self, row: Mapping[str, Any], act: Act, operator: Operator) -> None:
        declared = self.policy.approvals
        lanes = {
            "approve": (self._lane(row["kind"]),),
            "veto": (declared.routine, declared.emergency),
            "review": (declared.routine,),
        }[act]
        keys = {
            address.lower()
            for lane in lanes
            for role, address in self.config.approvers.items()
            if role in lane.approvers
        }
        if operator.key not in keys:
            raise NotAllowedError(f"the key of {operator.name} is none of those that {act} this")
        if act != "veto" and (operator.name == row["operator"] or operator.key == row["requester"]):
            raise NotAllowedError(f"{operator.name} has asked for this, and cannot {act} it")

    def _lane(self, kind: RequestKind) -> ApprovalLane:
        declared = self.policy.approvals
        return declared.emergency if kind == "fast_transfer" else declared.routine

    def _home(self, wallet: str) -> Home:
        site = self.config.networks[self.policy.wallets[wallet].network]
        contract = site.contract_of(wallet)
        if contract is None:
            raise UsageError(f"the configuration names no contract of {wallet}")
        return Home(chain_id=site.chain_id, contract=contract.lower())

    async def _find(self, connection: Connection, approval: UUID) -> Mapping[str, Any]:
        row = await connection.fetchrow(_FIND, approval)
        if row is None:
            raise UsageError(f"nobody has asked for approval {approval}")
        return dict(row)


def _check_state(row: Mapping[str, Any], act: Act) -> None:
    if act == "review":
        if row["kind"] != "fast_transfer" or not row["executed"]:
            raise UsageError("only what the fast lane has moved is reviewed")
    elif row["executed"] or row["vetoed"]:
        raise UsageError(f"it is {'executed' if row['executed'] else 'vetoed'} already")
    elif row["expired"]:
        raise UsageError("it has expired", remedy="ask for it again")


def _message(row: Mapping[str, Any], act: Act, said: str) -> Message:
    if act == "veto":
        return veto_message(row["id"])
    if act == "review":
        return review_message(row["id"], said)
    return recorded(row).message


def _to_sign(message: Message, home: Home) -> dict[str, Any]:
    return {"digest": "0x" + message.digest(home).hex(), "document": message.document(home)}


def canonical(digest: bytes, signature: bytes, *, key: str) -> bytes:
    """The form of ``signature`` that a contract takes, checked to be by ``key``.

    Raises :class:`UsageError`.
    """
    try:
        if len(signature) != _SIGNATURE_BYTES:
            return signature_from_der(signature, digest=digest, address=key).recoverable
        if signer_of(digest, signature) == key:
            return signature
    except (ValueError, ServiceError) as error:
        raise UsageError(f"not a signature of it: {error}") from error
    raise UsageError(f"not a signature of it by {key}", remedy="sign the digest that is shown")

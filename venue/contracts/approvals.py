"""Approvals: what people sign so that a reserve's contract does more than refill its hot wallet.

An approval is a typed message (EIP-712, https://eips.ethereum.org/EIPS/eip-712), bound to one
contract on one chain. It names buckets, destination, amount and use, and is good for once.
Approvers sign it with keys of their own; `reserve.vy` checks the signatures. Calldata has the
digests of its texts, as the message has.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal
from uuid import UUID

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError

from seawall.ethereum.keys import keccak256, recover_address, recoverable, selector


class Kind(IntEnum):
    """What an approval is good for, as in reserve.vy."""

    TRANSFER = 1
    RECIPIENT = 2
    FAST_TRANSFER = 3


class State(IntEnum):
    """What the contract has done with an approval, as in reserve.vy."""

    UNUSED = 0
    PROPOSED = 1
    EXECUTED = 2
    VETOED = 3
    REVIEWED = 4


SIGNATURES_MAX = 16
"""Signatures of one call; the bound of the contract's array."""
PROPOSE_GAS_BASE = 120_000
GAS_PER_SIGNATURE = 9_000
"""Measured: 7,600, with its calldata. A proposal of two takes 114,700, one of 16 221,200."""
EXECUTE_GAS_LIMIT = 300_000
"""Measured: 99,000 for coins, 196,000 for a token in the fast lane behind seven unreviewed ones.

What the token may use (TOKEN_CALL_GAS of payments.vy) must be left when it is called.
"""
VETO_GAS_LIMIT = 60_000
"""Measured: 36,500."""
REVIEW_GAS_BASE = 100_000
"""Measured: 83,800 for the eighth of eight, with three signatures."""
NAME = "Seawall reserve"
VERSION = "1"
_DOMAIN = {
    "name": "string",
    "version": "string",
    "chainId": "uint256",
    "verifyingContract": "address",
}
_MESSAGES: Mapping[str, Mapping[str, str]] = {
    "Approval": {
        "kind": "uint256",
        "id": "bytes16",
        "fromBucket": "string",
        "toBucket": "string",
        "to": "address",
        "token": "address",
        "amount": "uint256",
        "use": "string",
        "notBefore": "uint256",
        "expires": "uint256",
        "requester": "address",
    },
    "Veto": {"id": "bytes16"},
    "Review": {"id": "bytes16", "finding": "string"},
}
_STRUCT = (
    "(uint256,bytes16,bytes32,bytes32,address,address,uint256,bytes32,uint256,uint256,address)"
)
_PROPOSE = selector(f"propose({_STRUCT},bytes[])")
_EXECUTE = selector(f"execute({_STRUCT})")
_VETO = selector("veto(bytes16,bytes)")
_REVIEW = selector("review(bytes16,bytes32,bytes[])")
_STATE = selector("state(bytes16)")
_READY_AT = selector("ready_at(bytes16)")
_RECIPIENT = selector("recipient()")
_FAST_LANE_OPEN = selector("fast_lane_open()")
_SELECTOR_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class Home:
    """Where a message counts: one contract on one chain."""

    chain_id: int
    contract: str


@dataclass(frozen=True, kw_only=True)
class Message:
    """A typed message: its ``type`` and the values of its fields, by name in their order."""

    type: str
    values: Mapping[str, Any]

    def digest(self, home: Home) -> bytes:
        """The 32 bytes that are signed."""
        domain = _struct(
            "EIP712Domain",
            _DOMAIN,
            {
                "name": NAME,
                "version": VERSION,
                "chainId": home.chain_id,
                "verifyingContract": home.contract,
            },
        )
        content = _struct(self.type, _MESSAGES[self.type], self.values)
        return keccak256(b"\x19\x01" + domain + content)

    def document(self, home: Home) -> dict[str, Any]:
        """The message as wallets show and sign it (``eth_signTypedData_v4``)."""
        return {
            "types": {
                name: [{"name": field, "type": kind} for field, kind in fields.items()]
                for name, fields in (("EIP712Domain", _DOMAIN), (self.type, _MESSAGES[self.type]))
            },
            "primaryType": self.type,
            "domain": {
                "name": NAME,
                "version": VERSION,
                "chainId": str(home.chain_id),
                "verifyingContract": home.contract,
            },
            "message": {
                field: "0x" + value.hex() if isinstance(value, bytes) else str(value)
                for field, value in self.values.items()
            },
        }


@dataclass(frozen=True, kw_only=True)
class Approval:
    """What is approved; ``amount`` is in base units of ``token`` (zero: the native coin).

    ``use`` says in words what the money is for. It may be carried out from ``not_before`` on and
    before ``expires``, Unix seconds. ``requester`` is the key of who asked for it, whose signature
    does not count, and zero for somebody without one. For a :attr:`Kind.RECIPIENT` ``to`` is whom
    the reserve refills from then on, and there is no amount.
    """

    kind: Kind
    id: UUID
    from_bucket: str
    to_bucket: str
    to: str
    token: str
    amount: int
    use: str
    not_before: int
    expires: int
    requester: str

    @property
    def message(self) -> Message:
        """What approvers sign."""
        return Message(
            type="Approval",
            values={
                "kind": int(self.kind),
                "id": self.id.bytes,
                "fromBucket": self.from_bucket,
                "toBucket": self.to_bucket,
                "to": self.to,
                "token": self.token,
                "amount": self.amount,
                "use": self.use,
                "notBefore": self.not_before,
                "expires": self.expires,
                "requester": self.requester,
            },
        )

    @property
    def fields(self) -> tuple[Any, ...]:
        """As the contract takes it: digests instead of texts."""
        return tuple(
            keccak256(value.encode()) if kind == "string" else value
            for kind, value in zip(
                _MESSAGES["Approval"].values(), self.message.values.values(), strict=True
            )
        )


RequestKind = Literal["transfer", "recipient", "fast_transfer"]
_KINDS: Mapping[RequestKind, Kind] = {
    "transfer": Kind.TRANSFER,
    "recipient": Kind.RECIPIENT,
    "fast_transfer": Kind.FAST_TRANSFER,
}


def kind_of(name: RequestKind) -> Kind:
    """The kind that a request on record has this name of."""
    return _KINDS[name]


def recorded(row: Mapping[str, Any]) -> Approval:
    """The approval of a row of ``approval_requests``."""
    return Approval(
        kind=kind_of(row["kind"]),
        id=row["id"],
        from_bucket=row["from_bucket"],
        to_bucket=row["to_bucket"],
        to=row["to_address"],
        token=row["token"],
        amount=int(row["amount"]),
        use=row["use"],
        not_before=row["not_before"],
        expires=row["expires"],
        requester=row["requester"],
    )


def veto_message(approval: UUID) -> Message:
    """What one approver signs so that ``approval`` is never carried out."""
    return Message(type="Veto", values={"id": approval.bytes})


def review_message(approval: UUID, finding: str) -> Message:
    """What approvers sign who have looked at what the fast lane moved."""
    return Message(type="Review", values={"id": approval.bytes, "finding": finding})


def _struct(name: str, fields: Mapping[str, str], values: Mapping[str, Any]) -> bytes:
    """EIP-712's ``hashStruct``."""
    kind = f"{name}({','.join(f'{kind} {field}' for field, kind in fields.items())})"
    words = [
        keccak256(values[field].encode()) if kind == "string" else values[field]
        for field, kind in fields.items()
    ]
    types = ["bytes32" if kind == "string" else kind for kind in fields.values()]
    return keccak256(encode(("bytes32", *types), (keccak256(kind.encode()), *words)))


def signer_of(digest: bytes, signature: bytes) -> str:
    """Whose signature of ``digest`` it is; 65 bytes, as the contract takes them.

    Raises ValueError if it is malformed, or the other one of the two that a key makes (EIP-2).
    """
    return recover_address(digest, recoverable(signature))


def in_order(digest: bytes, signatures: Sequence[bytes]) -> list[bytes]:
    """``signatures`` of ``digest`` in the order of their signers, as the contract takes them.

    Raises ValueError as :func:`signer_of`.
    """
    return sorted(signatures, key=lambda each: int(signer_of(digest, each), 16))


def propose(approval: Approval, signatures: Sequence[bytes]) -> bytes:
    """Calldata that proposes ``approval``; its delay begins in the block that has it."""
    return _PROPOSE + encode((_STRUCT, "bytes[]"), (approval.fields, list(signatures)))


def propose_gas_limit(signatures: int) -> int:
    """Gas limit of a proposal."""
    return PROPOSE_GAS_BASE + GAS_PER_SIGNATURE * signatures


def execute(approval: Approval) -> bytes:
    """Calldata that carries out what was proposed."""
    return _EXECUTE + encode((_STRUCT,), (approval.fields,))


def veto(approval: UUID, signature: bytes) -> bytes:
    """Calldata after which ``approval`` is never carried out; anybody may send it."""
    return _VETO + encode(("bytes16", "bytes"), (approval.bytes, signature))


def review(approval: UUID, finding: str, signatures: Sequence[bytes]) -> bytes:
    """Calldata that reviews what the fast lane moved; anybody may send it."""
    return _REVIEW + encode(
        ("bytes16", "bytes32", "bytes[]"),
        (approval.bytes, keccak256(finding.encode()), list(signatures)),
    )


def review_gas_limit(signatures: int) -> int:
    """Gas limit of a review."""
    return REVIEW_GAS_BASE + GAS_PER_SIGNATURE * signatures


def state(approval: UUID) -> bytes:
    """Calldata that reads the :class:`State` of ``approval``."""
    return _STATE + encode(("bytes16",), (approval.bytes,))


def ready_at(approval: UUID) -> bytes:
    """Calldata that reads from when on ``approval`` is carried out: Unix seconds, 0 if never."""
    return _READY_AT + encode(("bytes16",), (approval.bytes,))


def recipient() -> bytes:
    """Calldata that reads whom a reserve refills."""
    return _RECIPIENT


def fast_lane_open() -> bytes:
    """Calldata that reads whether the fast lane moves anything, 0 or 1."""
    return _FAST_LANE_OPEN


@dataclass(frozen=True, kw_only=True)
class Movement:
    """What an approval moves once it is executed: ``amount`` base units of ``token``."""

    to: str
    token: str
    amount: int


CallName = Literal["propose", "execute", "veto", "review"]


@dataclass(frozen=True, kw_only=True)
class Called:
    """A call of a reserve's contract: what it does with which approval, and what it moves."""

    name: CallName
    approval: UUID
    moves: Movement | None = None


_CALLS: Mapping[bytes, tuple[CallName, tuple[str, ...]]] = {
    _PROPOSE: ("propose", (_STRUCT, "bytes[]")),
    _EXECUTE: ("execute", (_STRUCT,)),
    _VETO: ("veto", ("bytes16", "bytes")),
    _REVIEW: ("review", ("bytes16", "bytes32", "bytes[]")),
}


@functools.lru_cache(maxsize=16)
def read(data: bytes) -> Called | None:
    """What calldata of this module does; None for any other.

    The last few are remembered: who signs a call asks three times what it does.

    Raises ValueError for such a call that is not written as here: it could be read in two ways.
    """
    if data[:_SELECTOR_BYTES] not in _CALLS:
        return None
    name, types = _CALLS[data[:_SELECTOR_BYTES]]
    try:
        values = decode(types, data[_SELECTOR_BYTES:])
    except DecodingError as error:
        raise ValueError(f"no {name} of an approval: {error}") from error
    if data[:_SELECTOR_BYTES] + encode(types, values) != data:
        raise ValueError(f"a {name} of an approval in another layout")
    if name in {"veto", "review"}:
        return Called(name=name, approval=UUID(bytes=values[0]))
    kind, identity, _, _, to, token, amount, *_ = values[0]
    moves = name == "execute" and kind != Kind.RECIPIENT
    return Called(
        name=name,
        approval=UUID(bytes=identity),
        moves=Movement(to=to, token=token, amount=amount) if moves else None,
    )

"""The messages between settler and signer, and a refusal as an error."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from seawall.errors import ServiceError
from seawall.ethereum.keys import to_bytes
from venue.chain.transaction import Fees, Intent

SignRefusalCode: TypeAlias = Literal[
    "stale_epoch",
    "stale_mode",
    "no_slot",
    "digest_conflict",
    "over_cap",
    "provider_unavailable",
    "records_unavailable",
    "log_unavailable",
    "throttled",
    "bad_request",
    "unknown_caller",
    "not_allowed",
]


def _whole(value: object) -> object:
    if isinstance(value, str) and not value.isdecimal():
        raise ValueError("write a whole number in decimal")
    return value


def _data(value: object) -> object:
    return to_bytes(value) if isinstance(value, str) else value


BigInt = Annotated[int, BeforeValidator(_whole), PlainSerializer(str, return_type=str), Field(ge=0)]
Hex = Annotated[
    bytes, BeforeValidator(_data), PlainSerializer(lambda data: "0x" + data.hex(), return_type=str)
]
Address = Annotated[str, Field(pattern=r"^0x[0-9a-f]{40}$")]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SignRequest(_Message):
    """An intent, its fees, and the epoch under which the caller holds the lane.

    Large numbers are decimal strings in JSON.
    """

    wallet: str
    chain_id: int
    address: Address
    nonce: int = Field(ge=0)
    epoch: int
    to: Address
    value: BigInt
    data: Hex
    gas_limit: int = Field(gt=0)
    max_fee_wei: BigInt
    priority_fee_wei: BigInt

    @property
    def intent(self) -> Intent:
        """What the nonce is to be used for."""
        return Intent(
            chain_id=self.chain_id,
            sender=self.address,
            nonce=self.nonce,
            to=self.to,
            value=self.value,
            data=self.data,
        )

    @property
    def fees(self) -> Fees:
        """What inclusion may cost."""
        return Fees(
            gas_limit=self.gas_limit,
            max_fee_wei=self.max_fee_wei,
            priority_fee_wei=self.priority_fee_wei,
        )


class Signed(_Message):
    """The stored signature: signed bytes, the region that made it, the digest of the intent."""

    raw: Hex
    tx_hash: str
    region: str
    digest: Hex


class ProveRequest(_Message):
    """A proof of key control (`seawall.keys.proofs`) that the key of ``wallet`` is to sign."""

    wallet: str
    text: str


class Proven(_Message):
    """A signed proof: r, s and v in 65 bytes; ``number`` is its row in the proof log."""

    number: int
    address: Address
    region: str
    signature: Hex


class Refused(_Message):
    """Why there is no signature."""

    code: SignRefusalCode
    reason: str


class SigningRefusedError(ServiceError):
    """The signer refused; ``code`` is the kind of refusal."""

    def __init__(self, code: SignRefusalCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason

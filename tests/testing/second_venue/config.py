"""The configuration of the second venue: one JSON file for both processes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Vice = Literal[
    "none",
    "pays-twice",
    "loses",
    "lies",
    "nonsense",
    "hangs",
    "redirects",
    "accepts-twice",
    "blanks",
]
"""What the venue does wrong on purpose, so that a drill or a verifier can be seen to notice it.

- ``pays-twice``: every n-th payout is sent a second time, under another nonce.
- ``loses``: every n-th payout is deleted after it was acknowledged, and never paid.
- ``lies``: every n-th payout is called paid, with an invented transaction, and never sent.
- ``nonsense``: POST /payouts answers 200 with a page of HTML, and takes nothing.
- ``hangs``: GET /wallet never answers.
- ``redirects``: GET /service sends its caller to another host.
- ``accepts-twice``: the same reference makes another payout, and is debited again.
- ``blanks``: every n-th customer's wallet shows no holdings.
"""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Coin(_Part):
    """What customers hold under one name: an asset of one network.

    ``token`` is the address of an ERC-20 contract; None for the network's native asset.
    """

    network: str
    decimals: int = Field(ge=0, le=36)
    token: str | None = None


class Network(_Part):
    """A network, and the plain address that pays on it (``secret`` is its private key, hex).

    ``confirmations``: how many blocks on top make a payout final; None asks the node for its own
    finalized block. ``in_flight_max`` bounds the nonces that are signed and not final.
    """

    chain_id: int
    node: str
    secret: str = Field(repr=False)
    confirmations: int | None = Field(default=None, ge=0)
    in_flight_max: int = Field(default=600, gt=0)


class Customer(_Part):
    """A customer's secret, and the opening holdings in decimals by coin."""

    secret: str = Field(repr=False)
    holdings: dict[str, str]


class Config(_Part):
    """The whole file; ``payer_port`` only shows that the payer is awake."""

    database: Path
    api_port: int
    payer_port: int
    networks: dict[str, Network]
    coins: dict[str, Coin]
    customers: dict[str, Customer]
    vice: Vice = "none"
    vice_every: int = Field(default=20, gt=0)

    def strikes(self, vice: Vice, number: int) -> bool:
        """Whether this venue has ``vice``, and the payout or customer ``number`` is hit by it."""
        return self.vice == vice and number % self.vice_every == 0


def load(path: Path) -> Config:
    """Read the file. Raises OSError and ValueError."""
    return Config.model_validate_json(path.read_text(encoding="utf-8"))

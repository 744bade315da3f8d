"""The secrets of a counterparty that keeps money for the venue of a sandbox."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Self

from coincurve import PrivateKey

from seawall.ethereum.keys import address_of_private_key


@dataclass(frozen=True, kw_only=True)
class Keeper:
    """A counterparty made for one sandbox.

    ``key`` is that which its contracts obey, ``client`` what the venue shows it, ``control`` what
    its own people do.
    """

    key: bytes
    client: str
    control: str

    @classmethod
    def fresh(cls) -> Self:
        """One with secrets of its own."""
        return cls(
            key=PrivateKey(secrets.token_bytes(32)).secret,
            client=secrets.token_urlsafe(32),
            control=secrets.token_urlsafe(32),
        )

    @property
    def address(self) -> str:
        """The address of its key."""
        return address_of_private_key(self.key)

"""Refusals of the signer, as errors; each is one answer of its protocol."""

from __future__ import annotations

from seawall.errors import ServiceError
from venue.signer.protocol import Refusal


class SigningRefusedError(ServiceError):
    """The signer said no; ``code`` says in which way."""

    def __init__(self, code: Refusal, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason

"""Who may ask a signer for what.

Each caller shows a secret of its own, of which the signer knows the SHA-256 alone. Nothing of a
request is read before that, and the secret is neither kept nor logged.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from seawall.conventions.signing import fingerprint, shown
from seawall.formats.venue_config import SignerAct, SignerCaller
from venue.signer.protocol import SigningRefusedError


@dataclass(frozen=True, kw_only=True)
class Callers:
    """The callers that a signer knows, by name."""

    known: Mapping[str, SignerCaller]

    def check(self, authorization: str | None, act: SignerAct) -> None:
        """Require that whoever sent this ``Authorization`` header is known and may ``act``.

        Every known secret is compared, each in constant time, so that how long it takes tells
        nothing of them.

        Raises :class:`SigningRefusedError` (``unknown_caller``, ``not_allowed``).
        """
        found = fingerprint(shown(authorization or ""))
        names = [
            name for name, caller in self.known.items() if hmac.compare_digest(found, caller.sha256)
        ]
        if not names:
            raise SigningRefusedError("unknown_caller", "show the credential of a known caller")
        if not any(act in self.known[name].may for name in names):
            raise SigningRefusedError("not_allowed", f"{names[0]} may not {act}")

"""The records of the reference venue, read from PostgreSQL as the auditor; no code of the venue.

In: ``settings`` of a deployment file: ``auditor_url_file`` and ``sign_log_url_file``, files of mode
0600 with the URLs of the read-only roles of the venue's database and of its signers' own. Out:
:class:`ReferenceVenueRecords`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapters.reference_venue.records import export_records, read_state, under_way
from seawall.conventions.evidence import Port
from seawall.errors import UsageError
from seawall.formats.venue_records import VenueState

OFFERS: tuple[Port, ...] = (
    "withdrawals",
    "ledger",
    "mode_changes",
    "flow",
    "instructions",
    "signatures",
    "top_ups",
    "surpluses",
    "decisions",
    "orders",
    "promises",
)
"""What the exported tables hold. The nonces of ``signatures`` are counted on the chains."""


@dataclass(frozen=True, kw_only=True)
class ReferenceVenueRecords:
    """As `seawall.formats.venue_records.VenueRecords` says; every call opens its own connection."""

    url_file: Path
    sign_log_url_file: Path
    offers: tuple[Port, ...] = OFFERS

    def auditor_url(self) -> str:
        """PostgreSQL URL of the auditor. Raises :class:`UsageError` if its file is unreadable."""
        return _read(self.url_file)

    def state(self) -> VenueState | None:
        """The venue now; None while the database is too busy to answer."""
        return asyncio.run(read_state(self.auditor_url()))

    def unfinished(self) -> int:
        """Withdrawals and transactions on their way. Raises :class:`EvidenceError`."""
        return asyncio.run(under_way(self.auditor_url()))

    def export(self, into: Path) -> None:
        """Write every table as CSV under ``into``. Raises :class:`EvidenceError`."""
        asyncio.run(export_records(self.auditor_url(), _read(self.sign_log_url_file), into=into))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def connect(settings: Mapping[str, str]) -> ReferenceVenueRecords:
    """The records that ``settings`` lead to. Raises :class:`UsageError` for a missing setting."""
    try:
        return ReferenceVenueRecords(
            url_file=Path(settings["auditor_url_file"]),
            sign_log_url_file=Path(settings["sign_log_url_file"]),
        )
    except KeyError as error:
        raise UsageError(f"the deployment file's venue.settings lack {error}") from error

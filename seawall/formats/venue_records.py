"""How the kit reads a venue's own records: the interface that every adapter fulfils.

A deployment file names an adapter by its Python module. The module has one function,
``connect(settings) -> VenueRecords``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from seawall.conventions.evidence import Port
from seawall.errors import UsageError
from seawall.formats.deployment import Deployment


@dataclass(frozen=True, kw_only=True)
class VenueState:
    """The venue at one instant, for people to watch; no verdict rests on it.

    ``oldest_s`` is the age of the oldest withdrawal that is not resolved. None is what the venue
    does not say.
    """

    tier: str
    open_withdrawals: int | None = None
    oldest_s: float | None = None
    posted: int | None = None
    signing_region: str | None = None


class VenueRecords(Protocol):
    """Read-only access to a venue's records.

    ``offers`` are the kinds of evidence that :meth:`export` writes.
    """

    @property
    def offers(self) -> tuple[Port, ...]:
        """As above."""
        ...

    def state(self) -> VenueState | None:
        """The venue now; None while its records do not answer.

        It is called in a thread of its own. Whatever it raises, and an answer that takes seconds,
        count as None.
        """
        ...

    def unfinished(self) -> int:
        """How many withdrawals and transactions are not in their final state.

        Raises :class:`EvidenceError` when the records do not answer.
        """
        ...

    def export(self, into: Path) -> None:
        """Write the records as files under ``into``; half an export is no evidence.

        Raises :class:`EvidenceError` when they cannot be read to the end.
        """
        ...

    def auditor_url(self) -> str:
        """PostgreSQL URL of a read-only role, for checks that look up single rows."""
        ...


def connect(deployment: Deployment) -> VenueRecords:
    """The records of the venue of ``deployment``.

    Raises :class:`UsageError` if it names no adapter, or one that is not there.
    """
    if deployment.venue.records is None:
        raise UsageError(f"{deployment.path} names no adapter for the venue's records")
    try:
        module = importlib.import_module(deployment.venue.records)
    except ImportError as error:
        raise UsageError(
            f"the adapter {deployment.venue.records} cannot be loaded: {error}",
            remedy="name a Python module that is below the repository, such as"
            " adapters.reference_venue",
        ) from error
    settings: Mapping[str, str] = deployment.venue.settings
    records: VenueRecords = module.connect(settings)
    return records

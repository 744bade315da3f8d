"""What the api's handlers work with."""

from __future__ import annotations

from dataclasses import dataclass

from seawall.policy import Policy
from venue.api.directory import Directory
from venue.api.exchange import Exchange
from venue.api.flusher import Flusher
from venue.database import Pool


@dataclass(frozen=True, kw_only=True)
class Services:
    """Made once per process."""

    policy: Policy
    pool: Pool
    directory: Directory
    flusher: Flusher
    exchange: Exchange
    own_addresses: frozenset[str]

"""KMS clients of the segregation drill: one for every principal in every region."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound
from botocore.session import Session as BotocoreSession

from seawall.errors import ServiceError, UsageError
from seawall.keys.access import Principal

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=5, read_timeout=10
)


class Actors(Protocol):
    """Clients by principal; safe to ask from several threads.

    Raises :class:`WorldError` or :class:`UsageError` for a principal that cannot be taken on.
    """

    def kms(self, principal: Principal, region: str) -> KMSClient:
        """KMS of ``region`` as ``principal``."""
        ...


class ProfileActors:
    """Every principal by an AWS profile that is called like its role.

    Profiles are those in ``config_file``, or without it those of the user's AWS configuration.
    """

    def __init__(self, config_file: Path | None = None) -> None:
        self._config_file = config_file
        self._lock = threading.Lock()
        self._sessions: dict[str, boto3.Session] = {}
        self._clients: dict[tuple[str, str], KMSClient] = {}

    def kms(self, principal: Principal, region: str) -> KMSClient:
        """KMS of ``region`` as ``principal``."""
        with self._lock:
            if (principal.name, region) not in self._clients:
                session = self._session(principal)
                self._clients[principal.name, region] = session.client(
                    "kms", region_name=region, config=_CONFIG
                )
            return self._clients[principal.name, region]

    def _session(self, principal: Principal) -> boto3.Session:
        """One session per principal: its credentials are taken on once for all regions."""
        if principal.name in self._sessions:
            return self._sessions[principal.name]
        known: dict[str, Any] = {"profile": (None, None, principal.name, None)}
        if self._config_file is not None:
            known["config_file"] = (None, None, str(self._config_file), None)
        try:
            core = BotocoreSession(session_vars=known)
            session = boto3.Session(botocore_session=core)
            session.get_credentials()
        except ProfileNotFound as error:
            raise UsageError(
                f"there is no AWS profile called {principal.name}",
                remedy="write one with the role's ARN and its source_profile, as"
                " docs/real-account.md shows",
            ) from error
        except (ClientError, BotoCoreError) as error:
            raise ServiceError(
                f"the role of {principal.name} cannot be assumed: {error}",
                remedy="bring the stack up with `pulumi up`, then try again",
            ) from error
        self._sessions[principal.name] = session
        return session

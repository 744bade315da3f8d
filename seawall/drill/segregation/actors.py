"""AWS clients of the segregation drill: KMS for every principal in every region, and IAM."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import boto3
from botocore.config import Config

from seawall.aws import session_of_profile
from seawall.keys.access import Principal

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_sts import STSClient

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

    def iam(self, principal: Principal) -> IAMClient:
        """IAM as ``principal``."""
        ...

    def sts(self, principal: Principal, region: str) -> STSClient:
        """STS of ``region`` as ``principal``."""
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

    def iam(self, principal: Principal) -> IAMClient:
        """IAM as ``principal``."""
        with self._lock:
            return self._session(principal).client("iam", config=_CONFIG)

    def sts(self, principal: Principal, region: str) -> STSClient:
        """STS of ``region`` as ``principal``."""
        with self._lock:
            return self._session(principal).client("sts", region_name=region, config=_CONFIG)

    def _session(self, principal: Principal) -> boto3.Session:
        """One session per principal: its credentials are taken on once for all regions."""
        if principal.name in self._sessions:
            return self._sessions[principal.name]
        session = session_of_profile(principal.name, self._config_file)
        self._sessions[principal.name] = session
        return session

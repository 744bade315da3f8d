"""Who tries: a KMS client for every principal in every region."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

from sandbox.identities import Identities, Identity
from seawall.aws import isolated_client
from seawall.errors import ServiceError, UsageError
from seawall.keys.access import Principal

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=5, read_timeout=10
)


class Actors(Protocol):
    """Clients by principal; safe to ask from several threads.

    Raises :class:`WorldError` or :class:`UsageError` for one it cannot be.
    """

    def kms(self, principal: Principal, region: str) -> KMSClient:
        """KMS of ``region`` as ``principal``."""
        ...


class SandboxActors:
    """Every principal of the sandbox, by the credentials of the users who may take on its role."""

    def __init__(self, identities: Identities, *, endpoint: str, account: str, region: str) -> None:
        self._region = region
        self._identities = identities
        self._endpoint = endpoint
        self._account = account
        self._lock = threading.Lock()
        self._credentials: dict[str, dict[str, str]] = {}
        self._clients: dict[tuple[str, str], KMSClient] = {}

    def kms(self, principal: Principal, region: str) -> KMSClient:
        """As the protocol says."""
        with self._lock:
            if (principal.name, region) not in self._clients:
                if principal.name not in self._credentials:
                    self._credentials[principal.name] = self._become(principal)
                self._clients[principal.name, region] = self._client(
                    "kms", region, self._credentials[principal.name]
                )
            return self._clients[principal.name, region]

    def _become(self, principal: Principal) -> dict[str, str]:
        user = {
            "access_key_id": self._identity(principal).access_key_id,
            "secret_access_key": self._identity(principal).secret_access_key,
        }
        if principal.kind == "deployer":
            return user
        sts = self._client("sts", self._region, user)
        try:
            got = sts.assume_role(
                RoleArn=principal.arn(self._account), RoleSessionName="segregation"
            )["Credentials"]
        except (ClientError, BotoCoreError) as error:
            message = f"nobody could become {principal.name}: {error}"
            raise ServiceError(
                message, remedy="bring the stack up with `pulumi up`, then try again"
            ) from error
        return {
            "access_key_id": got["AccessKeyId"],
            "secret_access_key": got["SecretAccessKey"],
            "session_token": got["SessionToken"],
        }

    def _identity(self, principal: Principal) -> Identity:
        people = self._identities
        found: dict[str, Identity | None] = {
            "signer": people.signers.get(str(principal.region), {}).get(str(principal.bucket)),
            "admin": people.admins.get(str(principal.bucket)),
            "break-glass": people.break_glass.get(str(principal.bucket)),
            "approver": people.approvers.get(str(principal.approver)),
            "kit": people.kit,
            "gameday": people.gamedays,
            "deployer": people.deployer,
        }
        identity = found[principal.kind]
        if identity is None:
            message = f"the sandbox has no user who may become {principal.name}"
            raise UsageError(
                message,
                remedy="its policy has changed; remove it with `bin/seawall down` and start another",
            )
        return identity

    def _client(self, service: str, region: str, who: dict[str, str]) -> Any:
        make: Any = isolated_client
        return make(service, region=region, endpoint=self._endpoint, config=_CONFIG, **who)


class ProfileActors:
    """Every principal by a profile of the user's AWS configuration that is called like its role."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], KMSClient] = {}

    def kms(self, principal: Principal, region: str) -> KMSClient:
        """As the protocol says."""
        with self._lock:
            if (principal.name, region) not in self._clients:
                try:
                    session = boto3.Session(profile_name=principal.name, region_name=region)
                except ProfileNotFound as error:
                    message = f"there is no AWS profile called {principal.name}"
                    remedy = "write one with the role's ARN and its source_profile, as docs/real-account.md shows"
                    raise UsageError(message, remedy=remedy) from error
                self._clients[principal.name, region] = session.client("kms", config=_CONFIG)
            return self._clients[principal.name, region]

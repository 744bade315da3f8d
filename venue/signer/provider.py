"""The key provider: the port through which the signer has digests signed, and AWS KMS behind it.

Each wallet is signed for under its own role. The roles are assumed when the process starts, so
signing and failover need no control plane. Each role trusts only the principal of its own bucket,
which the process is: its credentials are those of its environment.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from seawall.controls.timing import PROVIDER_TIMEOUT_MS
from seawall.errors import ServiceError, UsageError
from seawall.ethereum.keys import address_of_public_key_der
from seawall.formats.venue_config import Key, SignerConfig

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_sts import STSClient
    from mypy_boto3_sts.type_defs import CredentialsTypeDef

TIMEOUT_S = PROVIDER_TIMEOUT_MS / 1_000
_START_TIMEOUT_S = 10
_PATIENT = Config(connect_timeout=_START_TIMEOUT_S, read_timeout=_START_TIMEOUT_S)
_REFRESH_BEFORE = timedelta(minutes=15)
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Provider(Protocol):
    """Signs 32 bytes with the key of a wallet; the answer is DER.

    Raises :class:`ServiceError` when it cannot.
    """

    async def sign(self, wallet: str, digest: bytes) -> bytes:
        """The signature of ``digest``."""
        ...


@dataclass(kw_only=True)
class KmsProvider:
    """KMS of one region; made with :meth:`open`, which assumes the roles and checks the keys."""

    region: str
    site: SignerConfig
    threads: int
    _session: boto3.Session = field(init=False)
    _making: threading.Lock = field(default_factory=threading.Lock)
    _clients: dict[str, KMSClient] = field(default_factory=dict)
    _expires: dict[str, datetime] = field(default_factory=dict)
    _threads: ThreadPoolExecutor = field(init=False)
    _brisk: Config = field(init=False)

    def __post_init__(self) -> None:
        self._session = boto3.Session(region_name=self.region)
        self._threads = ThreadPoolExecutor(self.threads, thread_name_prefix="kms")
        # One attempt: a retry would come too late, and the standby region is the retry.
        self._brisk = Config(
            connect_timeout=TIMEOUT_S,
            read_timeout=TIMEOUT_S,
            retries={"total_max_attempts": 1},
            max_pool_connections=self.threads,
            tcp_keepalive=True,
        )

    @classmethod
    async def open(cls, region: str, site: SignerConfig, *, threads: int) -> KmsProvider:
        """Assume the role of every wallet of ``site`` and check its key against its address.

        ``threads`` is how many signatures go on at once.

        Raises :class:`ServiceError`, :class:`UsageError`.
        """
        provider = cls(region=region, site=site, threads=threads)
        await asyncio.gather(
            *(provider._in_thread(provider._assume, wallet) for wallet in site.keys)
        )
        return provider

    def close(self) -> None:
        """End the threads; calls in flight are abandoned."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def sign(self, wallet: str, digest: bytes) -> bytes:
        """The signature of ``digest`` by the wallet's key, in DER."""
        return await self._in_thread(self._sign, wallet, digest)

    async def refresh(self, now: datetime) -> None:
        """Assume roles again whose credentials expire soon; on failure the old ones stay in use."""
        for wallet, expires in list(self._expires.items()):
            if expires - now > _REFRESH_BEFORE:
                continue
            try:
                await self._in_thread(self._assume, wallet)
            except ServiceError as error:
                _log.warning(
                    "credentials of %s end at %s and were not renewed: %s", wallet, expires, error
                )

    async def _in_thread(self, function: Callable[..., _T], *arguments: object) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, function, *arguments
            )
        except (BotoCoreError, ClientError) as error:
            raise ServiceError(
                f"the key provider of {self.region} does not serve: {error}"
            ) from error

    def _sign(self, wallet: str, digest: bytes) -> bytes:
        answer = self._clients[wallet].sign(
            KeyId=self.site.keys[wallet].key_id,
            Message=digest,
            MessageType="DIGEST",
            SigningAlgorithm="ECDSA_SHA_256",
        )
        return answer["Signature"]

    def _assume(self, wallet: str) -> None:
        key = self.site.keys[wallet]
        # boto3's clients are thread-safe, the making of clients is not.
        with self._making:
            sts: STSClient = self._session.client(
                "sts", endpoint_url=self.site.sts_endpoint, config=_PATIENT
            )
            credentials = sts.assume_role(
                RoleArn=key.role_arn, RoleSessionName=f"signer-{self.region}"
            )["Credentials"]
            if wallet not in self._clients:
                _prove(key, wallet, self._kms(credentials, _PATIENT))
            self._clients[wallet] = self._kms(credentials, self._brisk)
        self._expires[wallet] = credentials["Expiration"].astimezone(UTC)

    def _kms(self, credentials: CredentialsTypeDef, config: Config) -> KMSClient:
        return self._session.client(
            "kms",
            endpoint_url=self.site.kms_endpoint,
            config=config,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )


def _prove(key: Key, wallet: str, client: KMSClient) -> None:
    address = address_of_public_key_der(client.get_public_key(KeyId=key.key_id)["PublicKey"])
    if address != key.address.lower():
        raise UsageError(
            f"the key of {wallet} has address {address}, the configuration says {key.address}"
        )

"""boto3 clients against one endpoint, one per service and Region, and their errors."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from seawall.errors import UsageError

_GONE = frozenset(
    {
        "404",
        "NoSuchBucket",
        "NoSuchEntity",
        "NotFound",
        "NotFoundException",
        "ResourceNotFound",
        "ResourceNotFoundException",
    }
)
"""How services say that a resource does not exist; a type adds its own codes in ``gone``."""
_CONNECTIONS_MAX = 32
"""As many as there are workers, so that none waits for a connection."""


def is_gone(error: ClientError) -> bool:
    """Whether ``error`` says that the resource does not exist."""
    return code_of(error) in _GONE


def code_of(error: ClientError) -> str:
    """The code that AWS gave."""
    return error.response.get("Error", {}).get("Code", "Unknown")


class Clients:
    """All clients of one provider process; safe to share between threads.

    Credentials come from the process's environment; without any it raises :class:`UsageError`.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        # the service is chosen at run time, which no overload fits
        self._session: Any = boto3.Session()
        if self._session.get_credentials() is None:
            raise UsageError(
                "no AWS credentials in the environment",
                remedy="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to the deployer's",
            )
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str], Any] = {}

    @cached_property
    def regions(self) -> frozenset[str]:
        """Every Region that botocore has."""
        partitions = self._session.get_available_partitions()
        return frozenset(
            region
            for each in partitions
            for region in self._session.get_available_regions("ec2", partition_name=each)
        )

    def client(self, service: str, region: str) -> Any:
        """The client of ``service`` in ``region``."""
        found = self._made.get((service, region))
        if found is not None:
            return found
        with self._lock:
            if (service, region) not in self._made:
                config = Config(
                    max_pool_connections=_CONNECTIONS_MAX,
                    retries={"total_max_attempts": 3},
                    s3={"addressing_style": "path"},
                )
                self._made[service, region] = self._session.client(
                    service, region_name=region, endpoint_url=self._endpoint, config=config
                )
            return self._made[service, region]


@dataclass(frozen=True, kw_only=True)
class Aws:
    """AWS in the Region of one resource."""

    clients: Clients
    region: str

    def __getattr__(self, service: str) -> Any:
        """``aws.kms`` is the KMS client of the resource's region."""
        if service.startswith("_"):
            raise AttributeError(service)
        return self.clients.client(service, self.region)

    def elsewhere(self, region: str) -> Aws:
        """The same account in another Region."""
        return Aws(clients=self.clients, region=region)

"""A boto3 client with the root credentials of the emulated AWS account, for the set-up."""

from __future__ import annotations

from typing import Any

from seawall.aws import isolated_client
from seawall.conventions.local_aws import ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY


def root_client(service: str, *, endpoint: str, region: str, calls_at_once: int = 1) -> Any:
    """A boto3 client of ``service`` as root of the account behind ``endpoint``.

    Nothing of the user's own AWS configuration counts. Raises what boto3 raises.
    """
    from botocore.config import Config  # noqa: PLC0415 - the constants are needed without boto3

    return isolated_client(
        service,
        endpoint=endpoint,
        region=region,
        access_key_id=ROOT_ACCESS_KEY_ID,
        secret_access_key=ROOT_SECRET_ACCESS_KEY,
        config=Config(retries={"total_max_attempts": 3}, max_pool_connections=calls_at_once),
    )

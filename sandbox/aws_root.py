"""The root credentials of the sandbox's account.

They open nothing but a server on this machine's loopback that holds play money; they are constants
so that the set-up needs no file.
"""

from __future__ import annotations

from typing import Any

from seawall.aws import isolated_client

ACCOUNT_ID = "123456789012"
ROOT_ACCESS_KEY_ID = "AKIASEAWALLSANDBOX00"
ROOT_SECRET_ACCESS_KEY = "seawall-sandbox-root"  # noqa: S105 - see above


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

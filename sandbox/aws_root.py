"""A boto3 client with the root credentials of the emulated AWS account, for the set-up."""

from __future__ import annotations

import os
from typing import Any

from seawall.conventions.local_aws import ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY


def root_client(service: str, *, endpoint: str, region: str, calls_at_once: int = 1) -> Any:
    """A boto3 client of ``service`` as root of the account behind ``endpoint``.

    It knows nothing of the user's own AWS.

    Neither profile nor files of the user's count: this runs in the user's environment. Raises what
    boto3 raises.
    """
    import boto3  # noqa: PLC0415 - slow, and most commands ask nothing of AWS
    from botocore.config import Config  # noqa: PLC0415
    from botocore.session import Session  # noqa: PLC0415

    nothing = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    config = Config(
        retries={"total_max_attempts": 3},
        max_pool_connections=calls_at_once,
        proxies={},  # the endpoint is on loopback, whatever proxy the user's environment names
        use_fips_endpoint=False,
        use_dualstack_endpoint=False,
    )
    session: Any = boto3.Session(botocore_session=Session(session_vars=nothing))
    return session.client(
        service,
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=ROOT_ACCESS_KEY_ID,
        aws_secret_access_key=ROOT_SECRET_ACCESS_KEY,
        config=config,
    )

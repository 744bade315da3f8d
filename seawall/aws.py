"""boto3 clients that know nothing of the user's own AWS configuration, and clients of a profile.

A sandbox runs in the environment of a user who may have profiles, endpoints, proxies and
certificate bundles of their own. None of these may decide where the sandbox's requests go, or make
a client fail before it has sent anything. Clients of a real account are made with boto3 in the
usual way instead: by a profile, which a deployment's file of principals may hold.
"""

from __future__ import annotations

import os
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seawall.errors import ServiceError, UsageError
from seawall.processes.environment import is_loopback

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config

_lock = threading.Lock()
"""boto3 sessions must not make clients in two threads at once."""


def isolated_client(
    service: str,
    *,
    endpoint: str | None,
    region: str,
    access_key_id: str,
    secret_access_key: str,
    session_token: str | None = None,
    config: Config | None = None,
) -> Any:
    """A boto3 client of ``service`` that uses nothing but its arguments. Safe in several threads.

    The user's profile, configuration and credentials files, ``AWS_*`` variables and, for an
    endpoint on loopback, proxies are ignored.

    Args:
        service: Its boto3 name, such as ``ssm``.
        endpoint: Base URL; None for AWS's own endpoint of ``region``.
        region: Name of the region that requests are signed for.
        access_key_id: Of the access key that signs the requests.
        secret_access_key: Of the same access key.
        session_token: Of a role's temporary credentials.
        config: Timeouts, retries and connections; wins over the isolation where both say something.

    Raises:
        botocore.exceptions.BotoCoreError: The service or an argument is unknown to boto3.
    """
    from botocore.config import Config  # noqa: PLC0415 - see `_session`

    isolated = Config(
        use_fips_endpoint=False,
        use_dualstack_endpoint=False,
        # An empty mapping means no proxy, None those of HTTP_PROXY, ALL_PROXY and so on.
        proxies={} if is_loopback(endpoint or "") else None,
    )
    with _lock:
        make: Any = _session().client
        return make(
            service,
            endpoint_url=endpoint,
            region_name=region,
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret_access_key,
            aws_session_token=session_token,
            config=isolated if config is None else isolated.merge(config),
        )


def session_of_profile(profile: str, config_file: Path | None) -> boto3.Session:
    """A session with the credentials of ``profile``, which are taken on now.

    Args:
        profile: Its name; those of a stack's principals are called like their roles.
        config_file: An AWS configuration; None for the user's own.

    Raises:
        UsageError: There is no such profile.
        ServiceError: The role of the profile cannot be assumed.
    """
    import boto3  # noqa: PLC0415 - see `_session`
    from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound  # noqa: PLC0415
    from botocore.session import Session  # noqa: PLC0415

    known: dict[str, Any] = {"profile": (None, None, profile, None)}
    if config_file is not None:
        known["config_file"] = (None, None, str(config_file), None)
    try:
        core = Session(session_vars=known)
        core.register_component("data_loader", _loader(core.get_config_variable("data_path")))
        session = boto3.Session(botocore_session=core)
        session.get_credentials()
    except ProfileNotFound as error:
        raise UsageError(
            f"there is no AWS profile called {profile}",
            remedy="write one with the role's ARN and its source_profile, as"
            " docs/real-account.md shows",
        ) from error
    except (ClientError, BotoCoreError) as error:
        raise ServiceError(
            f"the role of {profile} cannot be assumed: {error}",
            remedy="bring the stack up with `pulumi up`, then try again",
        ) from error
    return session


@cache
def _loader(data_path: str | None) -> Any:
    """One reader of AWS's models for all sessions: it keeps what it has read.

    A session that reads them for itself takes 200 ms to make its first client.
    """
    from botocore.loaders import create_loader  # noqa: PLC0415 - see `_session`

    return create_loader(data_path)


@cache
def _session() -> boto3.Session:
    """One session for all clients, because making one takes 100 ms."""
    import boto3  # noqa: PLC0415 - slow to import, and often not needed
    from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES  # noqa: PLC0415
    from botocore.session import Session  # noqa: PLC0415

    # Each entry is (name in a configuration file, environment variable, default, conversion):
    # without the first two, only the default is left.
    variables = {
        name: (None, None, default, convert)
        for name, (_, _, default, convert) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()
    }
    nowhere = (None, None, os.devnull, None)
    variables |= {
        "ignore_configured_endpoint_urls": (None, None, True, None),
        "config_file": nowhere,
        "credentials_file": nowhere,
    }
    return boto3.Session(botocore_session=Session(session_vars=variables))

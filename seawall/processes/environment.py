"""Which of the user's environment variables a process of the kit may see.

A run must do the same in every shell. Variables that change how a library connects, authenticates,
parses options or loads code are removed, from every child process and from the kit's own process
before it talks to a running stack.

Everything else passes: PATH, HOME, TMPDIR, locale, terminal, XDG folders, and whatever the machine
needs to start programs (LD_LIBRARY_PATH, LD_PRELOAD, MALLOC_*, OPENSSL_CONF).

Two commands keep the whole environment on purpose. Set-up installs packages through the user's
own proxy and registry settings. `review` and `drift` of a stack of the user's own use the user's
AWS profile, Pulumi backend and proxy. A drill on such a stack keeps what leads to AWS, and no more.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from seawall.cache import repository_root
from seawall.conventions.environment import DEPLOYMENT_VARIABLE, POLICY_VARIABLE, RUN_ID_VARIABLE

REMOVED_PREFIXES = (
    "ANVIL_",  # anvil: listen address
    "AWS_",  # boto3 and the AWS SDKs: profile, region, endpoints, credentials
    "BOTO_",
    "CHAOSTOOLKIT_",
    "DAPP_",  # anvil and Foundry
    "ETH_",  # anvil: RPC of a chain to fork
    "FOUNDRY_",
    "GEVENT_",
    "GIT_",  # another repository's commit would be named
    "GRPC_",
    "LOCUST_",  # locust takes every option from a variable of this prefix
    "MOTO_",
    "PG",  # libpq's variables, which asyncpg and psycopg obey, too (PGHOST, PGSSLMODE, ...)
    "PULUMI_",
    "SEAWALL_",  # another run's
    "S3_",  # moto
    "TOKIO_",
    "TOXIPROXY_",
    "UVICORN_",
)
REMOVED_NAMES = frozenset(
    {
        "CURL_CA_BUNDLE",
        "DEFAULT_CONTAINER_REGISTRY",  # moto
        "FORWARDED_ALLOW_IPS",  # uvicorn
        # Go's runtime: a slow part would look like a venue that misses its bounds.
        "GODEBUG",
        "GOGC",
        "GOMAXPROCS",
        "GOMEMLIMIT",
        "INITIAL_NO_AUTH_ACTION_COUNT",  # moto: when IAM is enforced from
        "LOG_LEVEL",  # toxiproxy
        "NETRC",
        "PROMETHEUS_MULTIPROC_DIR",
        "PURE_PYTHON",  # gevent
        "PYTHONASYNCIODEBUG",
        "PYTHONDEVMODE",
        "PYTHONHOME",
        "PYTHONINSPECT",
        "PYTHONMALLOC",
        "PYTHONOPTIMIZE",  # it mutes assertions
        "PYTHONPATH",
        "PYTHONSAFEPATH",
        "PYTHONSTARTUP",
        "PYTHONTRACEMALLOC",
        "PYTHONWARNINGS",
        "REQUESTS_CA_BUNDLE",
        "RUST_LOG",
        "SSLKEYLOGFILE",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        "TEST_SERVER_MODE",  # moto
        "WEB_CONCURRENCY",  # uvicorn
        # Proxies, in the two spellings that clients read. All parts of a sandbox are on loopback.
        "ALL_PROXY",
        "FTP_PROXY",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "NO_PROXY",
        "SOCKS_PROXY",
        "all_proxy",
        "ftp_proxy",
        "grpc_proxy",
        "no_grpc_proxy",
        "prometheus_multiproc_dir",
        "https_proxy",
        "http_proxy",
        "no_proxy",
        "socks_proxy",
    }
)
KEPT_NAMES = frozenset(
    {"SEAWALL_CACHE_READY", "PULUMI_PYTHON_CMD", "PULUMI_SKIP_UPDATE_CHECK", "PYTHONPYCACHEPREFIX"}
)
"""Set by `bin/seawall exec` itself, although they begin like something that is removed."""


_WAY_TO_AWS = frozenset(
    {
        *("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"),
        *("REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE"),
    }
)
"""Besides its own variables, how boto3 reaches AWS from a company's network."""


def is_removed(name: str, *, own_stack: bool = False) -> bool:
    """Whether a process of a run must not see the variable ``name``.

    ``own_stack``: it works on a stack of the user's, whose AWS configuration counts.
    """
    if name in KEPT_NAMES or (own_stack and (name.startswith("AWS_") or name in _WAY_TO_AWS)):
        return False
    return name in REMOVED_NAMES or name.startswith(REMOVED_PREFIXES)


def removed_names(
    environment: Mapping[str, str] | None = None, *, own_stack: bool = False
) -> list[str]:
    """Names in ``environment`` (default: this process's) that a run must not see, sorted."""
    found = os.environ if environment is None else environment
    return sorted(name for name in found if is_removed(name, own_stack=own_stack))


def inherited(
    environment: Mapping[str, str] | None = None, *, own_stack: bool = False
) -> dict[str, str]:
    """The variables in ``environment`` (default: this process's) that a child process gets."""
    found = os.environ if environment is None else environment
    return {
        name: value for name, value in found.items() if not is_removed(name, own_stack=own_stack)
    }


def clean_own_process(
    environment: MutableMapping[str, str] | None = None, *, own_stack: bool = False
) -> list[str]:
    """Remove from this process what :func:`inherited` leaves out; the removed names, sorted.

    To be called after set-up and before the first client of a running stack is made: boto3, httpx
    and asyncpg read the environment when a client is constructed.
    """
    found = os.environ if environment is None else environment
    gone = removed_names(found, own_stack=own_stack)
    for name in gone:
        del found[name]
    return gone


def of_deployment(
    deployment: Path, *, policy: Path, path: str, run_id: str | None = None, own_stack: bool = False
) -> dict[str, str]:
    """Variables of a process that works on the stack that the file ``deployment`` describes.

    To be added to :func:`inherited`. ``path`` is PATH whole. ``run_id`` is for processes that end
    with the run: teardown ends every process that carries it, so a user's shell must not.
    ``own_stack``: it is one of the user's, whose AWS configuration and proxies count.
    """
    found = {
        DEPLOYMENT_VARIABLE: str(deployment),
        POLICY_VARIABLE: str(policy),
        "PATH": path,
        "PYTHONPATH": str(repository_root()),
    }
    if not own_stack:
        found |= {
            # For programs of the user's that have a proxy all the same.
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            # boto3 must find neither files of the user's nor credentials of the machine.
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
    if run_id is not None:
        found |= {RUN_ID_VARIABLE: run_id, "PYTHONUNBUFFERED": "1"}
    return found


def is_loopback(url: str) -> bool:
    """Whether ``url`` points at this machine, so that no proxy of the user's may stand between."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False

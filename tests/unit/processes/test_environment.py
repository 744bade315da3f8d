"""No variable of the user's that changes how a part works reaches a run."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import asyncpg
import boto3
import httpx
import pytest

from seawall.processes.environment import (
    clean_own_process,
    inherited,
    is_loopback,
    of_deployment,
    removed_names,
)

HOSTILE = {
    "HTTP_PROXY": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "ALL_PROXY": "socks5h://127.0.0.1:9",
    "PGSSLMODE": "require",
    "PGHOST": "db.harbour.example",
    "PGOPTIONS": "-c statement_timeout=5",
    "AWS_PROFILE": "harbour-prod",
    "AWS_ENDPOINT_URL_SSM": "http://127.0.0.1:9",
    "AWS_CONFIG_FILE": "/nonexistent",
    "PULUMI_BACKEND_URL": "s3://theirs",
    "PULUMI_STACK": "production",
    "LOCUST_USERS": "1000",
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    "FOUNDRY_PROFILE": "ci",
    "ETH_RPC_URL": "https://mainnet.example",
    "LOG_LEVEL": "trace",
    "PYTHONOPTIMIZE": "2",
    "PYTHONWARNINGS": "error",
    "SEAWALL_SABOTAGE": "failover",
    "SEAWALL_DEPLOYMENT": "/theirs/deployment.json",
}
HARMLESS = {
    "PATH": "/bin",
    "HOME": "/root",
    "TMPDIR": "/scratch",
    "LANG": "C",
    "TERM": "dumb",
    "XDG_CACHE_HOME": "/cache",
    "LD_LIBRARY_PATH": "/lib",
    "PYTHONPYCACHEPREFIX": "/cache/pyc",
}


def test_children_inherit_what_is_harmless_and_nothing_else() -> None:
    assert inherited({**HOSTILE, **HARMLESS}) == HARMLESS


def test_what_is_removed_is_named() -> None:
    assert removed_names({**HOSTILE, **HARMLESS}) == sorted(HOSTILE)


def test_the_kits_own_process_drops_the_users_variables_too() -> None:
    environment = {**HOSTILE, **HARMLESS}
    assert clean_own_process(environment) == sorted(HOSTILE)
    assert environment == HARMLESS
    assert clean_own_process(environment) == []


def test_after_cleaning_no_library_obeys_the_users_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before, httpx fails on a SOCKS proxy, boto3 on a missing profile, and asyncpg wants TLS."""
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ImportError):
        httpx.Client()
    with pytest.raises(Exception, match="harbour-prod"):
        boto3.Session(region_name="us-east-1").client("ssm")

    clean_own_process()

    httpx.Client().close()
    boto3.Session(region_name="us-east-1").client("ssm")
    with pytest.raises(ConnectionRefusedError):  # this machine's, not db.harbour.example's
        asyncio.run(asyncpg.connect("postgresql://a:b@127.0.0.1:1/postgres", timeout=5))
    assert not set(HOSTILE) & set(os.environ)


def test_a_process_of_a_run_carries_its_id_and_a_shell_does_not() -> None:
    given = {"policy": Path("/p.yaml"), "path": "/bin"}
    run = of_deployment(Path("/d.json"), **given, run_id="r")  # type: ignore[arg-type]
    shell = of_deployment(Path("/d.json"), **given)  # type: ignore[arg-type]
    assert run["SEAWALL_RUN_ID"] == "r"
    assert "SEAWALL_RUN_ID" not in shell
    assert shell["SEAWALL_DEPLOYMENT"] == "/d.json"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:80/v1", True),
        ("http://127.8.9.1", True),
        ("http://localhost:1", True),
        ("http://api.localhost:1", True),
        ("http://[::1]:80", True),
        ("http://10.0.0.1", False),
        ("https://venue.example", False),
        ("http://localhost.example", False),
        ("", False),
    ],
)
def test_loopback_is_this_machine_alone(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected

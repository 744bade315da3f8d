"""boto3 clients that ignore the AWS configuration of the user (see test_kill_switch.py, too)."""

from __future__ import annotations

import pytest

from seawall import aws
from seawall.aws import is_loopback, isolated_client

DEAD = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:4566", True),
        ("http://localhost:4566", True),
        ("http://[::1]:4566", True),
        ("https://ssm.us-east-1.amazonaws.com", False),
        ("http://10.0.0.7:4566", False),
        (None, False),
    ],
)
def test_only_addresses_of_this_machine_are_loopback(url: str | None, expected: bool) -> None:
    assert is_loopback(url) is expected


def test_an_isolated_client_of_a_real_account_ignores_endpoints_of_the_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", DEAD)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", DEAD)
    aws._session.cache_clear()
    client = isolated_client(
        "ssm", endpoint=None, region="us-east-1", access_key_id="AKIA", secret_access_key="s"
    )
    assert client.meta.endpoint_url == "https://ssm.us-east-1.amazonaws.com"

"""boto3 clients that ignore the AWS configuration of the user (see test_kill_switch.py, too)."""

from __future__ import annotations

import pytest

from seawall import aws
from seawall.aws import isolated_client

DEAD = "http://127.0.0.1:1"


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

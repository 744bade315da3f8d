"""boto3 clients that ignore the AWS configuration of the user (see test_kill_switch.py, too)."""

from __future__ import annotations

from pathlib import Path

import pytest

from seawall import aws
from seawall.aws import isolated_client, session_of_profile

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


def test_sessions_of_profiles_read_the_models_of_aws_once(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "".join(
            f"[profile {name}]\naws_access_key_id = AKIA\naws_secret_access_key = s\n"
            for name in ("one", "other")
        ),
        encoding="utf-8",
    )
    one, other = (session_of_profile(name, config) for name in ("one", "other"))
    models = [
        session.client("kms", region_name="us-east-1").meta.service_model.metadata
        for session in (one, other)
    ]
    assert models[0] is models[1]

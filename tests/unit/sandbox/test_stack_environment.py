"""The engine gets the sandbox's AWS and nothing of the user's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sandbox import stack
from sandbox.identities import Identity

ROOT = Path(__file__).resolve().parents[3]


def test_the_engine_sees_the_deployer_and_none_of_the_users_aws(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The user's profile would win over the deployer's key, a session token be mixed with it."""
    # In place of the engine: prints the variables that it was given.
    engine = tmp_path / "pulumi"
    engine.write_text(
        f"#!{sys.executable}\nimport json, os\nprint(json.dumps(dict(os.environ)))\n",
        encoding="utf-8",
    )
    engine.chmod(0o755)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "the user's")
    seen = stack.outputs(
        stack.Settings(
            root=ROOT,
            data_dir=tmp_path,
            policy_path=ROOT / "policies" / "sandbox.yaml",
            aws_endpoint="http://127.0.0.1:1",
            provider_port=1,
            deployer=Identity(
                user="deployer", arn="arn:d", access_key_id="AKIA", secret_access_key="secret"
            ),
            principals={},
            region="us-east-1",
            path=str(tmp_path),
        )
    )
    assert {name: value for name, value in seen.items() if name.startswith("AWS_")} == {
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_REGION": "us-east-1",
    }

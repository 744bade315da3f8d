"""An engine that hangs is ended and said to hang; one that works for long is left alone.

The state is written once.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from sandbox import stack
from sandbox.identities import Identity
from sandbox.stack_environment import environment
from seawall.errors import ServiceError

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
SILENCE_S = 0.5
"""Long enough for an interpreter to start."""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "_SILENCE_S_MAX", SILENCE_S)
    monkeypatch.setattr(stack, "_POLL_EVERY_S", 0.02)


def settings(tmp_path: Path, engine: str) -> stack.Settings:
    """A stack whose engine is the Python program ``engine``."""
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nimport os, sys, time\n{engine}\n", encoding="utf-8")
    program.chmod(0o755)
    trusted = yaml.safe_load(
        (ROOT / "infra" / "stacks" / "Pulumi.sandbox.yaml").read_text(encoding="utf-8")
    )
    return stack.Settings(
        root=ROOT,
        data_dir=tmp_path,
        policy_path=ROOT / "policies" / "sandbox.yaml",
        aws_endpoint="http://127.0.0.1:1",
        provider_port=1,
        deployer=Identity(
            user="deployer", arn="arn:d", access_key_id="AKIA", secret_access_key="secret"
        ),
        principals=trusted["config"]["seawall:principals"],
        region="us-east-1",
        path=str(program.parent),
    )


def test_an_engine_that_prints_nothing_is_ended_and_reported(tmp_path: Path) -> None:
    silent = settings(tmp_path, "if 'up' in sys.argv: print('begun', flush=True); time.sleep(600)")
    with pytest.raises(
        ServiceError, match=r"pulumi up --yes said nothing for 0\.5 s and was ended"
    ):
        stack.up(silent, report=print)


def test_an_engine_that_talks_may_take_its_time(tmp_path: Path) -> None:
    """Three times as long as silence may last."""
    slow = settings(
        tmp_path,
        (
            "if 'up' in sys.argv:\n"
            "  for n in range(30): time.sleep(0.05); print(f' + x r{n} created', flush=True)"
        ),
    )
    said: list[str] = []
    stack.up(slow, report=said.append)
    assert said == ["20 resources provisioned", "stack is up, 30 resources made or changed"]


def test_a_sandbox_s_own_up_writes_its_state_once_and_a_shell_every_step(tmp_path: Path) -> None:
    """The time of a large stack.

    A shell keeps its sandbox, so a killed engine must not lose what it made.
    """
    assert settings(tmp_path, "").environment()["PULUMI_SKIP_CHECKPOINTS"] == "true"
    shell = environment(
        root=ROOT,
        data_dir=tmp_path,
        policy_path=ROOT,
        aws_endpoint="http://127.0.0.1:1",
        provider_port=1,
        region="us-east-1",
        deployer={},
        path=None,
    )
    assert "PULUMI_SKIP_CHECKPOINTS" not in shell

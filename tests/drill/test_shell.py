"""By hand: what the README shows of a kept sandbox works in a plain shell, and leaves the work tree as it was."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from seawall.sandbox import kept_data_dir
from seawall.sandbox.aws.identities import Identities
from tests.drill.kit import ROOT, seawall

pytestmark = pytest.mark.drill


@pytest.fixture(scope="module")
def _venue_up() -> Iterator[None]:
    done = seawall("up", timeout_s=180)
    assert done.returncode == 0, done.stderr
    yield
    assert seawall("down").returncode == 0


def _shell(command: str, *, timeout_s: float = 240) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f'set -e; eval "$(bin/seawall env)"; {command}'],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def _topic() -> str:
    """The ARN of a topic that somebody made by hand, as the deployer."""
    data_dir = kept_data_dir()
    assert data_dir is not None
    endpoint = json.loads((data_dir / "targets.json").read_text(encoding="utf-8"))["urls"]["aws"]
    who = Identities.read(data_dir / "identities.json").deployer
    session = boto3.Session(
        aws_access_key_id=who.access_key_id, aws_secret_access_key=who.secret_access_key, region_name="us-east-1"
    )
    sns: Any = session.client("sns", endpoint_url=endpoint)
    return str(sns.create_topic(Name="seawall-made-by-hand")["TopicArn"])


@pytest.mark.usefixtures("_venue_up")
def test_every_native_entry_point_works_in_a_shell_with_the_environment(tmp_path: Path) -> None:
    """pulumi, promtool, chaos and locust find the running stack; nothing changes in the work tree."""
    before = subprocess.run(
        ["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    preview = _shell("pulumi preview --non-interactive --json")
    assert preview.returncode == 0, preview.stdout + preview.stderr
    assert {step["op"] for step in json.loads(preview.stdout)["steps"]} <= {"same", "read"}

    again = _shell("pulumi up --yes --non-interactive")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "created" not in again.stdout

    refresh = _shell("pulumi refresh --yes --non-interactive --skip-preview --expect-no-changes")
    assert refresh.returncode == 0, refresh.stdout + refresh.stderr

    code = tmp_path / "imported.py"
    provider = "urn:pulumi:sandbox::seawall::pulumi:providers:aws::aws"
    imported = _shell(
        f"pulumi import aws:sns/topic:Topic found {_topic()} --yes --non-interactive --skip-preview --protect=false "
        f"--provider aws={provider} --out {code}"
    )
    assert imported.returncode == 0, imported.stdout + imported.stderr
    assert "aws.sns.Topic(" in code.read_text(encoding="utf-8")
    removed = _shell("pulumi up --yes --non-interactive --skip-preview")
    assert removed.returncode == 0, removed.stdout + removed.stderr
    assert "1 deleted" in removed.stdout

    drift = _shell("bin/seawall drift")
    assert drift.returncode == 0, drift.stdout + drift.stderr

    guard = _shell("bin/seawall guard")
    assert guard.returncode == 0, guard.stdout + guard.stderr

    rules = _shell("promtool test rules generated/sandbox/rules_test.yml")
    assert rules.returncode == 0, rules.stdout + rules.stderr

    chaos = _shell(
        'cd "$(mktemp -d)" && chaos --no-version-check run --rollback-strategy always '
        f"--journal-path journal.json {ROOT}/chaos/experiments/noop.json && cat journal.json"
    )
    assert chaos.returncode == 0, chaos.stdout + chaos.stderr
    assert '"status": "completed"' in chaos.stdout

    flood = _shell('locust -f loadtests/locustfile.py --headless && cat "$SEAWALL_FLOOD_OUT/flood.json"')
    assert flood.returncode == 0, flood.stdout + flood.stderr
    assert '"complete": true' in flood.stdout

    destroy = _shell("pulumi destroy --yes --non-interactive")
    assert destroy.returncode == 0, destroy.stdout + destroy.stderr

    after = subprocess.run(
        ["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert after == before


def test_without_a_sandbox_the_environment_is_refused_with_the_remedy() -> None:
    """One line, exit 3, and nothing that `eval` could run."""
    seawall("down")

    done = seawall("env")

    assert done.returncode == 3
    assert done.stdout == ""
    assert "seawall up" in done.stderr

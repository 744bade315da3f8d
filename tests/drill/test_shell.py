"""By hand: what the README shows of a kept sandbox works in a plain shell, and leaves the work tree
as it was.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from sandbox.identities import Identities
from sandbox.kept import kept_data_dir
from seawall.conventions import aws
from seawall.policy_file import load_policy
from tests.testing.drill_kit import ROOT, seawall

pytestmark = pytest.mark.drill

POLICY = load_policy(ROOT / "policies" / "sandbox.yaml")


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


def _urls() -> dict[str, str]:
    """Where the parts of the kept sandbox answer."""
    data_dir = kept_data_dir()
    assert data_dir is not None
    urls: dict[str, str] = json.loads((data_dir / "targets.json").read_text(encoding="utf-8"))[
        "urls"
    ]
    return urls


def _client(service: str, region: str) -> Any:
    """A client for the deployer, as somebody at the shell has one."""
    data_dir = kept_data_dir()
    assert data_dir is not None
    who = Identities.read(data_dir / "identities.json").deployer
    session: Any = boto3.Session(
        aws_access_key_id=who.access_key_id, aws_secret_access_key=who.secret_access_key
    )
    return session.client(service, region_name=region, endpoint_url=_urls()["aws"])


def _topic() -> str:
    """The ARN of a topic that somebody made by hand."""
    return str(
        _client("sns", POLICY.regions.primary).create_topic(Name="seawall-made-by-hand")["TopicArn"]
    )


@pytest.mark.usefixtures("_venue_up")
def test_the_indicators_of_the_venue_reach_the_alarms_of_the_stack_in_both_regions() -> None:
    """Silence alarms: nothing was published before.

    What the guard tells Prometheus then takes every alarm back.
    """
    names = [aws.cloudwatch_alarm(POLICY.venue.name, trigger.name) for trigger in POLICY.triggers]
    regions = (POLICY.regions.primary, POLICY.regions.standby)

    def states() -> set[str]:
        found = [
            _client("cloudwatch", region).describe_alarms(AlarmNames=names)["MetricAlarms"]
            for region in regions
        ]
        assert [len(each) for each in found] == [len(names)] * len(regions)
        return {alarm["StateValue"] for each in found for alarm in each}

    _until(lambda: states() == {"ALARM"})

    published = _shell(
        f'bin/seawall exec -- python -m monitors.indicators --once --policy "$SEAWALL_POLICY" --prometheus {_urls()["prometheus"]}'
    )

    assert published.returncode == 0, published.stdout + published.stderr
    told = [line.partition(":")[0] for line in published.stdout.splitlines()]
    assert told == sorted({trigger.indicator for trigger in POLICY.triggers})
    _until(lambda: states() == {"OK"})


def _until(holds: Callable[[], bool]) -> None:
    """An alarm's period is ten seconds."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "the alarms do not follow"
        time.sleep(0.25)


@pytest.mark.usefixtures("_venue_up")
def test_every_native_entry_point_works_in_a_shell_with_the_environment(tmp_path: Path) -> None:
    """pulumi, promtool, chaos and locust find the running stack.

    Nothing changes in the work tree.
    """
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

    review = _shell("bin/seawall review")
    assert review.returncode == 0, review.stdout + review.stderr

    rules = _shell("promtool test rules generated/sandbox/rules_test.yml")
    assert rules.returncode == 0, rules.stdout + rules.stderr

    chaos = _shell(
        'cd "$(mktemp -d)" && chaos --no-version-check run --rollback-strategy always '
        f"--journal-path journal.json {ROOT}/chaos/experiments/noop.json && cat journal.json"
    )
    assert chaos.returncode == 0, chaos.stdout + chaos.stderr
    assert '"status": "completed"' in chaos.stdout

    flood = _shell(
        'locust -f loadtests/locustfile.py --headless && cat "$SEAWALL_FLOOD_OUT/flood.json"'
    )
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

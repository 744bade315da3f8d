"""Which stack a command is about: the caller's own, or the kept sandbox's.

The engine's environment and arguments follow from that.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from seawall.change_review import engine
from seawall.cli.app import main
from seawall.conventions import environment as environment_names
from seawall.errors import MissingProgramError, ServiceError, UsageError
from seawall.sandbox_program import ShellEnvironment
from tests.testing.deployments import make_deployment
from tests.testing.endpoints import chain, serving, venue
from tests.testing.proposals import ROOT, WALLET_TAGS, document, step

SANDBOX = ShellEnvironment(unset=["AWS_PROFILE"], variables={"PULUMI_BACKEND_URL": "file:///kept"})


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        *engine._CHOSEN,
        environment_names.DEPLOYMENT_VARIABLE,
        environment_names.POLICY_VARIABLE,
        environment_names.CHANGE_JOURNAL_VARIABLE,
        environment_names.INCIDENT_VARIABLE,
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(engine, "kept_deployment", lambda: make_deployment(Path("kept")))
    monkeypatch.setattr(engine, "kept_environment", lambda: SANDBOX)


@pytest.mark.parametrize(
    ("stack", "own", "expected"),
    [
        (None, {}, "file:///kept"),
        ("sandbox", {}, "file:///kept"),
        ("production", {}, None),
        (None, {"PULUMI_BACKEND_URL": "s3://own"}, "s3://own"),
        (None, {"PULUMI_STACK": "production"}, None),
        ("sandbox", {"PULUMI_DEBUG_PROVIDERS": "aws:1"}, None),
    ],
)
def test_the_kept_sandbox_is_meant_only_where_the_caller_names_nothing_else(
    stack: str | None, own: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    for name, value in own.items():
        monkeypatch.setenv(name, value)

    environment = engine.engine_here(ROOT, stack=stack).environment

    assert environment.get("PULUMI_BACKEND_URL") == expected
    assert ("AWS_PROFILE" in environment) is (expected != "file:///kept"), (
        "no profile of the user's beside the deployer's key"
    )


def test_without_a_kept_sandbox_the_callers_environment_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "kept_deployment", lambda: None)
    monkeypatch.setenv("PULUMI_ENABLE_STREAMING_JSON_PREVIEW", "true")
    monkeypatch.setenv("AWS_PROFILE", "production")

    environment = engine.engine_here(ROOT, stack=None).environment

    assert "PULUMI_BACKEND_URL" not in environment
    assert "PULUMI_ENABLE_STREAMING_JSON_PREVIEW" not in environment
    assert environment["AWS_PROFILE"] == "production"


def fake(folder: Path, script: str) -> engine.Engine:
    """An engine whose `pulumi` is a script."""
    program = folder / "pulumi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return engine.Engine(
        root=folder,
        environment={"PATH": f"{folder}:/usr/bin:/bin"},
        stack="s",
        config_file=Path("c.yaml"),
    )


def test_the_engine_gets_stack_and_configuration_and_asks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fake(tmp_path, 'echo "$@"; echo oops >&2; exit 7')
    monkeypatch.setenv("PATH", made.environment["PATH"])

    done = made.run("preview", "--json")

    assert done == engine.EngineRun(
        exit_code=7,
        stdout="--non-interactive --color never preview --json --stack s --config-file c.yaml\n",
        stderr="oops\n",
    )


def test_an_engine_that_is_not_there_or_hangs_is_the_worlds_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = fake(tmp_path, "exec sleep 60")
    monkeypatch.setenv("PATH", hanging.environment["PATH"])
    monkeypatch.setattr(engine, "_RUN_S_MAX", 0.2)
    with pytest.raises(ServiceError, match="did not end within"):
        hanging.run("preview")

    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(MissingProgramError):
        engine.Engine(root=tmp_path, environment={"PATH": str(tmp_path / "empty")}).run("preview")


def test_a_stack_that_does_not_exist_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fake(tmp_path, "echo \"error: no stack named 's' found\" >&2; exit 255")
    monkeypatch.setenv("PATH", made.environment["PATH"])
    with pytest.raises(UsageError, match=r"^no stack named 's' found \(`pulumi stack ls`"):
        made.run("preview")


def test_the_sandboxs_own_stack_is_judged_with_its_venue_its_chains_and_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tier, incident, balances and journal come from deployment.json and its data directory.

    Another stack gets none of them.
    """
    inputs = {"keyUsage": "SIGN_VERIFY", "tags": WALLET_TAGS}
    text = json.dumps(document(step("aws:kms/key:Key", inputs, None)))
    (tmp_path / "sandbox-preview.json").write_text(
        text.replace("urn:pulumi:production", "urn:pulumi:sandbox")
    )
    (tmp_path / "production-preview.json").write_text(text)
    monkeypatch.setenv(environment_names.POLICY_VARIABLE, str(ROOT / "policies" / "sandbox.yaml"))

    def review(stack: str) -> tuple[int, dict[str, Any]]:
        code = main(["review", "--preview", str(tmp_path / f"{stack}-preview.json"), "--json"])
        return int(code), json.loads(capsys.readouterr().out)

    with serving(venue("normal")) as api, serving(chain(73311, native=5, tokens=0)) as node:
        deployment = make_deployment(tmp_path)
        network = deployment.networks["aster"].model_copy(update={"node": node})
        urls = deployment.urls.model_copy(update={"api_direct": api})
        known = deployment.model_copy(update={"networks": {"aster": network}, "urls": urls})
        monkeypatch.setenv(environment_names.DEPLOYMENT_VARIABLE, str(known.write()))
        _, own = review("sandbox")
        _, other = review("production")
        (tmp_path / environment_names.INCIDENT_FILE).write_text('{"summary": "drill"}')
        _, frozen = review("sandbox")

    assert own["freeze"]["state"] == "clear"
    assert [
        each["live"]
        for each in own["findings"][0]["exposure"]["holdings"]
        if each["asset"] == "AST"
    ] == ["5"]
    assert other["freeze"]["state"] == "unknown"
    assert other["findings"][0]["exposure"]["live_value_micro"] is None
    assert frozen["freeze"]["state"] == "frozen"

"""What is rendered for Prometheus and Alertmanager as AWS runs them, read by their own tools."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml

from monitors.credential_age import Credential, age_of, credentials_of
from monitors.remote_write import main, remote_write_of
from monitors.render import RENDERER, render
from seawall.conventions import generated
from seawall.errors import UsageError
from seawall.policy_file import load_policy

ROOT = Path(__file__).resolve().parents[3]
WORKSPACES = {
    region: {
        "id": "ws-1",
        "remote_write": f"https://aps-workspaces.{region}.amazonaws.com/workspaces/ws-1/api/v1/remote_write",
    }
    for region in ("us-west-2", "us-east-1")
}
PLACES = {"topic_info", "topic_warning", "topic_critical", "region"}
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def tool(name: str) -> str:
    found = shutil.which(name)
    assert found is not None, f"{name} is not on PATH: run the tests with bin/seawall exec"
    return found


@pytest.mark.parametrize("name", ["sandbox", "production"])
def test_alertmanager_accepts_the_definition_with_its_placeholders_filled_in(
    name: str, tmp_path: Path
) -> None:
    text = render(load_policy(ROOT / "policies" / f"{name}.yaml"))[generated.AMP_ROUTING_FILE]
    assert set(Template(text).get_identifiers()) == PLACES
    arns = {place: f"arn:aws:sns:us-west-2:123456789012:{place}" for place in PLACES}
    definition = yaml.safe_load(Template(text).substitute(arns | {"region": "us-west-2"}))
    assert set(definition) == {"alertmanager_config"}
    file = tmp_path / "alertmanager.yml"
    file.write_text(definition["alertmanager_config"], encoding="utf-8")
    checked = subprocess.run(
        [tool("amtool"), "check-config", str(file)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "3 receivers" in checked.stdout
    told = subprocess.run(
        [tool("amtool"), "config", "routes", "test", f"--config.file={file}", "severity=warning"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout.strip() == "warning"
    unknown = subprocess.run(
        [tool("amtool"), "config", "routes", "test", f"--config.file={file}", "severity=odd"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert unknown.stdout.strip() == "critical"  # better one page too many


def test_every_rendered_file_names_the_digest_of_its_policy() -> None:
    policy = load_policy(ROOT / "policies" / "sandbox.yaml")
    assert all(
        text.splitlines()[1] == generated.rendered_from(policy.infrastructure_digest)
        for text in RENDERER.texts(policy).values()
    )


def test_prometheus_accepts_the_remote_write_of_both_regions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps({"monitoring": {"workspaces": WORKSPACES}}), encoding="utf-8")
    assert main(["--outputs", str(outputs)]) == 0
    text = capsys.readouterr().out
    assert [each["sigv4"]["region"] for each in yaml.safe_load(text)["remote_write"]] == [
        "us-east-1",
        "us-west-2",
    ]
    file = tmp_path / "prometheus.yml"
    file.write_text("global: {scrape_interval: 1s}\n" + text, encoding="utf-8")
    checked = subprocess.run(
        [tool("promtool"), "check", "config", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr + checked.stdout


@pytest.mark.parametrize(
    "outputs", [{}, {"monitoring": None}, {"monitoring": {"workspaces": {"us-east-1": {}}}}]
)
def test_outputs_without_a_workspace_are_refused(outputs: dict[str, Any]) -> None:
    with pytest.raises(
        UsageError, match=r"name no Prometheus workspace.*pulumi stack output --json"
    ):
        remote_write_of(outputs)


class Vault:
    """The versions of one secret."""

    def __init__(self, *versions: tuple[timedelta, str]) -> None:
        self._versions = [
            {"CreatedDate": NOW - age, "VersionStages": [stage]} for age, stage in versions
        ]

    # the names are AWS's
    def list_secret_version_ids(self, *, SecretId: str, NextToken: str = "0") -> dict[str, Any]:  # noqa: N803
        """A page with one version, and where the next one is."""
        assert SecretId == CREDENTIAL.arn
        here = int(NextToken)
        more = {"NextToken": str(here + 1)} if here + 1 < len(self._versions) else {}
        return {"Versions": self._versions[here : here + 1], **more}


CREDENTIAL = Credential(
    of=(("rail", "aster"), ("side", "primary")), region="us-east-1", arn="arn:secret"
)


def test_the_age_of_a_credential_is_that_of_the_version_that_readers_get() -> None:
    vault: Any = Vault(
        (timedelta(days=40), "AWSPREVIOUS"),
        (timedelta(days=3), "AWSCURRENT"),
        (timedelta(hours=1), "AWSPENDING"),
    )
    assert age_of(CREDENTIAL, vault, now=NOW).seconds == 3 * 86_400


def test_a_secret_without_a_value_has_no_age() -> None:
    vault: Any = Vault()
    assert age_of(CREDENTIAL, vault, now=NOW).seconds is None


def test_the_credentials_of_a_stack_are_those_of_its_outputs() -> None:
    rails = {"aster": {"secrets": {"us-east-1": {"primary": "arn:secret"}}}}
    assert credentials_of({"rails": rails, "keepers": {}}) == [CREDENTIAL]
    keepers = {"custodian": {"us-west-2": "arn:custody"}, "carrier": {"us-east-1": "arn:carrier"}}
    assert credentials_of({"rails": rails, "keepers": keepers}) == [
        CREDENTIAL,
        Credential(of=(("keeper", "carrier"),), region="us-east-1", arn="arn:carrier"),
        Credential(of=(("keeper", "custodian"),), region="us-west-2", arn="arn:custody"),
    ]


@pytest.mark.parametrize(
    "outputs",
    [
        {},
        {"rails": {}, "keepers": {}},
        {"rails": {"aster": {}}, "keepers": {}},
        {"rails": {"aster": {"secrets": {"us-east-1": {"primary": "arn:secret"}}}}},
    ],
)
def test_outputs_without_a_secret_are_refused(outputs: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="outputs name no"):
        credentials_of(outputs)

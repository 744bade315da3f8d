"""The deployment file: written whole, read strictly, and what lies beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from seawall.errors import UsageError, WorldError
from seawall.formats.component_status import (
    COMPONENTS_FILE,
    ComponentStatus,
    read_components,
    write_components,
)
from seawall.formats.deployment import (
    Payouts,
    load_deployment,
    restarts_forbidden,
    run_directory,
    set_run_directory,
)
from seawall.kill_switch import KillSwitchFile
from tests.testing.deployments import make_deployment, urls


def test_a_deployment_is_read_as_it_was_written(tmp_path: Path) -> None:
    payouts = Payouts(contracts={"hot": "0x1"}, wallets={}, tokens={}, signers={"hot": "0x2"})
    made = make_deployment(tmp_path)
    network = made.networks["aster"].model_copy(update={"payouts": payouts})
    made = made.model_copy(update={"networks": {"aster": network}})

    written = made.model_copy(update={"folder": tmp_path})
    assert load_deployment(made.write()).model_dump() == written.model_dump()
    assert made.path.stat().st_mode & 0o777 == 0o600


def test_a_file_of_ones_own_is_yaml_too_and_its_paths_are_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        """
kind: staging
stack: blue
data_dir: state
policy: ../policies/staging.yaml
urls: {api: "https://api.example"}
venue: {speaks: mapping.yaml}
customers: customers.csv
kill_switch: {file: switch}
signers: {us-east-1: {url: "https://signer.example", operations_per_s: 300, prober: secret}}
evidence: {withdrawals: {file: w.csv}, payouts: {command: [statement, --json]}}
"""
    )
    read = load_deployment(tmp_path / "mine.yaml")
    assert read.path == tmp_path / "mine.yaml"
    assert read.data_dir == tmp_path / "state"
    assert read.policy == tmp_path / "../policies/staging.yaml"
    assert read.customers == tmp_path / "customers.csv"
    assert read.kill_switch == KillSwitchFile(file=tmp_path / "switch")
    assert read.signers["us-east-1"].prober == tmp_path / "secret"
    assert read.venue.speaks == str(tmp_path / "mapping.yaml")
    assert read.evidence["withdrawals"].file == tmp_path / "w.csv"
    assert (read.run_id, read.play_money) == ("blue", False)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"urls": urls(api="https://api.example")}, "urls.api"),
        ({"urls": urls(aws="https://sts.amazonaws.com")}, "urls.aws"),
        (
            {"networks": {"aster": {"chain_id": 1, "node": "http://10.0.0.7:8545"}}},
            "networks.aster.node",
        ),
        ({"toxiproxy": "http://192.168.1.2:8474"}, "toxiproxy"),
        ({"proxies": {"api": {"listen": "127.0.0.1:2", "upstream": "api:80"}}}, "proxies.api"),
        ({"kill_switch": {"parameter": "p", "regions": ["us-east-1"]}}, "kill_switch.endpoint"),
        ({"account": "210987654321"}, "emulated account"),
    ],
)
def test_only_loopback_and_the_emulated_account_may_be_called_a_sandbox(
    tmp_path: Path, changes: dict[str, Any], where: str
) -> None:
    """Drills on a sandbox may do harm, so the word alone must not permit it."""
    with pytest.raises(ValidationError, match=where):
        make_deployment(tmp_path, **changes)
    assert make_deployment(tmp_path, kind="staging", **changes).play_money is False


def test_a_sandbox_needs_no_permission_and_nothing_else_goes_without_a_kill_switch(
    tmp_path: Path,
) -> None:
    make_deployment(tmp_path).permit()
    for kind in ("staging", "production"):
        with pytest.raises(UsageError, match="names no kill switch"):
            make_deployment(tmp_path, kind=kind).permit()
    make_deployment(tmp_path, kind="staging", kill_switch={"file": "/x"}).permit()


def test_production_needs_two_people_and_an_open_window(tmp_path: Path) -> None:
    switch = {"kind": "production", "kill_switch": {"file": "/x"}}
    with pytest.raises(UsageError, match="has no approval"):
        make_deployment(tmp_path, **switch).permit()
    approval = {
        "people": ["Ada", "Grace"],
        "begins": "2026-11-29T09:00:00Z",
        "ends": "2026-11-29T11:00:00Z",
    }
    allowed = make_deployment(tmp_path, **switch, approval=approval)
    at_ten = datetime(2026, 11, 29, 10, tzinfo=UTC).timestamp()
    allowed.permit(now=at_ten)
    for now in (at_ten - 3601, at_ten + 3601):
        with pytest.raises(UsageError, match="the approved window"):
            allowed.permit(now=now)
    for wrong, complaint in (
        ({"people": ["Ada", " ada "]}, "two different people"),
        ({"people": ["Ada", ""]}, "two different people"),
        ({"ends": "2026-11-29T08:00:00Z"}, "ends before it begins"),
        ({"begins": "2026-11-29T09:00:00"}, "timezone"),
    ):
        with pytest.raises(ValidationError, match=complaint):
            make_deployment(tmp_path, **switch, approval=approval | wrong)


def test_a_metric_may_have_another_name_there(tmp_path: Path) -> None:
    """A name that the kit does not have would be ignored, so it is refused."""
    depth = 'seawall_queue_depth{scope="guaranteed"}'
    mapped = {depth: "sum(queue)", "seawall_payouts_final_total": "paid"}
    made = make_deployment(tmp_path, metrics=mapped)
    assert made.expression(depth) == "(sum(queue))"
    assert made.expression("seawall_tier") == "seawall_tier"
    with pytest.raises(ValidationError, match="the kit has no metric seawall_payouts_final"):
        make_deployment(tmp_path, metrics={"seawall_payouts_final": "paid"})


def test_what_is_scraped_is_a_selector_of_the_venues_targets(tmp_path: Path) -> None:
    """An expression repeats a sample for five minutes, so a gap of the monitors would be hidden."""
    for selector in ("probe_success", 'up{job="venue", path=~"/a|{b}"}'):
        assert make_deployment(tmp_path, metrics={"up": selector}).expression("up") == selector
    for expression in ("max(up)", "up or probe_success", 'up{job="venue"}[1m]', "(up)"):
        with pytest.raises(ValidationError, match="must be mapped to a selector"):
            make_deployment(tmp_path, metrics={"up": expression})


def test_a_source_of_evidence_is_a_file_or_a_command(tmp_path: Path) -> None:
    wrong: list[dict[str, Any]] = [{}, {"file": "a", "command": ["b"]}, {"command": []}]
    for source in wrong:
        with pytest.raises(ValidationError, match="name a file or a command"):
            make_deployment(tmp_path, evidence={"withdrawals": source})
    with pytest.raises(ValidationError, match="evidence"):
        make_deployment(tmp_path, evidence={"gossip": {"file": "a"}})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{}", r"(?s)has \d+ problems:\n  kind: found .*urls: found "),
        ('{"run_id": 1', r"(?s)has 1 problem:\n  \(file\): found text that is not JSON"),
        ("[]", r"has 1 problem:\n  \(file\): found \[\]"),
    ],
)
def test_a_malformed_file_is_refused_with_every_problem(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = tmp_path / "deployment.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=complaint):
        load_deployment(path)


def test_a_missing_file_or_one_in_another_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*: No such file.*seawall up"):
        load_deployment(tmp_path / "deployment.json")
    (tmp_path / "deployment.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(UsageError, match="found text in UTF-16"):
        load_deployment(tmp_path / "deployment.json")


def test_the_run_in_progress_is_named_beside_the_file(tmp_path: Path) -> None:
    assert run_directory(tmp_path) is None
    set_run_directory(tmp_path, Path("/runs/1"))
    assert run_directory(tmp_path) == Path("/runs/1")
    set_run_directory(tmp_path, None)
    set_run_directory(tmp_path, None)
    assert run_directory(tmp_path) is None


def test_a_run_that_forbids_restarts_does_so_until_it_ends(tmp_path: Path) -> None:
    set_run_directory(tmp_path, Path("/runs/1"), restarts=False)
    assert restarts_forbidden(tmp_path)
    set_run_directory(tmp_path, Path("/runs/2"))  # whatever became of the one before
    assert not restarts_forbidden(tmp_path)
    set_run_directory(tmp_path, Path("/runs/3"), restarts=False)
    set_run_directory(tmp_path, None)
    assert not restarts_forbidden(tmp_path)


def test_the_state_of_processes_is_read_as_it_was_written(tmp_path: Path) -> None:
    """A stack that publishes none has none; a torn file is an error, never an empty list."""
    assert read_components(tmp_path) == []
    died = ComponentStatus(name="a", pid=1, exit_code=-9, died_at=1.5, log_tail="oops")
    write_components(tmp_path, [died])
    assert read_components(tmp_path) == [died]
    (tmp_path / COMPONENTS_FILE).write_text('{"components": [')
    with pytest.raises(WorldError, match="cannot be read"):
        read_components(tmp_path)

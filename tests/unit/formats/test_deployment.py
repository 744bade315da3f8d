"""The deployment file: written whole, read strictly, and what lies beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from seawall.errors import UsageError, WorldError
from seawall.formats.deployment import (
    COMPONENTS_FILE,
    ComponentStatus,
    Payouts,
    load_deployment,
    read_components,
    run_directory,
    set_run_directory,
    write_components,
)
from tests.testing.deployments import make_deployment


def test_a_deployment_is_read_as_it_was_written(tmp_path: Path) -> None:
    payouts = Payouts(contracts={"hot": "0x1"}, wallets={}, tokens={}, signers={"hot": "0x2"})
    made = make_deployment(tmp_path, play_money=True)
    network = made.networks["aster"].model_copy(update={"payouts": payouts})
    made = made.model_copy(update={"networks": {"aster": network}})

    assert load_deployment(made.write()) == made
    assert made.path.stat().st_mode & 0o777 == 0o600


def test_money_is_real_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    """Destructive attempts need an explicit word."""
    assert make_deployment(tmp_path).play_money is False


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{}", r"(?s)has \d+ problems:\n  run_id: found .*networks: found "),
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


def test_the_state_of_processes_is_read_as_it_was_written(tmp_path: Path) -> None:
    """A stack that publishes none has none; a torn file is an error, never an empty list."""
    assert read_components(tmp_path) == []
    died = ComponentStatus(name="a", pid=1, exit_code=-9, died_at=1.5, log_tail="oops")
    write_components(tmp_path, [died])
    assert read_components(tmp_path) == [died]
    (tmp_path / COMPONENTS_FILE).write_text('{"components": [')
    with pytest.raises(WorldError, match="cannot be read"):
        read_components(tmp_path)

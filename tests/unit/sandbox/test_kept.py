"""One kept sandbox per user: found again while it lives, forgotten when it does not."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import data_directory, kept, reaper
from sandbox.layout import sabotaged_components
from seawall.conventions import environment
from seawall.errors import DiskFullError, UsageError
from seawall.policy_file import load_policy

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def run_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    identity = uuid.uuid4().hex
    yield identity
    reaper.reap(identity, grace_s=0)


def _live(run_id: str) -> subprocess.Popen[bytes]:
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    return subprocess.Popen(sleeper, env={**os.environ, environment.RUN_ID_VARIABLE: run_id})


def test_a_second_sandbox_is_refused_while_the_first_lives(run_id: str) -> None:
    """The refusal says how to remove the first."""
    data_dir = kept.new_data_dir(run_id)
    (data_dir / reaper.MARKER).touch()
    kept.keep(run_id, data_dir)
    process = _live(run_id)
    assert kept.kept_data_dir() == data_dir
    with pytest.raises(UsageError, match="seawall down"):
        kept.keep("another", data_dir)
    assert kept.down() == data_dir
    assert process.wait(5) != 0
    assert kept.down() is None


def test_who_supervises_knows_of_the_end_before_the_first_process_ends(
    run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would start again what is being ended; afterwards only the logs are left."""
    data_dir = kept.new_data_dir(run_id)
    (data_dir / reaper.MARKER).touch()
    (data_dir / reaper.LOGS).mkdir()
    kept.keep(run_id, data_dir)
    known: list[bool] = [reaper.is_ending(data_dir)]

    def reap(_run_id: str, **_options: float) -> set[reaper.Process]:
        known.append(reaper.is_ending(data_dir))
        return set()

    monkeypatch.setattr(reaper, "reap", reap)

    assert kept.down() == data_dir
    assert known == [False, True]
    assert [entry.name for entry in data_dir.iterdir()] == [reaper.LOGS]
    assert reaper.is_ending(data_dir)


def test_a_sandbox_whose_processes_are_gone_does_not_prevent_another(run_id: str) -> None:
    """A machine that was restarted leaves only the pointer."""
    kept.keep(run_id, kept.new_data_dir(run_id))
    assert kept.kept_data_dir() is None
    kept.keep("another", kept.new_data_dir("another"))


def test_a_data_directory_with_other_things_in_it_is_refused(tmp_path: Path) -> None:
    """Teardown empties the directory: it must have been ours."""
    (tmp_path / "thesis.txt").write_text("do not delete")
    with pytest.raises(UsageError, match=r"thesis\.txt"):
        data_directory.prepare(tmp_path)


def test_a_full_disk_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is free and what is needed."""
    monkeypatch.setattr(data_directory, "FREE_BYTES_MIN", 1 << 60)
    with pytest.raises(DiskFullError, match="MiB free; a sandbox needs"):
        data_directory.prepare(tmp_path)


def test_only_the_holder_of_a_control_learns_that_it_is_switched_off() -> None:
    """Checkers, observers and the report get none of it."""
    policy = load_policy(ROOT / "policies" / "sandbox.yaml")
    assert sabotaged_components(policy, None) == {}
    assert set(sabotaged_components(policy, "failover")) == {"settler-aster", "settler-birch"}
    assert sabotaged_components(policy, "mode-controller") == {
        "mode-controller": "mode-controller",
        "mode-controller-standby": "mode-controller",
    }
    signers = sabotaged_components(policy, "bulkhead")
    assert signers
    assert all(name.startswith("signer-") for name in signers)

"""The variables of processes that belong to a sandbox, and of a shell that works on one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from sandbox.kept import load_record
from seawall.conventions import environment
from seawall.formats.deployment import TARGETS_FILE, Targets

ROOT = Path(__file__).resolve().parents[1]


def search_path(programs: Iterable[Path]) -> str:
    """PATH: this Python's folder, the folders of ``programs``, then the caller's."""
    caller = os.environ.get("PATH", os.defpath).split(os.pathsep)
    folders = [
        str(Path(sys.executable).parent),
        *(str(program.parent) for program in programs),
        *caller,
    ]
    return os.pathsep.join(dict.fromkeys(folders))


def additions(
    *, run_id: str | None, data_dir: Path, policy_path: Path, programs: Mapping[str, Path]
) -> dict[str, str]:
    """What a process of the sandbox is given on top of the caller's variables.

    A shell gets it without the run's id.

    Teardown ends whatever carries the id, and the user's shell is not ours to end.
    """
    found = {
        environment.TARGETS_VARIABLE: str(data_dir / TARGETS_FILE),
        environment.POLICY_VARIABLE: str(policy_path),
        "PATH": search_path(programs.values()),
        "PYTHONPATH": str(ROOT),
        # All parts are on loopback: no proxy of the user's may come between, and no metadata
        # service be asked for credentials.
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "AWS_EC2_METADATA_DISABLED": "true",
        # Nor may files of the user's: a profile there would be obeyed, a broken one be fatal.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    return (
        found
        if run_id is None
        else {environment.RUN_ID_VARIABLE: run_id, "PYTHONUNBUFFERED": "1", **found}
    )


def inherited() -> dict[str, str]:
    """The caller's variables without what a component must not have.

    Real AWS credentials, and another run's sabotage.
    """
    dropped = {
        environment.SABOTAGE_VARIABLE,
        environment.RUN_ID_VARIABLE,
        environment.RUNNER_VARIABLE,
    }
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_") and name not in dropped
    }


def shell_environment(targets: Targets) -> dict[str, str]:
    """What a shell needs to run chaos, locust and promtool by hand against this sandbox."""
    record = load_record(targets.data_dir)
    return additions(
        run_id=None,
        data_dir=targets.data_dir,
        policy_path=record.policy_path,
        programs=record.programs,
    )

"""A sandbox without a single part."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import reaper
from sandbox.kept import Record
from sandbox.layout import Layout
from sandbox.ports import pick_port
from sandbox.supervisor import Sandbox
from seawall.cache import repository_root
from seawall.policy_file import load_policy
from seawall.processes.environment import inherited

POLICY = repository_root() / "policies" / "sandbox.yaml"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """One without a single part: what is started on it is all there is."""
    record = Record(run_id=f"test-{uuid.uuid4().hex}", policy_path=POLICY, programs={})
    layout = Layout.plan(
        policy=load_policy(POLICY),
        record=record,
        data_dir=tmp_path,
        env=inherited(),
        pick=pick_port,
    )
    (tmp_path / reaper.LOGS).mkdir()
    (tmp_path / reaper.MARKER).touch()
    deployment = layout.deployment(run_id=record.run_id)
    empty = Sandbox(
        deployment=deployment,
        record=record,
        credentials=layout.credentials,
        sabotaged={},
        watch=None,
    )
    yield empty
    empty.close()

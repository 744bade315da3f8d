"""Write where the stack's kill switch is into the deployment file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.identities import Identity
from sandbox.supervisor import Sandbox
from seawall.formats.atomic import write_private
from seawall.kill_switch import AccessKey, KillSwitchLocation

KEY_FILE = "gameday.json"
"""In the data directory, mode 0600: the access key of whoever runs game days."""


def describe_kill_switch(sandbox: Sandbox, *, runner: Identity, outputs: Mapping[str, Any]) -> None:
    """Describe the switch of the stack with ``outputs``.

    It is read as ``runner`` in the role that game days have.

    Raises :class:`WorldError` if the files cannot be written.
    """
    gamedays = outputs["gamedays"]
    path = sandbox.data_dir / KEY_FILE
    key = AccessKey(access_key_id=runner.access_key_id, secret_access_key=runner.secret_access_key)
    write_private(path, key.model_dump_json())
    sandbox.describe(
        kill_switch=KillSwitchLocation(
            parameter=gamedays["kill_switch"]["parameter"],
            regions=tuple(gamedays["kill_switch"]["regions"]),
            endpoint=sandbox.deployment.urls.aws,
            role=gamedays["role"],
            credentials=path,
        )
    )

"""What `seawall contract verify` says of the evidence that a deployment offers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seawall.cli.contract import _evidence
from seawall.policy_file import load_policy
from tests.testing.deployments import make_deployment

POLICY = load_policy(Path("policies/sandbox.yaml"))
CONTRACTS: dict[str, Any] = {
    "payouts": {"contracts": {}, "wallets": {}, "tokens": {}, "signers": {}}
}
TRANSFERS: dict[str, Any] = {"transfers": {"senders": ["0x1"]}}


@pytest.mark.parametrize(
    ("aster", "birch", "offered"),
    [
        (CONTRACTS, CONTRACTS, "yes"),
        (CONTRACTS, TRANSFERS, "on aster alone"),
        (TRANSFERS, TRANSFERS, "no"),
    ],
)
def test_it_says_on_which_networks_keys_can_be_counted(
    aster: dict[str, Any], birch: dict[str, Any], offered: str, tmp_path: Path
) -> None:
    seen = {"chain_id": 1, "node": "http://127.0.0.1:1"}
    deployment = make_deployment(tmp_path, networks={"aster": seen | aster, "birch": seen | birch})

    found = {row["kind"]: row["offered"] for row in _evidence(deployment, POLICY)}

    assert found["key_counts"] == offered
    assert found["payouts"] == "yes"

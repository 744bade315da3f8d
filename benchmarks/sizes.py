"""Policies with any number of signing wallets, made from the committed one.

So growth is measured on what the kit really provisions.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from seawall.errors import Problem, ServiceError, UsageError
from seawall.formats.documents import read_yaml

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = ROOT / "policies"
BASE, DERIVED = "production.yaml", "sandbox.yaml"
_HOLDING = {"minimum": "0", "target": "1", "maximum": "2"}
_CHAIN_ID_FIRST = 74_000


@dataclass(frozen=True, kw_only=True)
class Size:
    """A policy to measure.

    Args:
        policy_path: its file.
        generated: the folder with what was rendered from it; the program refuses files of another
            policy.
    """

    policy_path: Path
    generated: Path


def committed() -> Size:
    """The sandbox's own policy, as it is."""
    return Size(policy_path=COMMITTED / DERIVED, generated=ROOT / "generated" / "sandbox")


def generated(wallets: int, *, folder: Path) -> Size:
    """A sandbox policy with ``wallets`` signing wallets, written and rendered into ``folder``.

    Raises :class:`UsageError`, :class:`ServiceError`.
    """
    tree = read_yaml(COMMITTED / BASE)
    folder.mkdir(parents=True)
    (folder / BASE).write_text(
        yaml.safe_dump(grown(tree, wallets=wallets), sort_keys=False), encoding="utf-8"
    )
    (folder / DERIVED).write_bytes((COMMITTED / DERIVED).read_bytes())
    size = Size(policy_path=folder / DERIVED, generated=folder / "generated")
    _render(size)
    return size


def grown(tree: dict[str, Any], *, wallets: int) -> dict[str, Any]:
    """The policy ``tree`` with ``wallets`` signing wallets.

    Wallets that the buckets lack are added first, then networks with a rail and nine wallets each.
    Nothing that is added pays customers, so of the sums of feasibility only that of the emergency
    stop changes. Raises :class:`UsageError`.
    """
    signing = [name for name, wallet in tree["wallets"].items() if wallet["class"] != "cold"]
    if wallets < len(signing):
        problem = Problem(
            path="--wallets",
            found=str(wallets),
            remedy=f"ask for {len(signing)} or more: the policy has those",
        )
        raise UsageError(str(problem))
    found = {
        **tree,
        "networks": dict(tree["networks"]),
        "rails": dict(tree["rails"]),
        "wallets": dict(tree["wallets"]),
    }
    candidates = _candidates(tree)
    for _ in range(wallets - len(signing)):
        bucket, network, kind = next(candidates)
        if network not in found["networks"]:
            index = len(found["networks"])
            found["networks"][network] = _network(tree, chain_id=_CHAIN_ID_FIRST + index)
            found["rails"][network] = _rail(tree, network)
        native = found["networks"][network]["native"]
        found["wallets"][f"{bucket}-{network}-{kind}"] = {
            "bucket": bucket,
            "network": network,
            "class": kind,
            "holdings": {native: dict(_HOLDING)},
        }
    return found


def _candidates(tree: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Bucket, network and class of every wallet that could be added, in order."""
    taken = {
        (wallet["bucket"], wallet["network"], wallet["class"])
        for wallet in tree["wallets"].values()
    }
    for network in (*tree["networks"], *(f"net{index}" for index in range(1, 1_000))):
        for bucket, declared in tree["buckets"].items():
            for kind in ("reserve",) if declared["pays"] else ("hot", "reserve"):
                if (bucket, network, kind) not in taken:
                    yield bucket, network, kind


def _network(tree: dict[str, Any], *, chain_id: int) -> dict[str, Any]:
    return {**next(iter(tree["networks"].values())), "chain_id": chain_id, "tokens": []}


def _rail(tree: dict[str, Any], network: str) -> dict[str, Any]:
    like = next(rail for rail in tree["rails"].values() if rail["kind"] == "network")
    hosts = {
        side: f"https://{network}.{like[side]}.rpc.harbour.example"
        for side in ("primary", "standby")
    }
    return {**like, "endpoints": hosts}


def _render(size: Size) -> None:
    """Render everything that the program reads.

    Raises :class:`ServiceError`.
    """
    for module in ("monitors.render", "infra.render"):
        options = ["--policy", str(size.policy_path), "--out", str(size.generated)]
        done = subprocess.run(
            [sys.executable, "-m", module, *options],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ServiceError(
                f"python -m {module} failed for {size.policy_path}:\n{done.stdout}{done.stderr}"
            )

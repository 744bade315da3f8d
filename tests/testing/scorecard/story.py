"""What a synthetic run is made of: its moments, and the rows of its files before writing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from seawall.formats.journal import GENESIS_HASH, entry_hash
from seawall.policy import Drill, Policy

ROOT = Path(__file__).resolve().parents[3]
ZERO = 1_700_000_000
CALM_S, RUN_S = 15, 50
RUN_ENDS = CALM_S + RUN_S
DRILL = "signing-region-dark"
APPLIED, EFFECTIVE, FAILED_OVER, REVERTED, CLEARED = 27.0, 27.3, 27.9, 57.35, 57.45
UNSTRESSED, NORMAL = 73.2, 78.4
STARTS, ENDS = -2.0, 94.0
NATIVE = "0x" + "0" * 40
PAYOUT_LANES = {"aster": "customer-aster-hot", "birch": "customer-birch-hot"}
TOP_UPS_PER_POOL = 3

Row = dict[str, Any]


def at(seconds: float) -> str:
    """Seconds after the flood's zero as the files write a moment."""
    return f"{ZERO + seconds:.6f}"


@dataclass
class Story:
    """The rows of every file, before they are written."""

    policy: Policy
    random: Random = field(default_factory=lambda: Random(7))
    tables: dict[str, list[Row]] = field(default_factory=dict)
    flips: list[tuple[float, str]] = field(default_factory=list)

    @property
    def drill(self) -> Drill:
        """The drill that was run."""
        return self.policy.drills[DRILL]

    def table(self, name: str) -> list[Row]:
        """Rows of one file."""
        return self.tables.setdefault(name, [])


def decisions(
    *,
    flips: Iterable[tuple[int, str]],
    top_ups: Iterable[Row],
    surpluses: Iterable[Row],
    orders: Iterable[Row],
) -> list[Row]:
    """A journal of these decisions, hash-chained by writer as the venue's is.

    ``flips`` are (epoch, tier), ``orders`` rows of their table, ``top_ups`` (sweeps among them)
    and ``surpluses`` the bodies of their entries.
    """
    deficit: tuple[str, Row] = ("deficit", {})
    bodies: dict[str, list[tuple[str, Row]]] = {
        "mode-controller": [("flip", {"epoch": epoch, "tier": tier}) for epoch, tier in flips],
        "treasury": [
            *(("sweep" if "sweep" in top_up else "topup", top_up) for top_up in top_ups),
            *(("surplus", surplus) for surplus in surpluses),
            deficit,
            deficit,
        ],
        "venue-operator": [],
    }
    for row in orders:
        body = {name: row[name] or None for name in ("network", "tier", "operator")}
        bodies["venue-operator"].append(("order", {"order": row["kind"], **body, "lasts_s": 60}))
        if row["ended_by"]:
            body = {"order": int(row["id"]), "operator": row["ended_by"]}
            bodies["venue-operator"].append(("order ended", body))
    found: list[Row] = []
    for writer, entries in bodies.items():
        previous = GENESIS_HASH
        for n, (kind, body) in enumerate(entries, start=1):
            entry: Row = {
                "writer": writer,
                "n": n,
                "kind": kind,
                "justification": "because",
                "body": body,
            }
            own = entry_hash(previous_hash=previous, **entry)
            found.append(
                entry
                | {
                    "body": json.dumps(entry["body"]),
                    "previous_hash": previous.hex(),
                    "hash": own.hex(),
                }
            )
            previous = own
    return found


def address_of(policy: Policy, wallet: str) -> str:
    """The address that signs for ``wallet``."""
    return f"0x{sorted(policy.wallets).index(wallet) + 1:040x}"


def tier_at(story: Story, moment: float) -> tuple[int, str]:
    """Mode epoch and tier in force at ``moment``."""
    epoch, tier = 1, "normal"
    for number, (flipped, name) in enumerate(story.flips, start=2):
        if flipped <= moment:
            epoch, tier = number, name
    return epoch, tier


def region_at(story: Story, moment: float) -> str:
    """The region that signs at ``moment``."""
    return (
        story.policy.regions.standby
        if APPLIED <= moment <= CLEARED + 6
        else story.policy.regions.primary
    )


def add_probe(
    story: Story, moment: float, probe: str, *, ok: bool = True, took: float = 0.003, **detail: Any
) -> None:
    """A sample of the black-box prober."""
    story.table("probes").append(
        {
            "at": ZERO + moment,
            "done_at": ZERO + moment + took,
            "probe": probe,
            "ok": ok,
            "detail": detail,
        }
    )

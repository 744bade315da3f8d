"""The policy under which the second venue is drilled: the shipped promises, with drills of its own.

It is written as a user would: a copy of the production policy with the drills, game days and
requirements that fit the venue, and a policy that scales it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from seawall.cache import repository_root

STEADY_STATE = ["api_answers", "withdrawal_completes"]
"""The venue promises no tiers in its status and has no metrics."""
CLAIMS = ["stress.small_completed"]
CALM: dict[str, Any] = {
    "title": "A day without a shock at the second venue",
    "flood": {"profile": "calm-day", "calm": "18s", "length": "36s"},
    "steady_state": STEADY_STATE,
    "expects": {"targets": ["small_withdrawals_completed_min"]},
    "claims": CLAIMS,
    "smallest": {"calm": "18s", "flood": "33s", "offered_per_s": 40},
}
API_KILLED: dict[str, Any] = {
    "title": "The second venue's api is killed and comes back",
    "flood": {"profile": "calm-day", "calm": "18s", "length": "48s"},
    "faults": [
        {"fault": "process-killed", "target": "process.venue-api", "after": "12s", "length": "9s"}
    ],
    "lease_ttl": "12s",
    "blast_radius": ["process.venue-api"],
    "steady_state": STEADY_STATE,
    "expects": {"targets": []},
    "claims": ["customer"],
    "smallest": {"calm": "18s", "flood": "45s", "offered_per_s": 40, "fault": "6s"},
}


def write_policy(folder: Path, **changes: Any) -> Path:
    """Write the policy into ``folder``; ``changes`` replace sections. Returns its path."""
    text = (repository_root() / "policies" / "production.yaml").read_text(encoding="utf-8")
    tree = yaml.safe_load(text) | {
        "policy": "second-base",
        "drills": {"calm": CALM, "api-killed": API_KILLED},
        "gamedays": [{"name": "second", "schedule": "cron(0 10 ? * TUE#1 *)", "drills": ["calm"]}],
        "readiness": [{"drill": "calm", "within": "105d", "stack": "sandbox"}],
        **changes,
    }
    (folder / "base.yaml").write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    scaled = {
        "policy": "second",
        "extends": "base.yaml",
        "scale": {"amounts": "1", "durations": "1/3"},
        "addresses": {},
    }
    path = folder / "second.yaml"
    path.write_text(yaml.safe_dump(scaled, sort_keys=False), encoding="utf-8")
    return path

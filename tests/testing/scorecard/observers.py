"""What the observers of a synthetic run saw, and the documents that its parts write."""

from __future__ import annotations

import uuid
from typing import Any

from seawall.conventions import components, metrics, signing
from seawall.conventions.evidence import ADDRESS_PROBE
from seawall.conventions.promises import ACKNOWLEDGED_OUTCOME, COUNTED_AS
from seawall.experiments import experiment_of
from tests.testing.scorecard.story import (
    APPLIED,
    CALM_S,
    CLEARED,
    DRILL,
    EFFECTIVE,
    ENDS,
    NORMAL,
    PAYOUT_LANES,
    REVERTED,
    RUN_ENDS,
    STARTS,
    ZERO,
    Row,
    Story,
    add_probe,
    at,
    tier_at,
)

API = "http://127.0.0.1:8000"
"""Where the customers of the venue ask, and so do flood and prober."""


OLDER = 3
"""Requests of each operation that the api had acknowledged before the run."""
COUNTED = tuple(COUNTED_AS.values())


def observe(story: Story) -> None:
    """Samples, pages, blocks and the timeline."""
    add_probe(story, STARTS, ADDRESS_PROBE, took=0.0, api=API)
    lanes = {
        wallet: (
            network,
            [
                float(slot["broadcast_at"]) - ZERO
                for slot in story.table("records/slots")
                if slot["wallet"] == wallet
            ],
        )
        for network, wallet in PAYOUT_LANES.items()
    }
    for tick in range(int((ENDS - STARTS) * 20)):
        moment = STARTS + tick / 20
        epoch, tier = tier_at(story, moment)
        add_probe(story, moment, "status", tier=tier, epoch=epoch)
        for wallet, (network, broadcasts) in lanes.items():
            add_probe(
                story,
                moment,
                "pending_nonce",
                network=network,
                wallet=wallet,
                nonce=sum(1 for sent in broadcasts if sent <= moment),
            )
        if tick % 4 == 0:
            for region in (story.policy.regions.primary, story.policy.regions.standby):
                dark = (
                    region == story.policy.regions.primary and EFFECTIVE - 0.15 < moment < REVERTED
                )
                silence: Row = {"error": "TimeoutError"} if dark else {}
                add_probe(
                    story,
                    moment,
                    "kms",
                    ok=not dark,
                    took=0.3 if dark else 0.005,
                    region=region,
                    **silence,
                )
                if tick % 20 == 8:
                    result = signing.SILENT if dark else signing.ANSWERED
                    add_probe(
                        story,
                        moment,
                        "signer",
                        ok=not dark,
                        took=0.5 if dark else 0.02,
                        region=region,
                        result=result,
                    )
        if tick % 20 == 10:
            suspended: Row = {"code": "suspended"} if tier == "protected" else {}
            add_probe(story, moment, "login")
            add_probe(story, moment, "balances")
            swap = str(uuid.UUID(int=tick))
            add_probe(story, moment, "swap", ok=not suspended, id=swap, **suspended)
            if not suspended:
                story.table("records/promises").append({"kind": "swap", "id": swap})
            add_probe(story, moment, "large_transfer", ok=not suspended, **suspended)
    for network in PAYOUT_LANES:
        for number in range(int(ENDS - STARTS) + 4):
            mined = STARTS + number - 4
            story.table("chain/blocks").append(
                {
                    "network": network,
                    "number": number,
                    "timestamp": int(ZERO + mined),
                    "observed_at": at(mined + 0.05),
                }
            )
    breach = story.flips[1][0] - 0.030
    for received, name, severity in (
        (EFFECTIVE + 1.2, metrics.ALERT_SIGNING_DARK, "critical"),
        (breach + 1.4, metrics.trigger_alert("run-on-the-bank"), "critical"),
    ):
        story.table("pages").append(
            {
                "received_at": ZERO + received,
                "status": "firing",
                "alertname": name,
                "severity": severity,
                "starts_at": ZERO + received,
                "labels": {},
            }
        )
    planned = story.drill.faults[0]
    dark_fault = {
        "fault": planned.fault,
        "target": planned.target,
        "part": components.kms_proxy(story.policy.regions.primary),
        "parameters": planned.parameters,
    }
    held = {"samples": 70, "effective": 70, "clear": 0, "gap_ms": 440}
    for moment, source, event, detail in (
        (STARTS - 5, "gameday", "venue.ready", {}),
        (0.0, "gameday", "calm.started", {}),
        (float(CALM_S), "gameday", "run.started", {}),
        (APPLIED, "chaos", "fault.applied", dark_fault),
        (EFFECTIVE, "chaos", "fault.effective", dark_fault),
        (REVERTED, "chaos", "fault.held", dark_fault | held),
        (REVERTED, "chaos", "fault.reverted", dark_fault),
        (CLEARED, "chaos", "fault.cleared", dark_fault),
        (float(RUN_ENDS), "gameday", "run.ended", {}),
        (NORMAL + 1, "gameday", "drained", {}),
        (ENDS, "gameday", "collected", {}),
    ):
        story.table("timeline").append(
            {"at": ZERO + moment, "source": source, "event": event, "detail": detail}
        )


REPLAY = (
    "bin/seawall gameday --seed 7 --gameday run-with-dark-region --policy policies/sandbox.yaml"
)


def _succeeded(activities: list[Row]) -> list[Row]:
    return [
        {"activity": activity, "status": "succeeded", "output": None} for activity in activities
    ]


def _acknowledged(story: Story) -> list[Row]:
    """What the api counts by operation: swaps of the prober, beside older ones."""
    swapped = [
        row["done_at"] for row in story.table("probes") if row["probe"] == "swap" and row["ok"]
    ]
    return [
        {
            "metric": {
                "__name__": metrics.REQUESTS,
                "operation": operation,
                "outcome": ACKNOWLEDGED_OUTCOME,
            },
            "values": [
                [moment, str(OLDER + (sum(at <= moment for at in swapped) if of_swaps else 0))]
                for moment in range(ZERO - 20, ZERO + int(ENDS) + 1)
            ],
        }
        for operation, of_swaps in [(each, each == COUNTED_AS["swap"]) for each in COUNTED]
    ]


def documents(story: Story) -> dict[str, Any]:
    """The JSON documents by file."""

    def phase(name: str) -> Row:
        planned = sum(1 for row in story.table("arrivals") if row["phase"] == name)
        return {
            "planned": planned,
            "sent": planned,
            "missed": 0,
            "acknowledged": planned,
            "offered_per_s": planned / 50,
        }

    experiment = experiment_of(story.policy, DRILL)
    state = {
        "steady_state_met": True,
        "probes": [
            {"activity": probe, "status": "succeeded", "tolerance_met": True, "output": True}
            for probe in experiment["steady-state-hypothesis"]["probes"]
        ],
    }
    hot = story.policy.hot_target_value_micro() / 4
    return {
        "manifest.json": {
            "run_id": "20231114T221320Z-7",
            "seed": 7,
            "policy": story.policy.policy,
            "broke": None,
            "policy_digest": story.policy.digest,
            "policy_scale": {"amounts": "1", "durations": "1/3"},
            "gameday": story.policy.gamedays[0].name,
            "drill": DRILL,
            "earlier": ["first"],
            "replay": REPLAY,
            "stack": "sandbox",
            "api": API,
            "commit": "0" * 40,
            "dirty": False,
            "versions": {"python": "3.11.2", "locust": "2.47.0", "anvil": "1.7.1"},
            "knobs": {"workers": 2},
            "sabotage": None,
            "started_at": ZERO - 20.0,
            "ended_at": ZERO + ENDS + 1,
            "components": [
                {"name": name, "pid": 1, "exit_code": None, "died_at": None, "log_tail": None}
                for name in ("venue-api", "mode-controller")
            ],
        },
        "policy.json": story.policy.model_dump(mode="json", by_alias=True),
        "flood.json": {
            "t_zero": float(ZERO),
            "seed": 7,
            "knobs": {},
            "scaling": {
                "source": "a synthetic run",
                "value": "1/200",
                "time": "compressed",
                "not_compressed": ["block time", "signing"],
            },
            "calm": phase("calm"),
            "run": phase("run"),
            "dispatch_lag_ms": {"p50": 1.0, "p99": 1.0, "max": 1.0},
            "api": API,
            "duration_s": 65.0,
            "workers": 2,
            "clocks": [
                {
                    "worker": worker,
                    "before": {"offset_ms": 0.2, "uncertainty_ms": 0.4},
                    "after": {"offset_ms": -0.3, "uncertainty_ms": 0.5},
                }
                for worker in ("0", "1")
            ],
        },
        "chaos-journal.json": {
            "status": "completed",
            "deviated": False,
            "experiment": experiment,
            "steady_states": {"before": state, "after": state},
            "run": _succeeded(experiment["method"]),
            "rollbacks": _succeeded(experiment["rollbacks"]),
        },
        "records/ledger_faults.json": {
            "unbalanced_postings": 0,
            "negative_balances": 0,
            "balance_mismatches": 0,
        },
        "metrics.json": {
            "step_s": 1.0,
            "series": [
                {
                    "metric": {"__name__": metrics.HOT_BALANCE, "network": network, "asset": asset},
                    "values": [
                        [ZERO + second, str(hot * (1 - 0.5 * max(0, min(1, (second - 15) / 20))))]
                        for second in range(int(ENDS) + 1)
                    ],
                }
                for network in PAYOUT_LANES
                for asset in story.policy.networks[network].assets
            ]
            + _acknowledged(story)
            + [
                {
                    "metric": {"__name__": metrics.SCRAPED, "process": "venue-api"},
                    "values": [
                        [ZERO + second + 0.3, "1"] for second in range(int(STARTS), int(ENDS))
                    ],
                }
            ],
        },
    }

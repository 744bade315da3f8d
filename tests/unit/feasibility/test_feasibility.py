"""A promise that cannot be kept is refused with its sum; one that can shows what is left."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from seawall.controls.timing import SIGNER_TIMEOUT_MS
from seawall.feasibility import Sum, Term, sums_of
from seawall.feasibility.sums import Relation, show
from seawall.policy_file import load_policy
from tests.testing import policies
from tests.testing.breaking import PRODUCTION, SANDBOX, problems
from tests.testing.policies import put, tree, write
from venue.signer.provider import TIMEOUT_S

BROKEN: dict[str, tuple[str, Any, str, str]] = {
    # what: (place that is changed, what to, place that is named, the sum that is shown)
    "pages later than promised": (
        "monitoring.pending_for",
        "10s",
        "targets.page_max",
        (
            "page of run-on-the-bank, at most 15s: scrape 3s + evaluate 3s + for 10s + group wait "
            "0s = 16s"
        ),
    ),
    "blind for longer than a page may take": (
        "monitoring.absent_for",
        "12s",
        "monitoring.absent_for",
        (
            "page of metrics that are absent, at most 15s: scrape 3s + evaluate 3s + absent for "
            "12s + group wait 0s = 18s"
        ),
    ),
    "signing fails over faster than the breaker opens": (
        "targets.failover_max",
        "2s",
        "targets.failover_max",
        (
            "at most 2s: claim 350ms + breaker opens 1.2s (2 failures x 600ms) + signature 600ms = "
            "2.15s"
        ),
    ),
    "protected before the mode controller reads": (
        "targets.protected_max",
        "100ms",
        "targets.protected_max",
        "at most 100ms: tick of the mode controller 20ms + ages of the queue 100ms = 120ms",
    ),
    "a name moves faster than its checks": (
        "served.api.check_every",
        "30s",
        "served.api",
        (
            "failover of api.harbour.example, at most 150s: health checks 120s (4 x 30s) + ttl 60s "
            "= 180s"
        ),
    ),
    "dark for less than a failover may take": (
        "drills.signing-region-dark.faults.0.length",
        "20s",
        "drills.signing-region-dark.faults.0.length",
        "at least 30s: length 20s = 20s",
    ),
    "a refill faster than its blocks": (
        "treasury.refill_lead_time",
        "10s",
        "treasury.refill_lead_time",
        (
            "refill on birch, at most 10s: claim 350ms + signature 600ms + blocks 9s (3 x 3s) + "
            "poll of the chain 200ms + breaker opens 1.2s (2 failures x 600ms) = 11.35s"
        ),
    ),
    "small withdrawals faster than a refill": (
        "targets.small_withdrawal_within",
        "40s",
        "targets.small_withdrawal_within",
        (
            "on aster from an empty wallet, at most 40s: top-up every 1.5s + refill lead time 30s "
            "+ claim 350ms + signature 600ms + blocks 9s (3 x 3s) + poll of the chain 200ms = "
            "41.65s"
        ),
    ),
    "a tier that is stayed in for too long": (
        "tiers.stressed.dwell_min",
        "10m",
        "tiers.stressed.dwell_min",
        "leaving stressed, at most 135s: stressed dwell_min 10m = 10m",
    ),
    "calm for longer than recovery may take": (
        "tiers.protected.exit_after",
        "140s",
        "tiers.protected.exit_after",
        "at most 135s: protected exit_after 140s = 140s",
    ),
    "recovery faster than the way back": (
        "targets.recovery_max",
        "100s",
        "targets.recovery_max",
        (
            "longest window 15s + protected dwell_min 30s + stressed dwell_min 15s + top-up every "
            "1.5s + refill lead time 30s + claim 350ms + signature 600ms + blocks 9s (3 x 3s) + "
            "poll of the chain 200ms = 101.65s"
        ),
    ),
    "a stop faster than KMS disables keys": (
        "targets.emergency_stop_max",
        "1s",
        "targets.emergency_stop_max",
        "at most 1s: DisableKey 2s (9 keys at 5/s) = 2s",
    ),
    "a ledger restored faster than its contracts can be told": (
        "targets.database_rto_max",
        "14s",
        "targets.database_rto_max",
        (
            "at most 14s: claim 350ms + signature 600ms + blocks 9s (3 x 3s) + poll of the chain "
            "200ms + claim 350ms + signature 600ms + block 3s = 14.1s"
        ),
    ),
    "more lost than promised": (
        "backup.every",
        "12h",
        "targets.rpo_max",
        "at most 6h: backup every 12h + late start of a backup 1h = 13h",
    ),
    "a cap that keeps small withdrawals waiting": (
        "caps.signer.window",
        "36s",
        "caps.signer.window",
        (
            "small withdrawal on birch while the signer's cap is used up, at most 45s: window of "
            "the signer's cap 36s + claim 350ms + signature 600ms + blocks 9s (3 x 3s) + poll of "
            "the chain 200ms = 46.15s"
        ),
    ),
    "fewer transactions than stress takes": (
        "caps.signer.transactions",
        70,
        "caps.signer.transactions",
        (
            "transactions of customer-birch-hot in 15s, at most 70: full batches 16.667 (20000 in "
            "90s, batches of 200) + batches that are not full 60 (one every 250ms) = 76.667"
        ),
    ),
    "too small a share of the quota": (
        "signing.operations_per_s",
        20,
        "signing.shares.customer",
        (
            "signatures of customer, at most 12/s: withdrawals 1.111/s (20000 in 90s, batches of "
            "200) + batches that are not full 8/s (2 wallets every 250ms) + top-ups 2.667/s (4 "
            "holdings every 1.5s) + probes 2/s (2 networks) = 13.778/s"
        ),
    ),
    "more asked for than refills bring": (
        "stress.outflow.birch.BIR",
        "4000",
        "stress.outflow.birch.BIR",
        (
            "birch BIR of one cycle of stress, at least 4000 BIR: hot target 756 BIR (840 less its "
            "minimum 84) + top-ups 2352 BIR (2 x 1176 within 90s, 31.5s each) = 3108 BIR"
        ),
    ),
    "refills that come too late": (
        "treasury.refill_lead_time",
        "43s",
        "stress.outflow.aster.AST",
        "top-ups 588 AST (2 x 294 within 90s, 44.5s each) = 777 AST",
    ),
    "a reserve that runs dry": (
        "wallets.customer-aster-reserve.holdings.AST.target",
        "400",
        "stress.outflow.aster.AST",
        "top-ups 400 AST (all of customer-aster-reserve above its minimum) = 589 AST",
    ),
    "a reserve without the asset": (
        "wallets.customer-aster-reserve.holdings",
        {"USDX": {"minimum": "0", "target": "2520000", "maximum": "3360000"}},
        "stress.outflow.aster.AST",
        "top-ups 0 AST (no reserve holds any) = 189 AST",
    ),
    "more than customers are owed": (
        "triggers.1.enter_at",
        "51",
        "triggers.1.enter_at",
        (
            "reach of run-on-the-bank, at least 51: everything withdrawn 50 (venue.liabilities / "
            "all hot targets) = 50"
        ),
    ),
    "one customer forces a tier": (
        "triggers.0.enter_at",
        "0.05",
        "limits.withdrawal_value_max",
        (
            "one customer does not force run-building, below 0.05: all of one customer 0.06 "
            "(limits.withdrawal_value_max / all hot targets) = 0.06"
        ),
    ),
    "one customer keeps up a tier": (
        "limits.window",
        "38s",
        "limits.window",
        (
            "one customer does not keep up run-building, below 0.04: all of one customer 0.06 "
            "(limits.withdrawal_value_max / all hot targets) = 0.06"
        ),
    ),
    "more failures than a dark region gives": (
        "triggers.2.enter_at",
        "5",
        "triggers.2.enter_at",
        (
            "reach of signing-degraded, at least 5: failures until the standby signs 4 (2 open the "
            "breaker x 2 networks) = 4"
        ),
    ),
    "an exit below what calm can reach": (
        "triggers.4.exit_below",
        "10s",
        "triggers.4.exit_below",
        (
            "exit of backlog on aster, below 10s: claim 350ms + signature 600ms + blocks 9s (3 x "
            "3s) + poll of the chain 200ms = 10.15s"
        ),
    ),
    "a warning after the broken promise": (
        "triggers.3.enter_at",
        "40s",
        "triggers.3.enter_at",
        (
            "queue-ageing before a customer waits too long, at most 45s: enter at 40s + scrape 3s "
            "+ evaluate 3s + for 0s + group wait 0s = 46s"
        ),
    ),
}
ALSO: dict[str, dict[str, Any]] = {
    "pages later than promised": {"triggers.3.enter_at": "20s"},
    "a name moves faster than its checks": {"served.api.failures": 4},
    "dark for less than a failover may take": {
        "drills.signing-region-dark.smallest.fault": "20s",
        "drills.signing-region-dark.faults.0.after": "124s",
    },
    "a cap that keeps small withdrawals waiting": {
        "caps.signer.transactions": 200,
        "stress.outflow": {
            "aster": {"AST": "290", "USDX": "580000"},
            "birch": {"BIR": "1160", "USDX": "580000"},
        },
    },
    "refills that come too late": {
        "targets.small_withdrawal_within": "60s",
        "targets.recovery_max": "200s",
        "stress.outflow.aster.AST": "778",
    },
}
"""What else is changed, so that the one sum is the only one that breaks."""
FOLLOWS = {
    "a tier that is stayed in for too long": ["targets.recovery_max"],
    "calm for longer than recovery may take": ["targets.recovery_max"],
}
"""A stay is a term of recovery too."""


@pytest.mark.parametrize("what", BROKEN)
def test_a_promise_that_cannot_be_kept_is_refused_at_its_place_with_its_terms(
    tmp_path: Path, what: str
) -> None:
    """One row per sum: exactly that place is named."""
    where, value, named, said = BROKEN[what]
    changed = tree()
    put(changed, where, value)
    for place, other in ALSO.get(what, {}).items():
        put(changed, place, other)

    found = problems(write(tmp_path, changed))

    assert list(found) == [named, *FOLLOWS.get(what, [])]
    assert said in found[named]


def test_no_sum_is_left_that_was_not_broken_above() -> None:
    """A sum that no test breaks might be one that cannot break."""
    assert {_place(each.path) for each in sums_of(policies.policy())} <= {
        _place(named) for _, _, named, _ in BROKEN.values()
    }


def _place(path: str) -> str:
    """``path`` without the names and numbers that differ from policy to policy."""
    section, _, rest = path.partition(".")
    keyed = {"served": "", "stress": "outflow", "signing": "shares"}
    if section in keyed:
        return f"{section}.{keyed[section]}"
    return f"{section}.{rest.rpartition('.')[2]}"


def test_a_signer_that_lets_less_through_is_refused(tmp_path: Path) -> None:
    """A cap below the cycle's outflow stops customers, however much the wallet holds."""
    changed = tree()
    put(
        changed,
        "wallets.customer-aster-hot.holdings.AST",
        {"minimum": "0", "target": "500", "maximum": "500"},
    )
    put(changed, "stress.length", "31500ms")
    for place in ("aster.USDX", "birch.USDX", "birch.BIR"):
        put(changed, f"stress.outflow.{place}", "1")
    put(changed, "stress.outflow.aster.AST", "1001")

    said = problems(write(tmp_path, changed))["stress.outflow.aster.AST"]

    assert (
        "aster AST through the signer's caps, at least 1001 AST: caps 800 AST (2 windows of "
        "15s x 400) + a sweep just before -100 AST (it counts in the first window) = 700 AST"
    ) in said


@pytest.mark.parametrize("path", [PRODUCTION, SANDBOX], ids=lambda path: path.stem)
def test_both_policies_can_be_kept_and_show_their_room(path: Path) -> None:
    """The sandbox's too, whose durations are a third while the venue's constants are not."""
    sums = sums_of(load_policy(path))

    assert {each.kind for each in sums} == {"time", "capacity", "money", "logic"}
    assert all(each.holds for each in sums)
    assert len({each.name for each in sums}) == len(sums)


def room_of(each: Sum) -> list[str]:
    return show(each.margin, each.unit).split()


def test_the_manual_shows_what_the_command_prints() -> None:
    """Every line of its example is one of the production policy's sums, to the letter."""
    manual = (PRODUCTION.parents[1] / "docs" / "policy.md").read_text(encoding="utf-8")
    shown = [
        line.split()
        for line in manual.splitlines()
        if re.match(r"    (time|capacity|money|logic) ", line)
    ]
    sums = sums_of(load_policy(PRODUCTION))
    printed = [
        [*f"{each.kind} {each.name} {each.bound} {each.addition}".split(), *room_of(each)]
        for each in sums
    ]

    assert len(shown) > 10
    assert [line for line in shown if line not in printed] == []
    assert f"its {len(sums)} lines" in manual


def test_constants_of_the_venue_are_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    """A longer timeout of the settler breaks the targets that have no room for it."""
    policy = policies.policy(durations="1/3")
    monkeypatch.setattr("seawall.feasibility.steps.SIGNER_TIMEOUT_MS", 4_000)

    broken = {each.name for each in sums_of(policy) if not each.holds}

    assert {"failover of signing", "refill on aster", "exit of backlog on birch"} <= broken
    assert "page of run-on-the-bank" not in broken


def test_the_settler_waits_as_long_as_a_signer_may_take_to_give_up() -> None:
    """Otherwise a dark provider would look like a dark signer, and the reason would be lost."""
    assert 2 * TIMEOUT_S * 1_000 < SIGNER_TIMEOUT_MS


def _sum(relation: Relation, limit: int, *values: int) -> Sum:
    terms = tuple(
        Term(name=f"t{index}", value=Fraction(value)) for index, value in enumerate(values)
    )
    return Sum(
        kind="time",
        name="s",
        path="p",
        relation=relation,
        limit=Fraction(limit),
        unit="ms",
        terms=terms,
        remedy="r",
    )


@pytest.mark.parametrize(
    ("relation", "values", "holds", "margin"),
    [
        ("within", (4, 6), True, 0),
        ("within", (5, 6), False, -1),
        ("below", (4, 5), True, 1),
        ("below", (4, 6), False, 0),
        ("covers", (4, 6), True, 0),
        ("covers", (4, 5), False, -1),
        ("covers", (), False, -10),
    ],
)
def test_a_sum_holds_up_to_its_limit(
    relation: Relation, values: tuple[int, ...], holds: bool, margin: int
) -> None:
    each = _sum(relation, 10, *values)
    assert (each.holds, each.margin) == (holds, Fraction(margin))


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (Fraction(0), "ms", "0s"),
        (Fraction(250), "ms", "250ms"),
        (Fraction(-250), "ms", "-250ms"),
        (Fraction(1_500), "ms", "1.5s"),
        (Fraction(90_000), "ms", "90s"),
        (Fraction(600_000), "ms", "10m"),
        (Fraction(3_600_000), "ms", "1h"),
        (Fraction(1, 3), "/s", "0.333/s"),
        (Fraction(1_200_000), "USDX", "1200000 USDX"),
        (Fraction(-3, 2), "AST", "-1.5 AST"),
        (Fraction(50), "", "50"),
    ],
)
def test_numbers_are_shown_as_people_write_them(value: Fraction, unit: str, shown: str) -> None:
    assert show(value, unit) == shown

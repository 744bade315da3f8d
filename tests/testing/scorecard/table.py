"""Every way in which the good run is spoiled by hand, with the checks that must notice."""

from __future__ import annotations

from dataclasses import replace

from seawall.scorecard.outcome import Outcome
from seawall.scorecard.readers import SECOND
from tests.testing.scorecard.spoiled_customers import CUSTOMERS
from tests.testing.scorecard.spoiled_faults import FAULTS
from tests.testing.scorecard.spoiled_floods import FLOODS
from tests.testing.scorecard.spoiled_orders import ORDERS
from tests.testing.scorecard.spoiled_promises import PROMISES
from tests.testing.scorecard.spoiled_reads import READS
from tests.testing.scorecard.spoiled_safety import SAFETY
from tests.testing.scorecard.spoiled_signing import INCOMPLETE, SIGNING
from tests.testing.scorecard.spoiled_times import TIMES
from tests.testing.scorecard.spoiling import (
    Spoil,
    each,
    events,
    first,
    journal,
    paid_in_dark,
    probes,
    signed_otherwise,
    us,
    without,
)

FAIL, UNKNOWN = Outcome.FAIL, Outcome.UNKNOWN

TABLE: dict[str, tuple[Spoil, dict[str, Outcome]]] = {
    # --- the drill counts
    "the calm is short": (
        lambda run: {
            "flood": run.flood.model_copy(update={"t_zero": run.flood.t_zero + 1}),
            **{
                name: each(
                    getattr(run, name), lambda row: True, offset_s=lambda row: row.offset_s - 1
                )
                for name in ("arrivals", "planned_reads")
            },
        },
        {"drill.calm": UNKNOWN},
    ),
    "the tier was not normal in the calm": (
        lambda run: {
            "flips": first(
                run.flips, lambda flip: flip.epoch == 2, committed_at=us(12), sampled_at=us(11)
            )
        },
        {"drill.calm": UNKNOWN, "safety.old_epoch": FAIL},
    ),
    "the wallets held more than the policy's target": (
        lambda run: {
            "chain_balances": each(
                run.chain_balances,
                lambda row: row.wallet.endswith("hot"),
                balance=lambda row: row.balance * 4,
            )
        },
        {"drill.flood_value": UNKNOWN, "safety.hot_reconciles": UNKNOWN},
    ),
    "too little value was requested": (
        lambda run: {
            "arrivals": each(
                run.arrivals, lambda row: True, value_micro=lambda row: row.value_micro // 2
            )
        },
        {"drill.flood_value": UNKNOWN},
    ),
    "the dark time was short": (
        lambda run: events(run, held=51.9, reverted=51.9),
        {"drill.fault_length": UNKNOWN},
    ),
    "the blocks of the dark time came after it": (
        lambda run: {
            "blocks": each(
                run.blocks, lambda row: us(20) < row.timestamp < us(57), observed_at=us(70)
            )
        },
        {"drill.payouts": UNKNOWN, "stress.small_completed": FAIL},
    ),
    "the prober still reached the dark region": (
        lambda run: probes(run, "kms", lambda sample: replace(sample, ok=True)),
        {"drill.fault_landed": UNKNOWN},
    ),
    "the dark region answered for half a second": (
        lambda run: probes(
            run,
            "kms",
            lambda sample: replace(sample, ok=sample.ok or us(40) < sample.at < us(40.5)),
        ),
        {"drill.fault_landed": UNKNOWN},
    ),
    "the dark region refused instead of hanging": (
        lambda run: probes(
            run,
            "kms",
            lambda sample: (
                sample
                if sample.ok
                else replace(sample, detail={**sample.detail, "error": "refused"})
            ),
        ),
        {"drill.fault_landed": UNKNOWN},
    ),
    "the prober's silence began later than the injector's": (
        lambda run: probes(
            run, "kms", lambda sample: replace(sample, ok=sample.ok or sample.at < us(29))
        ),
        {"drill.fault_landed": UNKNOWN},
    ),
    "the fault was never seen": (
        lambda run: {
            "timeline": without(run.timeline, lambda event: event.event == "fault.effective")
        },
        {
            "drill.fault_length": UNKNOWN,
            "drill.payouts": UNKNOWN,
            "drill.fault_landed": UNKNOWN,
            "failover.time": UNKNOWN,
            "page.failover": UNKNOWN,
        },
    ),
    "signatures of the dark region have no time": (
        lambda run: {
            "signatures": each(
                run.signatures,
                lambda row: row.signed_by == run.policy.regions.primary,
                signed_at=None,
            )
        },
        {"drill.fault_landed": UNKNOWN, **INCOMPLETE},
    ),
    "the dark region signed": (
        lambda run: {
            "slots": each(run.slots, paid_in_dark, signer_region=run.policy.regions.primary),
            **signed_otherwise(
                run,
                lambda row: us(40) < row.signed_at < us(42),
                signed_by=run.policy.regions.primary,
            ),
        },
        {"drill.fault_landed": UNKNOWN},
    ),
    # --- evidence and experiment
    "the status was not watched for two seconds": (
        lambda run: probes(
            run, "status", lambda sample: None if us(40) < sample.at < us(42) else sample
        ),
        {"evidence.observers": UNKNOWN},
    ),
    "the database recorded nothing for four seconds": (
        lambda run: {"flow": without(run.flow, lambda row: us(66) < row.committed_at < us(70))},
        {"evidence.observers": UNKNOWN},
    ),
    "a chain stood still": (
        lambda run: {
            "blocks": without(
                run.blocks,
                lambda block: block.network == "birch" and us(66) < block.timestamp < us(72),
            )
        },
        {"evidence.observers": UNKNOWN},
    ),
    "an activity of the experiment failed": (
        lambda run: journal(run, run=[run.journal["run"][0] | {"status": "failed"}]),
        {"experiment.sound": UNKNOWN},
    ),
    "the steady state was left while the experiment watched": (
        lambda run: journal(
            run,
            steady_states=run.journal["steady_states"]
            | {"during": [{"steady_state_met": False, "probes": []}]},
        ),
        {"experiment.sound": FAIL},
    ),
    "the program that should act refused": (
        lambda run: journal(
            run,
            run=[
                run.journal["run"][0]
                | {
                    "activity": {"name": "dark", "provider": {"type": "process"}},
                    "output": {"status": 1},
                }
            ],
        ),
        {"experiment.sound": UNKNOWN},
    ),
    "the steady state did not come back": (
        lambda run: journal(
            run,
            status="failed",
            deviated=True,
            steady_states=run.journal["steady_states"]
            | {
                "after": {
                    "steady_state_met": False,
                    "probes": run.journal["steady_states"]["after"]["probes"],
                }
            },
        ),
        {"experiment.sound": FAIL},
    ),
    # --- promises
    "the chains paid 22 s later than the ledger says": (
        lambda run: {
            "blocks": each(
                run.blocks,
                lambda row: True,
                observed_at=lambda row: (row.observed_at or 0) + 22 * SECOND,
            )
        },
        {"stress.small_completed": FAIL, "recovery.time": UNKNOWN},
    ),
    "small withdrawals of the ledger are on no chain": (
        # Of one network, so that its hot wallets still end above their floors.
        lambda run: {
            "payouts": without(
                run.payouts, lambda row: row.network == "birch" and row.seq % 25 == 0
            )
        },
        {
            "stress.small_completed": FAIL,
            "safety.chain_equals_posted": FAIL,
            "customer.told_truth": FAIL,
            "recovery.time": UNKNOWN,
        },
    ),
    **FAULTS,
    **PROMISES,
    **FLOODS,
    **READS,
    **TIMES,
    **CUSTOMERS,
    **SAFETY,
    **SIGNING,
    **ORDERS,
}
"""By what is wrong: how to make it so, and the checks that leave PASS, with their outcomes."""

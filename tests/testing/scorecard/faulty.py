"""The good run with another fault than it had, at the same times, and what others saw of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import count, product
from typing import Any

from seawall.conventions import components, faults, metrics, signing
from seawall.experiments import experiment_of
from seawall.policy import PlannedFault, Policy
from seawall.scorecard.rail_rows import Instruction, StatementLine
from seawall.scorecard.readers import SECOND, Instant
from seawall.scorecard.rows import ProbeSample, Series
from seawall.scorecard.run import Run
from tests.testing.scorecard.spoiling import Files, each, us, without
from tests.testing.scorecard.story import CLEARED, DRILL, EFFECTIVE, ENDS, REVERTED, STARTS, ZERO

CODES = {faults.KMS_THROTTLED: signing.THROTTLED, faults.SIGNING_DENIED: signing.DENIED}
PARAMETERS = {faults.KMS_THROTTLED: {"throttled": "0.9"}, faults.SIGNING_DENIED: {"margin": "30s"}}
SETTLER = components.process_target(components.settler_process("aster"))
PROMETHEUS = components.process_target(components.PROMETHEUS_PROCESS)
API = components.process_target(components.API_PROCESS)
SERVED = CLEARED + 0.2
"""When a database that was lost has its receiver again, and commits come through."""
RPC = components.rpc_proxy("aster", "primary")
PROVIDER = components.exchange_proxy("primary")
ASSET = components.asset_target("aster", "USDX")


def with_fault(run: Run, fault: str, target: str | None = None) -> Files:
    """The drill, the experiment and the timeline say that ``fault`` was injected."""
    first = run.drill.faults[0]
    parameters = PARAMETERS.get(fault, {})
    aim = target or first.target
    planned = PlannedFault.model_construct(
        fault=fault, target=aim, after=first.after, length=first.length, parameters=parameters
    )
    drill = run.drill.model_copy(update={"faults": (planned,)})
    policy: Policy = run.policy.model_copy(update={"drills": {DRILL: drill}})
    experiment = experiment_of(policy, DRILL)
    named = {"fault": fault, "target": aim, "parameters": parameters}

    def succeeded(activities: Iterable[Any]) -> list[Any]:
        return [{"activity": one, "status": "succeeded", "output": None} for one in activities]

    return {
        "policy": policy,
        "drill": drill,
        "journal": run.journal
        | {
            "experiment": experiment,
            "run": succeeded(experiment["method"]),
            "rollbacks": succeeded(experiment["rollbacks"]),
        },
        "timeline": tuple(
            replace(line, detail=line.detail | named)
            if line.event.startswith("fault.") and line.detail is not None
            else line
            for line in run.timeline
        ),
    }


def during(moment: float) -> bool:
    """Whether the fault is in force, ``moment`` seconds after the flood's zero."""
    return EFFECTIVE <= moment <= REVERTED


def samples_of(
    probe: str,
    details: Iterable[Mapping[str, Any]],
    *,
    failed: Mapping[str, Any],
    every_s: float = 0.2,
    took_s: float = 0.3,
) -> tuple[ProbeSample, ...]:
    """Samples of ``probe`` about each of ``details``, which fail with ``failed`` meanwhile."""
    found = []
    for tick in range(int((ENDS - STARTS) / every_s)):
        moment = STARTS + tick * every_s
        down = during(moment)
        found += [
            ProbeSample(
                at=us(moment),
                done_at=us(moment + (took_s if down else 0.005)),
                probe=probe,
                ok=not down,
                detail={**detail, **(failed if down else {})},
            )
            for detail in details
        ]
    return tuple(found)


def refusing(run: Run, fault: str) -> Files:
    """A key service refuses; the prober asks both signers once a second and sees it."""
    primary, standby = run.policy.regions.primary, run.policy.regions.standby
    samples = []
    for second, region in product(range(-1, 80), (primary, standby)):
        meets = region == primary and (second % 10 != 0 or fault != faults.KMS_THROTTLED)
        code = CODES[fault] if meets and during(second + 0.5) else None
        samples.append(
            ProbeSample(
                at=us(second + 0.5),
                done_at=Instant(us(second + 0.5) + SECOND // 100),
                probe="signer",
                ok=code is None,
                detail={"region": region, "result": code or signing.ANSWERED},
            )
        )
    return with_fault(run, fault) | {"probes": run.probes | {"signer": tuple(samples)}}


def rpc_dark(run: Run) -> Files:
    """An endpoint hangs; the prober and the settler that uses it see it."""
    samples = samples_of(
        "rpc",
        [{"network": "aster", "side": side} for side in components.SIDES],
        failed={"error": "TimeoutError"},
    )
    standby = each(
        tuple(sample for sample in samples if (sample.detail or {})["side"] == "standby"),
        lambda sample: True,
        ok=True,
        detail={"network": "aster", "side": "standby"},
    )
    primary = tuple(sample for sample in samples if (sample.detail or {})["side"] == "primary")
    asked = _asked(metrics.RPC_REQUESTS, network="aster")
    return with_fault(run, faults.RPC_DARK, RPC) | {
        "probes": run.probes | {"rpc": (*primary, *standby)},
        "metrics": run.metrics.model_copy(update={"series": run.metrics.series + asked}),
    }


def counterparty_dark(run: Run) -> Files:
    """A provider of a rail hangs; the prober and who pays over the rail see it."""
    samples = samples_of("provider", [{"proxy": PROVIDER}], failed={"error": "TimeoutError"})
    asked = _asked(metrics.RAIL_REQUESTS, rail="exchange")
    return with_fault(run, faults.COUNTERPARTY_DARK, PROVIDER) | {
        "probes": run.probes | {"provider": samples},
        "metrics": run.metrics.model_copy(update={"series": run.metrics.series + asked}),
    }


RAIL, RAIL_LIMIT_S = "exchange", 10
PAID_OVER_RAIL = 7
"""One of so many requests of the flood goes over the rail in :func:`rail_failed_over`."""
RAIL_CHANGED = EFFECTIVE + 3


def rail_failed_over(run: Run) -> Files:
    """One in seven requests goes over the exchange; its primary goes dark, and the standby pays.

    What was asked for in the dark before the change waits for it; a payout settles a second after
    it was accepted, and the venue knows of either a quarter of a second later. The answer to the
    last one that the primary accepted is lost: the venue reads of it when the dark is over.
    """
    found = counterparty_dark(run)
    over = {
        row.id
        for row in run.arrivals
        if row.attempt == 1 and row.size == "small" and row.index % PAID_OVER_RAIL == 0
    }
    lines: list[StatementLine] = []
    instructions = []
    changed: dict[str, Any] = {}
    for row in run.withdrawals:
        if row.id not in over:
            continue
        asked = (row.reserved_at - us(0)) / SECOND + 0.3
        side = "standby" if EFFECTIVE - 0.5 <= asked < CLEARED + 5 else "primary"
        at = us(max(asked, RAIL_CHANGED)) if side == "standby" else us(asked)
        client_id = f"{row.id}-1"
        for state, moment in (("accepted", at), ("settled", Instant(at + SECOND))):
            lines.append(
                StatementLine(
                    rail=RAIL,
                    side=side,
                    n=0,
                    at=moment,
                    client_id=client_id,
                    state=state,
                    asset=row.asset,
                    amount=row.amount,
                    destination=row.destination,
                )
            )
        instructions.append(
            Instruction(
                client_id=client_id,
                withdrawal_id=row.id,
                rail=RAIL,
                side=side,
                accepted_at=Instant(at + SECOND // 4),
            )
        )
        changed[row.id] = Instant(at + SECOND + SECOND // 4)
    lines.sort(key=lambda line: line.at)
    lost = max(
        (line for line in lines if line.side == "primary" and line.at < us(EFFECTIVE)),
        key=lambda line: line.at - (SECOND if line.state == "settled" else 0),
    ).client_id
    known = Instant(us(CLEARED) + SECOND // 4)
    instructions = [
        replace(row, accepted_at=known) if row.client_id == lost else row for row in instructions
    ]
    changed[lost.removesuffix("-1")] = known
    numbers = {side: count(1) for side in components.SIDES}
    policy = found["policy"]
    drill = found["drill"]
    expects = drill.expects.model_copy(
        update={"targets": (*drill.expects.targets, "rail_failover_max")}
    )
    drill = drill.model_copy(update={"expects": expects})
    return found | {
        "policy": policy.model_copy(update={"drills": {DRILL: drill}}),
        "drill": drill,
        "statements": tuple(replace(line, n=next(numbers[line.side])) for line in lines),
        "instructions": tuple(instructions),
        "arrivals": each(run.arrivals, lambda row: row.id in over, network=RAIL),
        "withdrawals": each(
            run.withdrawals,
            lambda row: row.id in over,
            network=RAIL,
            slot_id=None,
            resolved_at=lambda row: changed[row.id],
        ),
        "followed": each(
            run.followed, lambda row: row.id in over, network=RAIL, tx_hash=None, seq=None
        ),
        "payouts": without(run.payouts, lambda row: row.withdrawal_id in over),
    }


def _asked(metric: str, **labels: str) -> tuple[Series, ...]:
    """What a user of two endpoints counted: the primary answers it, and then the standby."""
    counts: dict[tuple[str, str], Callable[[float], float]] = {
        ("primary", "answered"): lambda at: 50 * (min(at, EFFECTIVE) - STARTS),
        ("primary", "silent"): lambda at: 1 if at > EFFECTIVE + 1.5 else 0,
        ("standby", "answered"): lambda at: 50 * max(0, at - EFFECTIVE - 1.5),
        ("standby", "silent"): lambda _: 0,
    }
    return tuple(
        Series(
            metric={"__name__": metric, **labels, "side": side, "outcome": outcome},
            values=tuple(
                (ZERO + second, float(int(count(second))))
                for second in range(int(STARTS), int(ENDS))
            ),
        )
        for (side, outcome), count in counts.items()
    )


def settler_frozen(run: Run) -> Files:
    """The settler of aster stands still; nothing is sent on aster meanwhile."""
    still = max(
        (sample.detail or {})["nonce"]
        for sample in run.probes["pending_nonce"]
        if (sample.detail or {})["network"] == "aster" and sample.at < us(EFFECTIVE)
    )
    return with_fault(run, faults.PROCESS_FROZEN, SETTLER) | {
        "probes": run.probes
        | {
            "pending_nonce": each(
                run.probes["pending_nonce"],
                lambda sample: (
                    sample.detail["network"] == "aster"
                    and us(EFFECTIVE) <= sample.at <= us(REVERTED)
                ),
                detail=lambda sample: sample.detail | {"nonce": still},
            )
        },
        "slots": each(
            run.slots,
            lambda slot: (
                slot.network == "aster"
                and us(EFFECTIVE) <= (slot.broadcast_at or 0) <= us(REVERTED)
            ),
            broadcast_at=us(REVERTED + 0.2),
        ),
    }


def database_lost(run: Run) -> Files:
    """The database is away: nobody is served, and nothing is committed; then all goes on."""

    def away(moment: Instant) -> bool:
        return us(EFFECTIVE) <= moment <= us(SERVED)

    return with_fault(run, faults.DATABASE_LOST, components.DATABASE_TARGET) | {
        "requests": each(
            run.requests,
            lambda row: row.sent_at is not None and away(row.sent_at),
            status=503,
            outcome="failed",
            error="unavailable",
        ),
        "probes": run.probes
        | {
            probe: each(
                run.probes[probe],
                lambda sample: away(sample.at),
                ok=False,
                detail={"code": "unavailable"},
            )
            for probe in ("status", "small_withdrawal", "large_transfer", "swap")
        },
        "flow": without(run.flow, lambda row: away(row.committed_at)),
    }


def asset_paused(run: Run) -> Files:
    """A token does not move on aster meanwhile; the chain pays it before and after."""
    paused = with_fault(run, faults.ASSET_PAUSED, ASSET)
    _, network, asset = ASSET.split(".")
    return paused | {
        "payouts": each(
            run.payouts,
            lambda row: (
                (row.network, row.asset) == (network, asset)
                and us(EFFECTIVE) <= row.block_timestamp <= us(REVERTED)
            ),
            block_timestamp=us(REVERTED + 3),
        )
    }


def prometheus_frozen(run: Run) -> Files:
    """Prometheus stands still: it does not answer the prober, and records nothing."""
    return with_fault(run, faults.PROCESS_FROZEN, PROMETHEUS) | {
        "probes": run.probes
        | {"prometheus": samples_of("prometheus", [{}], failed={"error": "TimeoutError"})},
        "metrics": run.metrics.model_copy(
            update={
                "series": tuple(
                    series.model_copy(
                        update={
                            "values": tuple(
                                (at, value) for at, value in series.values if not during(at - ZERO)
                            )
                        }
                    )
                    for series in run.metrics.series
                )
            }
        ),
    }


def api_killed(run: Run) -> Files:
    """The api is down, and the prober gets no status."""
    return with_fault(run, faults.PROCESS_KILLED, API) | {
        "probes": run.probes
        | {
            "status": each(
                run.probes["status"],
                lambda sample: us(EFFECTIVE) <= sample.at <= us(REVERTED),
                ok=False,
                detail={"error": "refused"},
            )
        }
    }


def lost(run: Run, *, rpo_ms: int = 0, rto_ms: int = 60_000) -> Files:
    """The run in which the database was lost, of a drill that asks what that cost."""
    found = database_lost(run)
    drill = found["drill"]
    drill = drill.model_copy(
        update={
            "expects": drill.expects.model_copy(
                update={"reaches": (), "targets": ("database_rpo_max", "database_rto_max")}
            )
        }
    )
    targets = run.policy.targets.model_copy(
        update={"database_rpo_max": rpo_ms, "database_rto_max": rto_ms}
    )
    policy = found["policy"].model_copy(update={"drills": {DRILL: drill}, "targets": targets})
    return found | {"drill": drill, "policy": policy}


FAULTY = {
    faults.KMS_THROTTLED: lambda run: refusing(run, faults.KMS_THROTTLED),
    faults.SIGNING_DENIED: lambda run: refusing(run, faults.SIGNING_DENIED),
    faults.RPC_DARK: rpc_dark,
    faults.COUNTERPARTY_DARK: counterparty_dark,
    faults.ASSET_PAUSED: asset_paused,
    faults.DATABASE_LOST: database_lost,
    f"{faults.PROCESS_FROZEN} {SETTLER}": settler_frozen,
    f"{faults.PROCESS_FROZEN} {PROMETHEUS}": prometheus_frozen,
    f"{faults.PROCESS_KILLED} {API}": api_killed,
}
"""By fault, and by process where that makes a difference: the run in which others saw it."""

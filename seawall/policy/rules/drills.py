"""Rules for drills and game days: each drill could prove what it declares.

Whether a fault, its parameters and a shock profile exist is known to the programs that apply them;
:mod:`seawall.drill_check` asks those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from seawall.errors import Problem
from seawall.policy.drilling import CONTROL_DRILLS

if TYPE_CHECKING:
    from seawall.policy.drilling import Drill, Flood, Storm
    from seawall.policy.model import Policy


RESERVED = ("declared", *CONTROL_DRILLS)
"""Names of commands of `seawall drill`."""
CALM_MS_MIN, FLOOD_MS_MIN, FAULT_MS_MIN = 5_000, 10_000, 1_000
"""No drill counts below these, whatever the policy calls its smallest size."""
PRESSING_SHARE_MAX = 10
"""A flood may go on for one part in this many after the last fault, if a tier must be reached."""
STORM_OVER_ALLOWED_MIN = 2
"""Times as much as the limits allow must be asked for, so that half of it is refused at least."""
RAILS_SHARE_MAX = Fraction(1, 2)
"""Of a flood's requests may go over rails: drills judge what is paid on networks, too."""
_MS, _MICRO = 1_000, 1_000_000


def drills(policy: Policy) -> Iterator[Problem]:
    """Drills that could not prove what they declare, and game days that name none of them."""
    for name, drill in policy.drills.items():
        if name in RESERVED:
            yield Problem(
                path=f"drills.{name}",
                found=repr(name),
                remedy="call it differently; `seawall drill` has a command of that name",
            )
        yield from _faults(f"drills.{name}", drill)
        yield from _expectations(f"drills.{name}.expects", drill)
        yield from _restored(policy, f"drills.{name}", drill)
        yield from _sizes(f"drills.{name}.smallest", drill)
        yield from _storm(policy, f"drills.{name}", drill)
        yield from _rails(policy, f"drills.{name}.flood.rails", drill)
    names: set[str] = set()
    for index, day in enumerate(policy.gamedays):
        if day.name in names:
            yield Problem(
                path=f"gamedays.{index}.name",
                found=repr(day.name),
                remedy="give every game day its own name",
            )
        names.add(day.name)
        for position, named in enumerate(day.drills):
            if named not in policy.drills:
                yield Problem(
                    path=f"gamedays.{index}.drills.{position}",
                    found=repr(named),
                    remedy=f"name a drill of the policy: {', '.join(policy.drills) or 'none yet'}",
                )
        yield from in_order(policy, day.drills, path=f"gamedays.{index}.drills")
    if not policy.gamedays:
        yield Problem(
            path="gamedays",
            found="none",
            remedy="declare at least one; what is not drilled is not proven",
        )


def in_order(policy: Policy, drills: Sequence[str], *, path: str) -> Iterator[Problem]:
    """Drills that must come first, and do not."""
    for position, name in enumerate(drills):
        if position and name in policy.drills and policy.drills[name].smallest.hot_balances:
            yield Problem(
                path=f"{path}.{position}",
                found=repr(name),
                remedy="put it first: it counts in hot balances, and a drill before it leaves them"
                " topped up to their maximum",
            )


def stop_conditions(policy: Policy) -> Iterator[Problem]:
    """Stop conditions that say nothing, or two things."""
    for name, condition in policy.stop_conditions.items():
        query = (condition.query is not None, condition.above is not None)
        alarm = (condition.alarm is not None, condition.region is not None)
        if (query, alarm) not in (((True, True), (False, False)), ((False, False), (True, True))):
            yield Problem(
                path=f"stop_conditions.{name}",
                found=", ".join(condition.model_fields_set) or "nothing",
                remedy="write either `query` and `above`, or `alarm` and `region`",
            )


def readiness(policy: Policy) -> Iterator[Problem]:
    """Requirements that no run could meet."""
    seen: set[tuple[str, str]] = set()
    known = (*policy.drills, *CONTROL_DRILLS)
    for index, required in enumerate(policy.readiness):
        path = f"readiness.{index}"
        if required.drill not in known:
            yield Problem(
                path=f"{path}.drill",
                found=repr(required.drill),
                remedy=f"name a drill of the policy, or of one control: {', '.join(known)}",
            )
        if policy.accounts and required.stack not in policy.accounts:
            yield Problem(
                path=f"{path}.stack",
                found=repr(required.stack),
                remedy=f"name a stack that has an account: {', '.join(policy.accounts)}",
            )
        if (required.drill, required.stack) in seen:
            yield Problem(
                path=path,
                found=f"{required.drill} on {required.stack} once more",
                remedy="require a drill on a stack once",
            )
        seen.add((required.drill, required.stack))
    if not policy.readiness:
        yield Problem(
            path="readiness",
            found="none",
            remedy="require at least one drill; a gate that requires nothing is never open",
        )


def _faults(path: str, drill: Drill) -> Iterator[Problem]:
    for index, fault in enumerate(drill.faults):
        if fault.ends > drill.flood.length:
            yield Problem(
                path=f"{path}.faults.{index}",
                found=f"in force until {fault.ends} ms of a flood of {drill.flood.length} ms",
                remedy="end the fault before the flood ends, so that it is met under load",
            )
        if fault.target not in drill.blast_radius:
            yield Problem(
                path=f"{path}.faults.{index}.target",
                found=repr(fault.target),
                remedy="name it in the drill's blast_radius, or aim the fault at what is there",
            )
        for other in drill.faults[:index]:
            if (fault.fault, fault.target) == (other.fault, other.target):
                yield Problem(
                    path=f"{path}.faults.{index}",
                    found=f"{fault.fault} against {fault.target} once more",
                    remedy="one drill applies a fault to a target once; lengthen it",
                )
            elif fault.after < other.ends and other.after < fault.ends:
                yield Problem(
                    path=f"{path}.faults.{index}",
                    found=f"{fault.fault} at the same time as {other.fault}",
                    remedy="let one begin when the other has ended; two at once are not watched",
                )


def _rails(policy: Policy, path: str, drill: Drill) -> Iterator[Problem]:
    """A flood that goes over what pays nothing, or that leaves the networks idle."""
    paying = policy.paying_rails()
    for rail in drill.flood.rails:
        if rail not in paying:
            yield Problem(
                path=f"{path}.{rail}",
                found=repr(rail),
                remedy=f"name a rail that is paid over: {', '.join(paying) or 'there is none'}",
            )
    together = sum(drill.flood.rails.values())
    if together > RAILS_SHARE_MAX:
        yield Problem(
            path=path,
            found=f"{float(together)} of all requests",
            remedy=f"at most {float(RAILS_SHARE_MAX)} together: a drill wants payouts on networks",
        )


def _storm(policy: Policy, path: str, drill: Drill) -> Iterator[Problem]:
    """A storm whose refusals would say something else, or that shows nothing."""
    if drill.flood.storm is None:
        return
    value, limits = drill.flood.storm.value, policy.limits
    if not limits.small_withdrawal_value_max < value <= limits.withdrawal_value_max:
        yield Problem(
            path=f"{path}.flood.storm.value",
            found=str(value),
            remedy="above small_withdrawal_value_max, or what is refused of it would count as small"
            " withdrawals that were not paid, and at most withdrawal_value_max, or each request"
            " would be too large by itself",
        )
    else:
        yield from _limited(policy, f"{path}.flood.storm", drill.flood, drill.flood.storm)
        yield from _harmless(policy, path, drill, drill.flood.storm)
    if not drill.expects.avoids:
        yield Problem(
            path=f"{path}.expects.avoids",
            found="nothing",
            remedy="name the tiers that one customer must not force; the storm shows nothing else",
        )


def _allowed(policy: Policy, storm: Storm) -> int:
    """How many of the storm's requests the limits of a customer allow in one of their windows."""
    limits = policy.limits
    return min(limits.withdrawals_max, int(limits.withdrawal_value_max // storm.value))


def _limited(policy: Policy, path: str, flood: Flood, storm: Storm) -> Iterator[Problem]:
    """A storm that would never meet the limits, or of which they would refuse too little."""
    asked = storm.requests_per_s * flood.length // _MS
    allowed = _allowed(policy, storm) * (flood.length // policy.limits.window + 1)
    if asked < STORM_OVER_ALLOWED_MIN * allowed:
        yield Problem(
            path=f"{path}.requests_per_s",
            found=f"{storm.requests_per_s}, which are {asked} requests in the flood, and the limits"
            f" of a customer allow {allowed} of them",
            remedy=f"ask for {STORM_OVER_ALLOWED_MIN} times as many at least: the drill counts only"
            " if most of the storm is refused by these limits",
        )


def _harmless(policy: Policy, path: str, drill: Drill, storm: Storm) -> Iterator[Problem]:
    """A storm that would reach a tier by what the limits of a customer let through.

    Their window is no shorter than that of the velocity, which another rule wants.
    """
    allowed_micro = int(_allowed(policy, storm) * storm.value * _MICRO)
    try:
        hot_micro = policy.hot_target_value_micro()
    except KeyError:  # another rule names what does not resolve
        return
    for trigger in policy.triggers:
        velocity = trigger.indicator == "drawdown_velocity"
        if not velocity or trigger.tier not in drill.expects.avoids:
            continue
        enters_micro = trigger.enter_at * hot_micro
        if allowed_micro >= enters_micro:
            unit = policy.venue.unit_of_account
            yield Problem(
                path=f"{path}.flood.storm.value",
                found=f"{storm.value}, of which the limits of a customer let"
                f" {allowed_micro / _MICRO:g} {unit} through in a window, and {trigger.name} begins"
                f" at {float(enters_micro / _MICRO):g} {unit}",
                remedy="lower limits.withdrawal_value_max or withdrawals_max, or raise the trigger:"
                f" the storm would reach {trigger.tier} with the limits on",
            )


def _expectations(path: str, drill: Drill) -> Iterator[Problem]:
    both = set(drill.expects.reaches) & set(drill.expects.avoids)
    if both:
        yield Problem(
            path=f"{path}.avoids",
            found=", ".join(sorted(both)),
            remedy="a tier cannot be both reached and avoided",
        )
    for key, tiers in (("reaches", drill.expects.reaches), ("avoids", drill.expects.avoids)):
        if "normal" in tiers:
            yield Problem(
                path=f"{path}.{key}", found="normal", remedy="every drill begins in tier normal"
            )
    everything = "all" in drill.claims
    if everything and not (drill.expects.targets or drill.expects.reaches or drill.expects.avoids):
        yield Problem(
            path=path, found="nothing", remedy="name a target or a tier; it would pass with nothing"
        )
    if everything and drill.faults and "recovery_max" not in drill.expects.targets:
        yield Problem(
            path=f"{path}.targets",
            found="no recovery_max",
            remedy="add it; a drill that breaks something must show that it heals, or say in"
            " `claims` what it shows instead",
        )
    needs = {
        "failover_max": (bool(drill.faults), "a fault"),
        "rail_failover_max": (
            bool(drill.faults) and any(drill.flood.rails.values()),
            "a fault, and `rails` of its flood",
        ),
        "protected_max": ("protected" in drill.expects.reaches, "protected under reaches"),
        **dict.fromkeys(("database_rpo_max", "database_rto_max"), (bool(drill.faults), "a fault")),
        "page_max": (
            bool({"failover_max", "protected_max"} & set(drill.expects.targets)),
            "failover_max or protected_max with it",
        ),
    }
    for target, (there, needed) in needs.items():
        if target in drill.expects.targets and not there:
            yield Problem(
                path=f"{path}.targets",
                found=target,
                remedy=f"declare {needed}; without it the time has no beginning",
            )


def _restored(policy: Policy, path: str, drill: Drill) -> Iterator[Problem]:
    """A drill whose flood is over before a database that was lost must be back, or mostly in vain.

    Half of a flood must be served for it to count, and nobody is while the database is away.
    """
    if "database_rto_max" not in drill.expects.targets or not drill.faults:
        return
    rto_ms = policy.targets.database_rto_max
    needed_ms = max(drill.faults[0].after + rto_ms, 2 * rto_ms)
    if drill.flood.length < needed_ms:
        yield Problem(
            path=f"{path}.flood.length",
            found=f"{drill.flood.length} ms",
            remedy=f"at least {needed_ms} ms: `after` of the first fault and database_rto_max, for"
            " once nobody asks, nothing can be acknowledged again; and twice database_rto_max, for"
            " half of the flood must be served",
        )


def _sizes(path: str, drill: Drill) -> Iterator[Problem]:
    smallest, least_fault = drill.smallest, min((f.length for f in drill.faults), default=None)
    for key, wanted, planned in (
        ("calm", smallest.calm, drill.flood.calm),
        ("flood", smallest.flood, drill.flood.length),
        ("fault", smallest.fault, least_fault),
    ):
        if wanted is not None and (planned is None or wanted > planned):
            yield Problem(
                path=f"{path}.{key}",
                found=f"{wanted} ms, where the drill plans "
                + ("no fault" if planned is None else f"{planned} ms"),
                remedy="a drill that is smaller than the smallest that counts is always UNKNOWN",
            )
    for key, wanted, least in (
        ("calm", smallest.calm, CALM_MS_MIN),
        ("flood", smallest.flood, FLOOD_MS_MIN),
        ("fault", smallest.fault, FAULT_MS_MIN),
        ("payouts", smallest.payouts, 1),
    ):
        if wanted is not None and wanted < least:
            yield Problem(
                path=f"{path}.{key}",
                found=f"{wanted}",
                remedy=f"at least {least}; a smaller drill would prove nothing",
            )
    if drill.faults and drill.lease_ttl is None:
        yield Problem(
            path=f"{path.removesuffix('.smallest')}.lease_ttl",
            found="nothing",
            remedy="say after which silence of its runner a fault is undone",
        )
    if drill.faults and smallest.fault is None:
        yield Problem(
            path=f"{path}.fault",
            found="nothing",
            remedy="say how long each fault must have been in force",
        )
    left_ms = drill.flood.length - max((fault.ends for fault in drill.faults), default=0)
    if drill.faults and drill.expects.reaches and left_ms * PRESSING_SHARE_MAX > drill.flood.length:
        yield Problem(
            path=f"{path.removesuffix('.smallest')}.faults",
            found=f"ended {left_ms} ms before a flood that must reach a tier",
            remedy="end the last fault with the flood: recovery is counted from the fault's end",
        )
    if smallest.payouts is not None and not drill.faults:
        yield Problem(
            path=f"{path}.payouts",
            found=str(smallest.payouts),
            remedy="payouts are counted while a fault is in force, and this drill has none",
        )

"""Check that each drill's flood does to the policy's tiers what the drill expects.

    python -m loadtests.check --policy FILE [--drills NAME...]

Plans the flood of every drill for one seed, with the customers of a sandbox. Prints a
:mod:`seawall.drill_report`; each shock profile has a summary.
"""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from functools import partial
from typing import Any, TypeAlias

from loadtests.plan import plan
from loadtests.population import CUSTOMERS, Population, populate
from loadtests.shock import PROFILES, load_profile
from seawall.drill_report import DrillReport, main
from seawall.errors import Problem, UsageError
from seawall.formats.deployment import Deployment
from seawall.policy import Policy
from seawall.processes.parent import signal_when_parent_dies

PAYABLE_SHARE_MAX = Fraction(17, 20)
"""How much of hot wallets and reserves a game day may ask for.

The rest is what hot wallets keep, and what the prober's large transfers take: an eighth of what the
pools hold that they cross, in eight drills on a slow machine.
"""
_SEED = 1
_CHUNK = 2
"""Floods that a process plans at a time: it is sent policy and customers with each."""
Each: TypeAlias = Callable[
    [Callable[[str], Problem | None], Iterable[str]], Iterable[Problem | None]
]


def problems_of(policy: Policy, *, each: Each = map) -> Iterator[Problem]:
    """Every drill whose profile does not exist, or whose flood contradicts its expectations.

    ``each`` applies a function to the name of every drill, in their order, as ``map`` does.
    """
    population = populate(policy, seed=_SEED, size=CUSTOMERS)
    known = sorted(profiles())
    look = partial(_problem_of, policy, population, known)
    yield from (problem for problem in each(look, policy.drills) if problem is not None)
    yield from _game_days(policy)


def _problem_of(
    policy: Policy, population: Population, known: Sequence[str], name: str
) -> Problem | None:
    flood = policy.drills[name].flood
    if flood.profile not in known:
        return Problem(
            path=f"drills.{name}.flood.profile",
            found=repr(flood.profile),
            remedy=f"name one of {', '.join(known)}",
        )
    try:
        plan(policy, name, load_profile(flood.profile), population, seed=_SEED)
    except UsageError as error:
        return Problem(
            path=f"drills.{name}.flood",
            found=str(error.args[0]),
            remedy=error.remedy or "plan another one",
        )
    return None


def _game_days(policy: Policy) -> Iterator[Problem]:
    for index, day in enumerate(policy.gamedays):
        yield from together(policy, day.drills, path=f"gamedays.{index}.drills")


def together(policy: Policy, drills: Sequence[str], *, path: str) -> Iterator[Problem]:
    """Drills that ask for more than one venue can pay without anyone's hand."""
    hot = policy.hot_target_value_micro()
    payable = Fraction(hot + _reserves_micro(policy), hot)
    known = profiles()
    floods = [policy.drills[name].flood for name in drills if name in policy.drills]
    asked = sum(
        (
            load_profile(flood.profile).requested(flood)
            for flood in floods
            if flood.profile in known
        ),
        Fraction(0),
    )
    if asked > payable * PAYABLE_SHARE_MAX:
        yield Problem(
            path=path,
            found=f"floods that ask for {float(asked):.2f} times the hot targets together",
            remedy=f"hot wallets and their reserves hold {float(payable):.2f} times, of which"
            f" {float(PAYABLE_SHARE_MAX):.0%} can be planned for; let them follow in two game days",
        )


def _reserves_micro(policy: Policy) -> int:
    """Summed target of the reserves behind the wallets that pay customers."""
    return sum(
        policy.value_micro(asset, policy.base_units(asset, holding.target))
        for name in policy.payout_wallets()
        for asset, holding in policy.wallets[policy.reserve_of(name)].holdings.items()
    )


def profiles() -> dict[str, dict[str, Any]]:
    """Every shock profile with the event that it stands for, by name."""
    names = sorted(path.stem for path in PROFILES.glob("*.yaml"))
    return {name: {"summary": load_profile(name).event} for name in names}


def report(
    policy: Policy, deployment: Deployment | None = None, drills: Sequence[str] = ()
) -> DrillReport:
    """The shock profiles that there are, and what is wrong with the floods that drills plan.

    Floods are the same on every deployment. With ``drills``: whether these can follow one another.
    """
    del deployment
    if drills:
        return DrillReport(
            known=profiles(), problems=list(together(policy, drills, path="seawall drill"))
        )
    # A flood takes most of a second to plan, and half a minute has passed with twenty of them.
    with ProcessPoolExecutor(initializer=_begin) as pool:
        each = partial(pool.map, chunksize=_CHUNK)
        return DrillReport(known=profiles(), problems=list(problems_of(policy, each=each)))


def _begin() -> None:
    """No planner outlives a check that was killed, and none looks for garbage: plans have none."""
    signal_when_parent_dies(signal.SIGKILL)
    gc.disable()


if __name__ == "__main__":
    sys.exit(main(__doc__, report))

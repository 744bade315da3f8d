"""What a policy says about drills, which no resource is made from: one model per section."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Final, Literal, get_args

from pydantic import Field

from seawall.policy.quantities import Amount, Count, DurationMs, Ratio
from seawall.policy.sections import Name, Section, Tier

NEIGHBOUR: Final = "noisy-neighbour"
SEGREGATION: Final = "segregation"
CONTROL_DRILLS: Final = (NEIGHBOUR, SEGREGATION)
"""Drills of one control.

Each has a command of its own and is declared by no policy; a policy may require them.
"""
LARGE_OVER_MIN: Final = Fraction(21, 20)
"""A large transfer of the prober is this many times the smallest that the policy calls large.

No more, because each is paid from the money that the run wants.
"""


class Probing(Section):
    """How promises to customers are probed from outside, and what counts as kept.

    Attributes:
        every: How often each function of a customer's account is tried.
        gap_max: The longest time that may pass unprobed, or without an answer: of a longer one
            nothing is known. The prober gives an answer up after as long.
        answer_within: A function is kept up only if it answers so soon.
        answered_min: The share of a function's uses that must be answered right and so soon, of the
            prober's and of the flood's.
    """

    every: DurationMs = Field(gt=0)
    gap_max: DurationMs = Field(gt=0)
    answer_within: DurationMs = Field(gt=0)
    answered_min: Ratio = Field(gt=0, le=1)


class Storm(Section):
    """One customer who asks again and again, all through the run, beside everybody else.

    Attributes:
        requests_per_s: How often.
        value: Of each withdrawal, in the unit of account.
    """

    requests_per_s: Count = Field(gt=0)
    value: Amount


class Flood(Section):
    """The load of a drill: a baseline of ``calm``, then ``length`` of the profile's shock.

    A drill without a shock has the profile of a calm day: nothing is proven about payouts at a
    venue that nobody uses.

    Attributes:
        profile: Of the arrivals.
        calm: Of the baseline.
        length: Of the run.
        requested: Value asked for in the run, in targets of the hot wallets that pay customers; as
            the profile assumes if None. A game day has several drills and the reserves of one
            venue, so not each of them can ask for everything.
        storm: One customer who asks far beyond the limits; None if there is none.
        rails: By rail, the share of all requests that goes over it: small ones, of what it pays.
            Everything else is paid by networks.
    """

    profile: str
    calm: DurationMs = Field(gt=0)
    length: DurationMs = Field(gt=0)
    requested: Ratio | None = Field(default=None, gt=0)
    storm: Storm | None = None
    rails: dict[Name, Annotated[Ratio, Field(ge=0, lt=1)]] = Field(default_factory=dict)


class PlannedFault(Section):
    """A fault of a drill: which, against what, and when.

    ``target`` is a word of the blast radius. ``after`` counts from the first arrival of the run.
    ``parameters`` are those that the fault declares, as it writes them.
    """

    fault: Name
    target: str
    after: DurationMs
    length: DurationMs = Field(gt=0)
    parameters: dict[str, str] = Field(default_factory=dict)

    @property
    def ends(self) -> int:
        """When it is undone, in milliseconds after the first arrival of the run."""
        return self.after + self.length


DrillTarget = Literal[
    "failover_max",
    "protected_max",
    "page_max",
    "recovery_max",
    "small_withdrawals_completed_min",
    "database_rpo_max",
    "database_rto_max",
    "rail_failover_max",
]
"""Targets that a drill can measure; a missed one is FAIL."""


class Expectations(Section):
    """What a drill must show: tiers that are reached, tiers that are not, targets that gate."""

    reaches: tuple[Tier, ...] = ()
    avoids: tuple[Tier, ...] = ()
    targets: tuple[DrillTarget, ...]


class SmallestSize(Section):
    """The smallest drill that counts: below any of these its verdict is UNKNOWN.

    Attributes:
        calm: Of the baseline.
        flood: Of the run.
        offered_per_s: Mean rate of the run.
        fault: How long each fault was seen to be effective.
        hot_balances: Value requested in the run, in hot balances at its start; None if it does not
            matter.
        payouts: Seen on the chains while the first fault was effective; None if it does not matter.
    """

    calm: DurationMs
    flood: DurationMs
    offered_per_s: Count = Field(gt=0)
    fault: DurationMs | None = None
    hot_balances: Ratio | None = None
    payouts: Count | None = None


SteadyState = Literal[
    "api_answers",
    "status_reachable",
    "mode_controller_beats",
    "withdrawal_completes",
    "payouts_progress",
]
STEADY_STATES: tuple[SteadyState, ...] = get_args(SteadyState)
"""What the steady state of a venue is made of; `chaos/probes.py` reads each."""


class Drill(Section):
    """A flood and faults with what is expected of them, and the smallest size that counts.

    ``blast_radius`` names everything that the faults may reach. A lease undoes a fault whose runner
    was silent for ``lease_ttl``. ``steady_state`` is what must hold before and after. ``claims``
    are the checks without which there is no PASS, by id or by the part of it before the dot, or
    ``all``; what a venue does not offer and the policy does not demand is not claimed. With
    ``restarts`` off, a sandbox starts nothing again that dies while the drill lasts.
    """

    title: str
    flood: Flood
    faults: tuple[PlannedFault, ...] = ()
    lease_ttl: DurationMs | None = Field(default=None, ge=1_000)
    blast_radius: tuple[str, ...] = ()
    expects: Expectations
    smallest: SmallestSize
    steady_state: tuple[SteadyState, ...] = Field(default=STEADY_STATES, min_length=1)
    claims: tuple[str, ...] = Field(default=("all",), min_length=1)
    restarts: bool = True


class GameDay(Section):
    """Drills in their order on one deployment, and when they are scheduled."""

    name: Name
    schedule: str
    drills: tuple[Name, ...] = Field(min_length=1)


class StopCondition(Section):
    """What ends a drill at once: a Prometheus query above a level, or a CloudWatch alarm."""

    query: str | None = None
    above: Ratio | None = None
    alarm: str | None = None
    region: str | None = None


class RequiredDrill(Section):
    """A drill that must have passed on ``stack`` no longer than ``within`` ago.

    One that the policy declares, or one of :data:`CONTROL_DRILLS`.
    """

    drill: Name
    within: DurationMs = Field(gt=0)
    stack: Name

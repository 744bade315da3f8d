"""The swarm: which faults a seed has, and how often each strikes.

Each is on or off by a toss of its own, so that some runs have one fault alone and others have all.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from random import Random

SHARE_ON = 0.45
"""How often a fault is part of a run."""


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Rates of one run; zero is off. Chances are per use, the others per virtual second."""

    cut: float = 0.0
    commit_lost: float = 0.0
    answer_lost: float = 0.0
    slow_database: float = 0.0
    database_restart: float = 0.0
    crash: float = 0.0
    kill: float = 0.0
    stop: float = 0.0
    freeze: float = 0.0
    signer_crash: float = 0.0
    signer_kill: float = 0.0
    signer_lost: float = 0.0
    provider_dark: float = 0.0
    provider_slow: float = 0.0
    throttle: float = 0.0
    reorganisation: float = 0.0
    empty_blocks: float = 0.0
    fee_spike: float = 0.0
    pool_forgets: float = 0.0
    not_passed_on: float = 0.0
    silent: float = 0.0
    refusing: float = 0.0
    nonsense: float = 0.0
    made_up_head: float = 0.0
    lag: float = 0.0
    stuck: float = 0.0
    lies: float = 0.0
    flips: float = 0.0
    controller_silent: float = 0.0
    asset_paused: float = 0.0
    refused_destination: float = 0.0
    cancellations: float = 0.0
    large: float = 0.0
    tight_cap: float = 0.0
    restored_before: float = 0.0
    approvals: float = 0.0
    overfull: float = 0.0
    rail_lost: float = 0.0
    rail_unheard: float = 0.0
    rail_hangs: float = 0.0
    rail_nonsense: float = 0.0
    rail_slow: float = 0.0
    rail_dark: float = 0.0
    rail_poor: float = 0.0
    rail_late: float = 0.0
    rail_pages: float = 0.0
    rail_hours: float = 0.0
    rail_returned: float = 0.0
    rail_refused: float = 0.0
    rail_forgets: float = 0.0
    rail_restored: float = 0.0


HIGHEST = Faults(
    cut=0.02,
    commit_lost=0.05,
    answer_lost=0.08,
    slow_database=0.05,
    database_restart=0.15,
    crash=0.06,
    kill=0.25,
    stop=0.5,
    freeze=0.3,
    signer_crash=0.08,
    signer_kill=0.2,
    signer_lost=0.15,
    provider_dark=0.25,
    provider_slow=0.2,
    throttle=1.0,
    reorganisation=0.5,
    empty_blocks=0.4,
    fee_spike=0.3,
    pool_forgets=0.3,
    not_passed_on=0.4,
    silent=0.1,
    refusing=0.15,
    nonsense=0.15,
    made_up_head=0.1,
    lag=0.4,
    stuck=0.15,
    lies=0.3,
    flips=1.5,
    controller_silent=0.15,
    asset_paused=0.5,
    refused_destination=0.35,
    cancellations=0.4,
    large=0.6,
    tight_cap=1.0,
    restored_before=1.0,
    approvals=0.5,
    overfull=1.0,
    rail_lost=0.15,
    rail_unheard=0.15,
    rail_hangs=0.15,
    rail_nonsense=0.1,
    rail_slow=0.3,
    rail_dark=0.25,
    rail_poor=0.15,
    rail_late=0.3,
    rail_pages=1.0,
    rail_hours=1.0,
    rail_returned=0.4,
    rail_refused=0.3,
    rail_forgets=0.4,
    rail_restored=1.0,
)
"""The rate that a fault has at most."""


def drawn(random: Random) -> Faults:
    """The faults of one run."""
    return Faults(
        **{
            each.name: getattr(HIGHEST, each.name) * random.random()
            if random.random() < SHARE_ON
            else 0.0
            for each in fields(Faults)
        }
    )

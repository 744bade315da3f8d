"""Which requests of a flood go over a rail instead of a network, and where they are paid to."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from random import Random

from loadtests.arrivals import Arrival
from loadtests.assignment import Wanted
from seawall.errors import UsageError
from seawall.policy import MICRO, Policy, Rail
from seawall.policy.drilling import Flood

FUNDED_SHARE_MAX = Fraction(1, 4)
"""How much of what one provider holds a flood may ask for.

Either may have to pay all of it, several drills follow one another, and nobody sends it money.
"""
_LETTERS = string.ascii_uppercase + string.digits


def send_over_rails(policy: Policy, flood: Flood, requests: Sequence[Wanted], rng: Random) -> None:
    """Let the shares of ``requests`` that ``flood`` declares go over its rails, drawn by ``rng``.

    Only small ones do, of an asset that the rail pays: the balances that pay them stay the same.

    Raises:
        UsageError: A rail does not pay, or too few requests are such that it would pay them.
    """
    small_max = policy.small_value_micro_max()
    paying = policy.paying_rails()
    for name, share in flood.rails.items():
        if name not in paying:
            raise UsageError(
                f"nothing is paid over {name}",
                remedy=f"name one of {', '.join(paying) or 'no rail: none pays'}",
            )
        rail = paying[name]
        value_max = min(small_max, int(rail.payout_value_max * MICRO))
        able = [
            each
            for each in requests
            if not each.rail and each.pool[1] in rail.funding and each.value_micro <= value_max
        ]
        wanted = round(share * len(requests))
        if wanted > len(able):
            raise UsageError(
                f"{wanted} requests should go over {name}, and it would pay {len(able)} of all",
                remedy=f"lower its share, or fund {name} with more assets",
            )
        for each in rng.sample(able, wanted):
            each.rail, each.destination = name, _destination(rail, rng)


def _destination(rail: Rail, rng: Random) -> str:
    """An account at a bank for a processor, an address for an exchange; nobody else's."""
    if rail.kind == "processor":
        return f"XX{rng.randrange(100):02d}{''.join(rng.choices(_LETTERS, k=18))}"
    return f"0x{rng.getrandbits(160):040x}"


def funded(policy: Policy, arrivals: Sequence[Arrival]) -> Iterator[tuple[bool, str]]:
    """Whether each provider could pay all that goes over its rail, with a complaint for each."""
    asked: Counter[tuple[str, str]] = Counter()
    for arrival in arrivals:
        if arrival.source_network and arrival.attempt == 1:
            asked[arrival.network, arrival.asset] += arrival.amount
    for (name, asset), amount in asked.items():
        kept = policy.base_units(asset, policy.rails[name].funding[asset])
        yield (
            amount <= kept * FUNDED_SHARE_MAX,
            (
                f"{float(Fraction(amount, kept)):.2f} of the {asset} that each provider of {name}"
                f" holds would go over it, and {float(FUNDED_SHARE_MAX):.2f} may"
            ),
        )

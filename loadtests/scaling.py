"""How a planned run relates to the real event, said exactly.

What was scaled, by how much, and what was not.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from loadtests.arrivals import Arrival
from loadtests.shock import Profile
from seawall.policy import MICRO, GameDay, Policy

SECONDS_PER_HOUR = 3_600
NOT_COMPRESSED = (
    "block time and finality depth",
    "signing, its timeouts and its failover",
    "what alerts wait for: scrape, evaluation, `for`, group wait",
    "how long tiers dwell and how long a top-up takes",
    "the delay before a client repeats a request",
)
"""All of these are as the policy declares them: only arrivals are compressed in time."""


def scaling(
    policy: Policy, day: GameDay, profile: Profile, arrivals: Sequence[Arrival]
) -> dict[str, Any]:
    """The table that the report shows; ratios as decimals, values in units of account."""
    facts = profile.measured
    first = [arrival for arrival in arrivals if arrival.phase == "run" and arrival.attempt == 1]
    requested = Fraction(sum(arrival.value_micro for arrival in first), MICRO)
    liabilities = Fraction(policy.venue.liabilities)
    modelled_h = requested / liabilities / facts.burst_of_assets_per_h.value
    modelled_requests = facts.requests.value / facts.requests_over_h.value * modelled_h
    flood_s = Fraction(day.flood, 1_000)
    return {
        "profile": profile.profile,
        "event": profile.event,
        "source": "; ".join(
            dict.fromkeys(
                fact.source
                for fact in (facts.requests, facts.wallets_value, facts.burst_of_assets_per_h)
            )
        ),
        "value_scale": f"{float(liabilities / facts.wallets_value.value):.6f}",
        "value_scale_of": f"liabilities {float(liabilities):,.0f} / wallets {float(facts.wallets_value.value):,.0f}",
        "requested_value": f"{float(requested):,.0f}",
        "requested_of_liabilities": f"{float(requested / liabilities):.4f}",
        "modelled_window_s": round(float(modelled_h * SECONDS_PER_HOUR)),
        "run_s": float(flood_s),
        "time_compression": f"{float(modelled_h * SECONDS_PER_HOUR / flood_s):.1f}",
        "requests_modelled": round(modelled_requests),
        "requests_planned": len(first),
        "thinning": f"{float(modelled_requests / len(first)):.2f}",
        "thinning_of": "real requests that one planned request stands for; its amount carries their value",
        "not_compressed": list(NOT_COMPRESSED),
        **{kind: profile.described()[kind] for kind in ("measured", "assumed")},
    }

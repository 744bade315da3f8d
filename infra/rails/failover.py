"""What a client of a rail knows before its provider fails.

Both sides, which comes first, when to give one up and when to come back.

The client decides by itself, in its own process: no control plane is asked during a failover. The
breaker is the one that the venue's settlers run (``seawall.controls.breaker``), so that its numbers
stand in one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seawall.controls.breaker import BreakerSettings
from seawall.conventions import components
from seawall.policy import Policy
from seawall.policy.model import Rail


def failover_of(policy: Policy, rail: str, *, region: str) -> dict[str, Any]:
    """Failover data of ``rail`` for a client in ``region``: plain data, times in milliseconds.

    A network's sides are its signing regions, so each region prefers its own; any other rail
    prefers its primary.
    """
    declared = policy.rails[rail]
    breaker = BreakerSettings()
    return {
        "rail": rail,
        "kind": declared.kind,
        "order": _order(declared, region),
        "sides": {side: _side(declared, side) for side in components.SIDES},
        "breaker": {
            "failures_to_open": breaker.failures_to_open,
            "successes_to_close": breaker.successes_to_close,
            "probe_every_ms": breaker.probe_every_ms,
        },
        "timeout_ms": _timeout_ms(policy, breaker),
        "failover_ms_max": policy.targets.failover_max,
    }


def _side(declared: Rail, side: str) -> Mapping[str, str]:
    return {"provider": getattr(declared, side), "endpoint": getattr(declared.endpoints, side)}


def _order(declared: Rail, region: str) -> list[str]:
    if declared.kind == "network" and region == declared.standby:
        return ["standby", "primary"]
    return ["primary", "standby"]


def _timeout_ms(policy: Policy, breaker: BreakerSettings) -> int:
    """How long one attempt may take.

    The failures that open the breaker and the first attempt on the standby fit into the target.
    """
    return policy.targets.failover_max // (breaker.failures_to_open + 1)

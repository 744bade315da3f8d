"""Which checks must fail when a control is switched off: a drill that cannot fail proves nothing.

Read by those who assert it, never by a check.
"""

from __future__ import annotations

from seawall.conventions import sabotage

SABOTAGE_FAILS: dict[str, frozenset[str]] = {
    sabotage.SABOTAGE_FAILOVER: frozenset({"failover.time", "stress.small_completed"}),
    sabotage.SABOTAGE_MODE_CONTROLLER: frozenset({"protection.time", "protected.suspensions"}),
}
"""By sabotage: exactly the ids of the checks that fail."""

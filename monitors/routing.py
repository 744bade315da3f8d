"""Alertmanager routes: everything that fires goes to the pager at once, each alert by itself."""

from __future__ import annotations

from typing import Any

from monitors.expressions import duration
from seawall.policy import Policy

PAGER_URL_FILE = "pager-url"
"""A file beside the configuration that holds the pager's address: an address belongs to a stack, not to a policy."""


def routing_of(policy: Policy) -> dict[str, Any]:
    """The Alertmanager configuration as plain data."""
    pace = policy.monitoring
    return {
        "route": {
            "receiver": "pager",
            "group_by": ["..."],  # one alert, one page: nobody waits for a neighbour's group
            "group_wait": duration(pace.group_wait),
            "group_interval": duration(pace.evaluate_every),  # the default of 5 minutes would hold back a second page
        },
        "receivers": [
            {"name": "pager", "webhook_configs": [{"url_file": PAGER_URL_FILE, "send_resolved": True, "max_alerts": 0}]}
        ],
    }

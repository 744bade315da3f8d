"""Alertmanager routes: everything that fires goes out at once, each alert by itself.

To the pager, or, as AWS runs it, to the topic of its severity.
"""

from __future__ import annotations

from typing import Any

from monitors.promql import duration
from seawall.conventions import generated
from seawall.policy import Policy, Severity

SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
"""The first takes what says nothing of its severity: better one page too many."""
PAGER_URL_FILE = "pager-url"
"""A file beside the configuration that holds the pager's address.

An address belongs to a stack, not to a policy.
"""


def routing_of(policy: Policy) -> dict[str, Any]:
    """The Alertmanager configuration as plain data."""
    pace = policy.monitoring
    return {
        "route": {
            "receiver": "pager",
            "group_by": ["..."],  # one alert, one page: nobody waits for a neighbour's group
            "group_wait": duration(pace.group_wait),
            "group_interval": duration(
                pace.evaluate_every
            ),  # the default of 5 minutes would hold back a second page
        },
        "receivers": [
            {
                "name": "pager",
                "webhook_configs": [
                    {"url_file": PAGER_URL_FILE, "send_resolved": True, "max_alerts": 0}
                ],
            }
        ],
    }


def amp_routing_of(policy: Policy) -> dict[str, Any]:
    """The Alertmanager part of a definition for Amazon Managed Prometheus, with places for region
    and topics (``string.Template``).

    It knows SNS topics as receivers, needs the region to sign for, and takes neither ``api_url``
    nor ``http_config`` (AMP user guide, Configure alert manager to send messages to your Amazon SNS
    topic). Whoever deploys fills the places in.
    """
    pace = policy.monitoring
    first, *others = SEVERITIES
    return {
        "route": {
            "receiver": first,
            "group_by": ["..."],
            "group_wait": duration(pace.group_wait),
            "group_interval": duration(pace.evaluate_every),
            "routes": [
                {"receiver": severity, "matchers": [f'severity="{severity}"']}
                for severity in others
            ],
        },
        "receivers": [_topic(severity) for severity in SEVERITIES],
    }


def _topic(severity: Severity) -> dict[str, Any]:
    """A receiver: what the person who is woken reads first, under a subject that SNS takes (at most
    100 characters, API reference, Publish).
    """
    told = [
        "{{ range .Alerts }}{{ .Annotations.summary }}",
        "{{ .Annotations.customer_impact }}",
        "Do: {{ .Annotations.runbook }}",
        "{{ end }}",
    ]
    sns = {
        "topic_arn": f"${{{generated.topic_place(severity)}}}",
        "sigv4": {"region": f"${{{generated.REGION_PLACE}}}"},
        "send_resolved": True,
        "subject": "{{ .Status }}: {{ .CommonLabels.alertname }}",
        "message": "\n".join(told),
        "attributes": {"severity": severity},
    }
    return {"name": severity, "sns_configs": [sns]}

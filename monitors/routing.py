"""Alertmanager's routing: every alert is sent at once and by itself.

Alerts go to the pager; in Amazon Managed Prometheus, to the topic of their severity.
"""

from __future__ import annotations

from typing import Any

from monitors.promql import duration
from seawall.conventions import generated
from seawall.policy import Policy, Severity

SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
"""The first also gets alerts without a severity: better one page too many."""
PAGER_URL_FILE = "pager-url"
"""A file beside the configuration with the pager's URL: a stack has one, a policy does not."""


def routing_of(policy: Policy) -> dict[str, Any]:
    """The Alertmanager configuration as plain data."""
    timing = policy.monitoring
    return {
        "route": {
            "receiver": "pager",
            "group_by": ["..."],  # one alert, one page: no alert waits for another's group
            "group_wait": duration(timing.group_wait),
            # the default of 5 minutes would hold back a second page
            "group_interval": duration(timing.evaluate_every),
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
    """The Alertmanager configuration for Amazon Managed Prometheus.

    Its receivers are SNS topics; it needs the region to sign for, and takes neither ``api_url`` nor
    ``http_config`` (AMP user guide, Configure alert manager to send messages to your Amazon SNS
    topic). Region and topics are placeholders of ``string.Template``, which ``infra`` fills in.
    """
    timing = policy.monitoring
    first, *others = SEVERITIES
    return {
        "route": {
            "receiver": first,
            "group_by": ["..."],
            "group_wait": duration(timing.group_wait),
            "group_interval": duration(timing.evaluate_every),
            "routes": [
                {"receiver": severity, "matchers": [f'severity="{severity}"']}
                for severity in others
            ],
        },
        "receivers": [_topic(severity) for severity in SEVERITIES],
    }


def _topic(severity: Severity) -> dict[str, Any]:
    """The receiver for a severity.

    The message is what the person who is paged reads first; the subject is one that SNS takes (at
    most 100 characters, API reference, Publish).
    """
    lines = [
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
        "message": "\n".join(lines),
        "attributes": {"severity": severity},
    }
    return {"name": severity, "sns_configs": [sns]}

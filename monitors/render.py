"""Render alert rules, their tests and alert routing from a policy.

Usage: ``python -m monitors.render --policy FILE [--out DIR | --check]`` (`seawall.rendering`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from monitors.alerts import alerts_of
from monitors.routing import amp_routing_of, routing_of
from monitors.rule_tests import rule_tests_of
from monitors.rules import rules_of
from seawall.conventions import generated
from seawall.errors import UsageError
from seawall.policy import Policy
from seawall.rendering import Renderer

ROOT = Path(__file__).resolve().parents[1]


def render(policy: Policy) -> dict[str, str]:
    """Text of every generated file by name.

    Raises :class:`UsageError` if an alert has no runbook.
    """
    missing = sorted(
        {alert.runbook for alert in alerts_of(policy) if not (ROOT / alert.runbook).is_file()}
    )
    if missing:
        raise UsageError(
            f"alerts name runbooks that do not exist: {', '.join(missing)}",
            remedy="write them: every page links a runbook",
        )
    documents = {
        generated.RULES_FILE: rules_of(policy),
        generated.TESTS_FILE: rule_tests_of(policy, rules_file=generated.RULES_FILE),
        generated.ROUTING_FILE: routing_of(policy),
        # AMP takes Alertmanager's configuration as text within a document of its own.
        generated.AMP_ROUTING_FILE: {"alertmanager_config": _yaml(amp_routing_of(policy))},
    }
    return {name: _yaml(document) for name, document in documents.items()}


class _Plain(yaml.SafeDumper):
    """SafeDumper with blocks for text of several lines, and no aliases: each rule stands alone."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never refer to an equal value elsewhere."""
        del data
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    )


_Plain.add_representer(str, _text)


def _yaml(document: Any) -> str:
    return yaml.dump(document, Dumper=_Plain, sort_keys=False, width=1_000, allow_unicode=True)


RENDERER = Renderer(
    module="monitors.render",
    description="Render alert rules and routing from a policy.",
    render=render,
)


if __name__ == "__main__":
    sys.exit(RENDERER.main())

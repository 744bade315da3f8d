"""Names within the files that are rendered from a policy."""

from __future__ import annotations

RULES_FILE, AMP_ROUTING_FILE = "rules.yml", "amp_alertmanager.yml"
"""Names of the rendered files that the stack uploads."""
TESTS_FILE, ROUTING_FILE = "rules_test.yml", "alertmanager.yml"
"""Names of the tests of the rules, and of the routing of a sandbox's Alertmanager."""
EXPECTED_RESOURCES_FILE = "expected_resources.txt"
"""Name of the rendered list of the resources that a stack must declare."""
FILES = frozenset({RULES_FILE, TESTS_FILE, ROUTING_FILE, AMP_ROUTING_FILE, EXPECTED_RESOURCES_FILE})
"""Every rendered file that lies in the policy's folder itself."""
EXPERIMENTS_FOLDER = "experiments"
"""Folder of the rendered experiments, one file a drill."""
REGION_PLACE = "region"
"""Placeholder (string.Template) in AMP_ROUTING_FILE that the stack replaces by a region."""
RULE_NAMESPACE = "seawall"
"""Namespace of the rule groups in Amazon Managed Prometheus."""


def topic_place(severity: str) -> str:
    """Placeholder in AMP_ROUTING_FILE that the stack replaces by the ARN of a severity's topic."""
    return f"topic_{severity}"


def rendered_from(digest: str) -> str:
    """First line of a rendered file: the digest of the policy that it was rendered from."""
    return f"# policy digest: {digest}"

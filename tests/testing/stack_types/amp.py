"""Examples of the resource types of Amazon Managed Prometheus."""

from __future__ import annotations

from tests.testing.stack_types.example import Example

WORKSPACE_NEEDED = ("aws:amp/workspace:Workspace", {"alias": "seawall-needed"})
RULES = (
    "groups:\n- name: seawall\n  rules:\n  - alert: SeawallSigningDark\n    expr: up == {number}\n"
)
ALERTMANAGER = """
alertmanager_config: |
  route:
    receiver: pages
  receivers:
  - name: pages
    sns_configs:
    - topic_arn: arn:aws:sns:us-east-1:123456789012:{topic}
      sigv4:
        region: us-east-1
"""
LOGS = "arn:aws:logs:us-east-1:123456789012:log-group"

EXAMPLES: dict[str, Example] = {
    "aws:amp/workspace:Workspace": Example(
        inputs={
            "alias": "seawall-thing",
            "kmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/one",
            "loggingConfiguration": {"logGroupArn": f"{LOGS}:one:*"},
            "tags": {"a": "1", "b": "2"},
        },
        changed={
            "alias": "seawall-other",
            "loggingConfiguration": {"logGroupArn": f"{LOGS}:two:*"},
            "tags": {"a": "3"},
        },
    ),
    "aws:amp/ruleGroupNamespace:RuleGroupNamespace": Example(
        inputs={
            "name": "seawall",
            "workspaceId": "$workspace.id",
            "data": RULES.format(number=0),
            "tags": {"a": "1", "b": "2"},
        },
        changed={"data": RULES.format(number=1), "tags": {"a": "3"}},
        needs={"workspace": WORKSPACE_NEEDED},
    ),
    "aws:amp/alertManagerDefinition:AlertManagerDefinition": Example(
        inputs={"workspaceId": "$workspace.id", "definition": ALERTMANAGER.format(topic="one")},
        changed={"definition": ALERTMANAGER.format(topic="two")},
        needs={"workspace": WORKSPACE_NEEDED},
    ),
}

"""Examples of the resource types of ECS."""

from __future__ import annotations

import json

from tests.testing.stack_types.example import Example

CONTAINERS = json.dumps(
    [
        {
            "name": "runner",
            "image": "registry.harbour.example/seawall:1",
            "command": ["seawall", "gameday"],
            "environment": [{"name": "Z", "value": "1"}, {"name": "A", "value": "2"}],
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {"awslogs-group": "/seawall/gamedays"},
            },
        }
    ]
)

EXAMPLES: dict[str, Example] = {
    "aws:ecs/taskDefinition:TaskDefinition": Example(
        inputs={
            "family": "seawall-thing",
            "containerDefinitions": CONTAINERS,
            "cpu": "256",
            "memory": "512",
            "networkMode": "awsvpc",
            "requiresCompatibilities": ["FARGATE"],
            "executionRoleArn": "arn:aws:iam::123456789012:role/seawall-execution",
            "taskRoleArn": "arn:aws:iam::123456789012:role/seawall-task",
            "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
            "ephemeralStorage": {"sizeInGib": 21},
            "tags": {"a": "1", "b": "2"},
        },
        changed={"tags": {"a": "3"}},
    )
}

"""Examples of the resource types of Route 53."""

from __future__ import annotations

from tests.testing.stack_types.example import Example

ZONE_NEEDED = (
    "aws:route53/zone:Zone",
    {"name": "venue.example", "comment": "needed", "forceDestroy": True},
)
CHECK_NEEDED = (
    "aws:route53/healthCheck:HealthCheck",
    {"type": "TCP", "ipAddress": "192.0.2.1", "port": 443},
)

EXAMPLES: dict[str, Example] = {
    "aws:route53/healthCheck:HealthCheck": Example(
        inputs={
            "type": "HTTPS",
            "fqdn": "api.venue.example",
            "port": 8443,
            "resourcePath": "/health",
            "requestInterval": 10,
            "failureThreshold": 2,
            "measureLatency": True,
            "regions": ["us-east-1", "us-west-2", "eu-west-1"],
            "enableSni": True,
            "tags": {"a": "1"},
        },
        changed={
            "fqdn": "api.elsewhere.example",
            "port": 443,
            "resourcePath": "/ready",
            "failureThreshold": 3,
            "regions": ["eu-west-1", "us-east-1", "ap-southeast-1"],
            "disabled": True,
            "invertHealthcheck": True,
            "enableSni": False,
            "tags": {"b": "2"},
        },
    ),
    "aws:route53/record:Record": Example(
        inputs={
            "zoneId": "$zone.zoneId",
            "name": "api.venue.example",
            "type": "A",
            "ttl": 30,
            "records": ["192.0.2.1", "192.0.2.2"],
            "setIdentifier": "primary",
            "failoverRoutingPolicies": [{"type": "PRIMARY"}],
            "healthCheckId": "$check.id",
        },
        changed={
            "ttl": 60,
            "records": ["192.0.2.3"],
            "failoverRoutingPolicies": [{"type": "SECONDARY"}],
        },
        needs={"zone": ZONE_NEEDED, "check": CHECK_NEEDED},
    ),
    "aws:route53/zone:Zone": Example(
        inputs={"name": "seawall.example", "comment": "one", "tags": {"a": "1"}},
        changed={"comment": "two", "tags": {"b": "2"}},
    ),
}

"""A health check keeps what it was told.

The alarm it watches, what it does without data, and what is reset is gone.

AWS, `CreateHealthCheck` and `UpdateHealthCheck`
(https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html,
API_UpdateHealthCheck.html): a CLOUDWATCH_METRIC check carries the region and name of an alarm, has
neither port nor interval, and "if you don't specify a value, Route 53 doesn't change" it, but for
``ResetElements``; each change makes another version. moto drops the alarm, ignores resets, forgets
the regions at each update and gives every check a port, an interval and a threshold. Still canned:
`GetHealthCheckStatus` says success, whatever the endpoint or the alarm does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.route53.models import HealthCheck
from moto.route53.responses import Route53

_KEPT = ("AlarmIdentifier", "InsufficientDataHealthStatus", "RoutingControlArn")
"""What moto drops."""
_OF_ENDPOINTS = frozenset(
    {"IPAddress", "Port", "RequestInterval", "FailureThreshold", "MeasureLatency"}
)
_NO_ENDPOINT = frozenset({"CLOUDWATCH_METRIC", "RECOVERY_CONTROL", "CALCULATED"})
_RESETS = {
    "FullyQualifiedDomainName": "fqdn",
    "ResourcePath": "resource_path",
    "Regions": "regions",
    "ChildHealthChecks": "children",
}
_HTTPS_PORT = 443


def install() -> None:
    """Replace how checks are made, changed and told."""
    response: Any = Route53
    check: Any = HealthCheck
    response.create_health_check = _creating(response.create_health_check)
    response.update_health_check = _updating(response.update_health_check)
    check.health_check_config = _told(check.health_check_config.fget)


def _creating(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def create(self: Any) -> Any:
        given = self._get_param("HealthCheckConfig")
        answer = original(self)
        made = answer.result["HealthCheck"]
        made.kept = {name: given[name] for name in _KEPT if name in given}
        if given["Type"].startswith("HTTPS"):
            made.port = given.get("Port", _HTTPS_PORT)
            made.enable_sni = given.get("EnableSNI", True)
        return answer

    return create


def _updating(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def update(self: Any) -> Any:
        check = self.backend.get_health_check(self._get_param("HealthCheckId"))
        before = {"regions": check.regions, "children": check.children}
        answer = original(self)
        for name, value in before.items():
            if getattr(check, name) is None:  # moto takes what is not given for nothing
                setattr(check, name, value)
        for name in self._get_param("ResetElements") or []:
            setattr(check, _RESETS[name], None)
        given = {name: self._get_param(name) for name in _KEPT}
        check.kept = {
            **getattr(check, "kept", {}),
            **{name: value for name, value in given.items() if value is not None},
        }
        check.health_check_version += 1
        return answer

    return update


def _told(original: Callable[[Any], dict[str, Any]]) -> property:
    def config(self: Any) -> dict[str, Any]:
        told = {**original(self), **getattr(self, "kept", {})}
        if self.type_ in _NO_ENDPOINT:
            return {name: value for name, value in told.items() if name not in _OF_ENDPOINTS}
        return told

    return property(config)

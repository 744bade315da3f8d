"""Rules for monitors: trails, event rules, alarms, alert rules, topics, health checks, logs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from seawall.change_review.preview import Change, Preview
from seawall.change_review.rules.rule import (
    Rule,
    both,
    changed,
    changed_once_set,
    fewer,
    gone,
    kinds,
    left,
    moved,
    number,
    raised,
    removed,
    shown,
    value_at,
)

_UP = ("GreaterThanOrEqualToThreshold", "GreaterThanThreshold")
_DOWN = ("LessThanOrEqualToThreshold", "LessThanThreshold")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")


def _threshold(change: Change, _: Preview) -> list[str]:
    """Find a threshold that fires later; the comparison says which direction that is."""
    pair = both(change)
    if pair is None:
        return []
    operator = value_at(pair[1], "comparisonOperator")
    old, new = (value_at(side, "threshold") for side in pair)
    before, after = number(old), number(new)
    if before is None:
        return []
    later = (
        after is None
        or (operator in _UP and after > before)
        or (operator in _DOWN and after < before)
    )
    sideways = operator not in _UP + _DOWN and after != before
    return [f"threshold: {shown(old)} -> {shown(new)}"] if later or sideways else []


def _pattern(change: Change, _: Preview) -> list[str]:
    pair = both(change)
    if pair is None:
        return []
    old, new = (value_at(side, "eventPattern") for side in pair)
    if old is None or old == new:
        return []
    try:
        return _narrower(json.loads(old), json.loads(new or "null"), "eventPattern")
    except (TypeError, ValueError):
        return ["eventPattern: the new one cannot be read"]


def _narrower(old: Any, new: Any, path: str) -> list[str]:
    """Find where the new pattern matches less.

    Each key adds a condition, each value an alternative (EventBridge User Guide, Event patterns).
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found = [f"{path}.{key} is a new condition" for key in new if key not in old]
        return found + [
            each
            for key in old.keys() & new.keys()
            for each in _narrower(old[key], new[key], f"{path}.{key}")
        ]
    if isinstance(old, list) and isinstance(new, list):
        return [f"{path} matches {json.dumps(value)} no more" for value in old if value not in new]
    return [] if old == new else [f"{path}: {shown(json.dumps(old))} -> {shown(json.dumps(new))}"]


def _alerts(change: Change, _: Preview) -> list[str]:
    pair = both(change)
    if pair is None or value_at(pair[0], "data") == value_at(pair[1], "data"):
        return []
    try:
        old, new = (_rules_of(value_at(side, "data", "")) for side in pair)
    except (yaml.YAMLError, TypeError, AttributeError):
        return ["data: the new rules cannot be read"]
    found = [f"{name} is gone" for name in old if name not in new]
    for name in old.keys() & new.keys():
        found += _weaker_alert(name, old[name], new[name])
    return found


def _rules_of(text: str) -> dict[str, Mapping[str, Any]]:
    document = yaml.safe_load(text)
    if not isinstance(document, Mapping) or "groups" not in document:
        raise TypeError
    return {
        str(rule.get("alert") or rule.get("record")): rule
        for group in document["groups"]
        for rule in group.get("rules") or []
    }


def _weaker_alert(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    found = []
    if old.get("for", "0s") != new.get("for", "0s") and _seconds(new.get("for", "0s")) > _seconds(
        old.get("for", "0s")
    ):
        found.append(f"{name}: for {old.get('for', '0s')} -> {new['for']}")
    severities = [rule.get("labels", {}).get("severity") for rule in (old, new)]
    if severities[0] != severities[1]:
        found.append(f"{name}: severity {severities[0]} -> {severities[1]}")
    before, after = str(old.get("expr", "")), str(new.get("expr", ""))
    if before != after and not _sooner(before, after):
        found.append(f"{name}: {shown(before)} -> {shown(after)}")
    return found


def _sooner(before: str, after: str) -> bool:
    """Tell whether only the number at the end differs, so that the alert fires earlier."""
    old, new = (
        re.fullmatch(r"(?s)(.*?)(>=?|<=?)\s*(\d+(?:\.\d+)?)\s*", text) for text in (before, after)
    )
    if old is None or new is None or old.groups()[:2] != new.groups()[:2]:
        return False
    low, high = float(old[3]), float(new[3])
    return high < low if old[2].startswith(">") else high > low


def _seconds(text: Any) -> float:
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
    parts = re.findall(r"(\d+)(ms|[smhdwy])", str(text))
    return sum(int(count) * units[unit] for count, unit in parts) if parts else float("inf")


def _receivers(change: Change, _: Preview) -> list[str]:
    pair = both(change)
    if pair is None or value_at(pair[0], "definition") == value_at(pair[1], "definition"):
        return []
    try:
        old, new = (_receivers_of(value_at(side, "definition", "")) for side in pair)
    except (yaml.YAMLError, TypeError, AttributeError):
        return ["definition: the new one cannot be read"]
    return [f"{each} is no longer notified" for each in sorted(old - new)]


def _receivers_of(text: str) -> set[str]:
    """List the receivers of a definition, their targets and the routes to them, as phrases."""
    document = yaml.safe_load(text)
    if isinstance(document, Mapping) and "alertmanager_config" in document:
        document = yaml.safe_load(document["alertmanager_config"])
    if not isinstance(document, Mapping):
        raise TypeError
    found = set()
    for receiver in document.get("receivers") or []:
        name = receiver.get("name")
        found.add(f"receiver {name}")
        for configs in receiver.values():
            for config in configs if isinstance(configs, list) else []:
                target = (
                    config.get("topic_arn")
                    or config.get("url")
                    or config.get("to")
                    or json.dumps(config, sort_keys=True)
                )
                found.add(f"{target} (receiver {name})")
    return found | _routes(document.get("route") or {})


def _routes(route: Mapping[str, Any]) -> set[str]:
    matchers = json.dumps(route.get("matchers") or route.get("match") or "all the rest")
    found = {f"route to {route.get('receiver')} for {matchers}"}
    for child in route.get("routes") or []:
        found |= _routes(child)
    return found


def _filtered(change: Change, _: Preview) -> list[str]:
    pair = both(change)
    if pair is None:
        return []
    old, new = (value_at(side, "filterPolicy") for side in pair)
    return [] if new is None or old == new else [f"filterPolicy: {shown(old)} -> {shown(new)}"]


def _log_retention(change: Change, _: Preview) -> list[str]:
    """Find a shorter retention.

    Zero means forever (CloudWatch Logs; Pulumi AWS cloudwatch.LogGroup, retentionInDays).
    """
    pair = both(change)
    if pair is None:
        return []
    old, new = (number(value_at(side, "retentionInDays", 0)) for side in pair)
    shorter = new is None or (new != 0 and (old == 0 or (old is not None and new < old)))
    return [f"retentionInDays: {old or 'forever'} -> {new}"] if shorter else []


RULES: tuple[Rule, ...] = (
    Rule(
        id="trail-weakened",
        kinds=kinds("cloudtrail/trail:Trail"),
        checks=(
            removed(),
            left("enableLogging", True, default=True),
            left("isMultiRegionTrail", True),
            left("enableLogFileValidation", True),
            left("includeGlobalServiceEvents", True, default=True),
            changed_once_set("name", "region", "s3BucketName", "kmsKeyId"),
            changed("eventSelectors", "advancedEventSelectors"),
            moved,
        ),
        consequence="No record would show who disables a key, changes its policy or schedules its "
        "deletion.",
        instead="Run a second trail before the first is removed.",
        source="AWS CloudTrail User Guide: EventBridge gets API calls only from a trail that logs "
        "them",
    ),
    Rule(
        id="event-rule-weakened",
        kinds=kinds(
            "cloudwatch/eventRule:EventRule",
            "cloudwatch/eventTarget:EventTarget",
            "cloudwatch/eventBus:EventBus",
        ),
        checks=(
            removed(replaced_too=False),
            left(
                "state",
                "ENABLED",
                "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS",
                default="ENABLED",
            ),
            left("isEnabled", True, default=True),
            _pattern,
            changed_once_set("arn", "rule", "eventBusName", "scheduleExpression", "region"),
            moved,
        ),
        consequence="An attack on a key (disable, delete, new policy, grant, alias, primary "
        "region) would page no one.",
        instead="Widen the pattern or add a target; remove the old one with an override once the "
        "new one was seen to page.",
        source="EventBridge User Guide, Event patterns; API Reference, DisableRule, RemoveTargets",
    ),
    Rule(
        id="alarm-weakened",
        kinds=kinds(
            "cloudwatch/metricAlarm:MetricAlarm", "cloudwatch/compositeAlarm:CompositeAlarm"
        ),
        checks=(
            removed(replaced_too=False),
            left("actionsEnabled", True, default=True),
            fewer("alarmActions"),
            gone("alarmActions"),
            _threshold,
            raised("evaluationPeriods", "period"),
            raised("datapointsToAlarm"),
            left("treatMissingData", "breaching"),
            changed_once_set(
                "metricName",
                "namespace",
                "comparisonOperator",
                "alarmRule",
                "region",
                "dimensions",
                "statistic",
            ),
            moved,
        ),
        consequence="The shock that the alarm stands for would be noticed later, or not at all.",
        instead="Change the trigger in the policy, with the customer impact that it stands for, "
        "and have it reviewed there.",
        source="CloudWatch API Reference, PutMetricAlarm: ActionsEnabled, AlarmActions, Threshold, "
        "EvaluationPeriods, TreatMissingData",
    ),
    Rule(
        id="rule-group-weakened",
        kinds=kinds("amp/ruleGroupNamespace:RuleGroupNamespace", "amp/workspace:Workspace"),
        checks=(removed(), _alerts, changed_once_set("workspaceId", "name", "region"), moved),
        consequence="An alert of the policy would fire later or never.",
        instead="Change the trigger in the policy and render the rules from it.",
        source="Amazon Managed Service for Prometheus User Guide, Rules files; Pulumi AWS "
        "amp.RuleGroupNamespace: name, workspaceId force a new resource",
    ),
    Rule(
        id="alert-routing-weakened",
        kinds=kinds("amp/alertManagerDefinition:AlertManagerDefinition"),
        checks=(removed(replaced_too=False), _receivers, changed_once_set("workspaceId", "region")),
        consequence="Alerts would fire and page no one, or fewer people.",
        instead="Add receivers and routes; remove one with an override once the new one was seen "
        "to page.",
        source="Amazon Managed Service for Prometheus User Guide, Alert manager: a workspace has "
        "one definition",
    ),
    Rule(
        id="topic-removed",
        kinds=kinds("sns/topic:Topic"),
        checks=(removed(), changed_once_set("name", "region"), moved),
        consequence="Every alarm that publishes to the topic pages no one; its subscribers must "
        "confirm again on another topic.",
        instead="Make the second topic, subscribe and confirm everyone, let the alarms publish to "
        "both, then remove the first.",
        source="Pulumi AWS sns.Topic: name forces a new resource; Amazon SNS API Reference, "
        "DeleteTopic deletes all its subscriptions",
    ),
    Rule(
        id="subscription-weakened",
        kinds=kinds("sns/topicSubscription:TopicSubscription"),
        checks=(
            removed(replaced_too=False),
            changed_once_set("endpoint", "protocol", "topic", "region"),
            _filtered,
        ),
        consequence="A person who must be paged is not: a new address receives nothing before its "
        "owner has confirmed it.",
        instead="Add the new subscription, see it confirmed, then remove the old one with an "
        "override.",
        source="Amazon SNS API Reference, Subscribe, ConfirmSubscription, "
        "SetSubscriptionAttributes (FilterPolicy)",
    ),
    Rule(
        id="health-check-weakened",
        kinds=kinds("route53/healthCheck:HealthCheck", "route53/record:Record"),
        checks=(
            removed(),
            left("disabled", False, default=False),
            raised("failureThreshold", "requestInterval"),
            gone("healthCheckId", "failoverRoutingPolicies"),
            left("invertHealthcheck", False, default=False),
            changed_once_set("fqdn", "ipAddress", "resourcePath", "type", "cloudwatchAlarmName"),
            fewer("records"),
            changed_once_set("setIdentifier"),
        ),
        consequence="Clients of a name that we serve would be moved to the standby later, or not "
        "at all.",
        instead="Add the new check or record beside the old one and fail over to it in a drill "
        "first.",
        source="Route 53 API Reference, HealthCheckConfig: Disabled, FailureThreshold, "
        "RequestInterval; a disabled check counts as healthy",
    ),
    Rule(
        id="game-day-weakened",
        kinds=kinds(
            "scheduler/schedule:Schedule",
            "scheduler/scheduleGroup:ScheduleGroup",
            "fis/experimentTemplate:ExperimentTemplate",
            "ecs/taskDefinition:TaskDefinition",
        ),
        checks=(
            removed(replaced_too=False),
            left("state", "ENABLED", default="ENABLED"),
            fewer("stopConditions"),
        ),
        consequence="A game day of the policy would not take place, or could not be stopped by its "
        "alarm; its evidence of readiness becomes too old.",
        instead="Use the kill switch for a pause; change the schedule in the policy.",
        source="EventBridge Scheduler API Reference, UpdateSchedule: State; AWS FIS User Guide, "
        "Stop conditions",
    ),
    Rule(
        id="parameter-removed",
        kinds=kinds("ssm/parameter:Parameter"),
        checks=(removed(), changed_once_set("name", "region", "type")),
        consequence="Processes that read it before they act find nothing: the kill switch of the "
        "game days, or the endpoints that a rail fails over to.",
        instead="Leave the parameter; set its value.",
        source="AWS Systems Manager API Reference, DeleteParameter; Pulumi AWS ssm.Parameter: name "
        "forces a new resource",
    ),
    Rule(
        id="logs-removed",
        kinds=kinds("cloudwatch/logGroup:LogGroup"),
        checks=(removed(), _log_retention, changed_once_set("name", "region")),
        consequence="Logs that an investigation will need are gone, or expire earlier.",
        instead="Keep the group; a longer retention is always allowed.",
        source="CloudWatch Logs API Reference, DeleteLogGroup, PutRetentionPolicy",
    ),
)

"""EventBridge: an enabled rule passes the events that match its pattern to its targets.

AWS: a disabled rule matches nothing (API reference, PutRule, State); a rule that has only a
schedule matches no event; targets get the event, a part of it, a constant or a transformed text
(EventBridge user guide, "Input transformation"); a topic or queue must let events.amazonaws.com in
by its own policy; what is not delivered goes to the target's dead-letter queue ("Using dead-letter
queues"). moto delivers for disabled rules, takes a schedule for a pattern that matches everything,
fails on topics, and leaves out the account. A schedule of a rule fires nothing here.
"""

from __future__ import annotations

import copy
import json
import re
from datetime import UTC, datetime
from typing import Any

from moto.events.models import Rule
from moto.utilities.arns import parse_arn

from localaws.emulator.services import sns, sqs
from localaws.emulator.services.sqs import UndeliveredError, log_undelivered

EVENTS_SERVICE = "events.amazonaws.com"
_BY_MOTO = frozenset({"logs", "events"})
"""Services of targets that moto delivers to as they are: log groups, buses, archives."""
_VARIABLE = re.compile(r"<([A-Za-z0-9._-]+)>")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_moto_send = Rule.send_to_targets


def install() -> None:
    """Replace how rules deliver."""
    rule: Any = Rule
    rule.send_to_targets = _send_to_targets


# moto's
def _send_to_targets(self: Any, original_event: Any, transform_input: bool = True) -> None:  # noqa: FBT001, FBT002
    if self.state == "DISABLED" or not self.event_pattern.get_pattern():
        return
    event = {**original_event, "time": _iso(original_event["time"])}
    if not self.event_pattern.matches_event(event):
        return
    for target in list(self.targets):
        service = parse_arn(target["Arn"]).service
        if service in _BY_MOTO:
            alone = copy.copy(self)
            alone.targets = [target]
            _moto_send(alone, original_event, transform_input)
            continue
        text = _text(target, event, self.arn)
        try:
            _deliver(target, text, service, rule_arn=self.arn)
        except UndeliveredError as error:
            log_undelivered(error)
            _to_dead_letters(target, text, error, rule_arn=self.arn)


def _iso(time: Any) -> str:
    if isinstance(time, (int, float)):
        return datetime.fromtimestamp(time, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(time)


def _deliver(target: dict[str, Any], text: str, service: str, *, rule_arn: str) -> None:
    arn = target["Arn"]
    context = _context(rule_arn)
    if service == "sns":
        sns.publish(
            topic_arn=arn, message=text, subject=None, service=EVENTS_SERVICE, context=context
        )
    elif service == "sqs":
        group = target.get("SqsParameters", {}).get("MessageGroupId")
        sqs.send(queue_arn=arn, body=text, service=EVENTS_SERVICE, context=context, group_id=group)
    else:
        raise UndeliveredError("SDK_CLIENT_ERROR", f"the sandbox does not invoke {service}: {arn}")


def _to_dead_letters(
    target: dict[str, Any], text: str, error: UndeliveredError, *, rule_arn: str
) -> None:
    queue = target.get("DeadLetterConfig", {}).get("Arn")
    if queue is None:
        return
    attributes = {
        "RULE_ARN": rule_arn,
        "TARGET_ARN": target["Arn"],
        "ERROR_CODE": error.code,
        "ERROR_MESSAGE": str(error),
    }
    try:
        sqs.send(
            queue_arn=queue,
            body=text,
            service=EVENTS_SERVICE,
            context=_context(rule_arn),
            attributes=attributes,
        )
    except UndeliveredError as again:
        log_undelivered(again)


def _context(rule_arn: str) -> dict[str, str]:
    return {"aws:SourceArn": rule_arn, "aws:SourceAccount": rule_arn.split(":")[4]}


def _text(target: dict[str, Any], event: dict[str, Any], rule_arn: str) -> str:
    shown = {name: value for name, value in event.items() if name != "ingestion-time"}
    if target.get("Input") is not None:
        return str(target["Input"])
    if target.get("InputPath") is not None:
        return json.dumps(_at(target["InputPath"], shown))
    transformer = target.get("InputTransformer")
    if transformer is None:
        return json.dumps(shown)
    values = {name: _at(path, shown) for name, path in transformer.get("InputPathsMap", {}).items()}
    values |= {
        "aws.events.rule-arn": rule_arn,
        "aws.events.rule-name": rule_arn.rpartition("/")[2],
        "aws.events.event.ingestion-time": _iso(event.get("ingestion-time", event["time"])),
        "aws.events.event": {name: value for name, value in shown.items() if name != "detail"},
        "aws.events.event.json": shown,
    }
    return filled(transformer["InputTemplate"], values)


def _at(path: str, event: Any) -> Any:
    """Return what ``$.detail.resources[0]`` is in ``event``, or None.

    EventBridge supports no more of JSON path than names and indices.
    """
    found = event
    for name, index in _STEP.findall(path.removeprefix("$")):
        try:
            found = found[name] if name else found[int(index)]
        except (KeyError, IndexError, TypeError):
            return None
    return found


def filled(template: str, values: dict[str, Any]) -> str:
    """Return ``template`` with its ``<variables>`` replaced: as JSON, or as text within a string.

    A variable whose path is not in the event leaves an empty text; an unknown name stays as it is.
    """
    parts, within, end = [], False, 0
    for match in _VARIABLE.finditer(template):
        literal = template[end : match.start()]
        within ^= len(re.findall(r'(?<!\\)"', literal)) % 2 == 1
        parts.append(literal)
        end = match.end()
        if match.group(1) not in values:
            parts.append(match.group())
            continue
        value = values[match.group(1)]
        if value is None:
            parts.append("" if within else '""')
        elif within:
            text = value if isinstance(value, str) else json.dumps(value)
            parts.append(json.dumps(text)[1:-1])
        else:
            parts.append(json.dumps(value))
    return "".join([*parts, template[end:]])

"""Amazon Managed Prometheus: workspaces keep their key and their Alertmanager definition.

AMP API reference: CreateWorkspace takes `kmsKeyArn` and DescribeWorkspace returns it; Create, Put,
Describe and DeleteAlertManagerDefinition keep one definition per workspace. AMP user guide,
"Creating an alert manager configuration": its YAML has the configuration as a text under
`alertmanager_config`, and receivers are SNS topics or PagerDuty; "Rules": the YAML of a namespace
has `groups`. moto forgets the key, has no definitions, and takes any text; here texts that the
service would refuse are refused. Rules are not evaluated here and no alert is sent: rules and
routes are proven by the real Prometheus and Alertmanager of the sandbox.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import yaml
from moto.amp import urls
from moto.amp.exceptions import AmpException, ResourceNotFoundException
from moto.amp.responses import PrometheusServiceResponse
from moto.core.utils import unix_time

_definitions: dict[str, dict[str, Any]] = {}
"""By workspace id, which is unique in the world."""
_RECEIVERS = frozenset({"name", "sns_configs", "pagerduty_configs"})


class _ConflictError(AmpException):
    code = 409

    def __init__(self, message: str) -> None:
        super().__init__("ConflictException", message)


class _ValidationError(AmpException):
    code = 400

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


def install() -> None:
    """Add the definitions and the key; check the texts."""
    response: Any = PrometheusServiceResponse
    for name, operation in _OPERATIONS.items():
        setattr(response, name, operation)
    response.create_workspace = _with_key(response.create_workspace)
    response.describe_workspace = _told_with_key(response.describe_workspace)
    response.delete_workspace = _with_its_definition(response.delete_workspace)
    for name in ("create_rule_groups_namespace", "put_rule_groups_namespace"):
        setattr(response, name, _of_rules(getattr(response, name)))
    path = "{0}/workspaces/(?P<workspace_id>[^/]+)/alertmanager/definition$"
    urls.url_paths[path] = PrometheusServiceResponse.dispatch


def _with_key(moto_create: Callable[[Any], str]) -> Callable[[Any], str]:
    def create(self: Any) -> str:
        described = json.loads(moto_create(self))
        self.amp_backend.describe_workspace(described["workspaceId"]).kms_key_arn = json.loads(
            self.body
        ).get("kmsKeyArn")
        return json.dumps(described)

    return create


def _told_with_key(moto_describe: Callable[[Any], str]) -> Callable[[Any], str]:
    def describe(self: Any) -> str:
        described = json.loads(moto_describe(self))
        key = getattr(
            self.amp_backend.describe_workspace(described["workspace"]["workspaceId"]),
            "kms_key_arn",
            None,
        )
        described["workspace"] |= {"kmsKeyArn": key} if key else {}
        return json.dumps(described)

    return describe


def _with_its_definition(moto_delete: Callable[[Any], str]) -> Callable[[Any], str]:
    def delete(self: Any) -> str:
        _definitions.pop(_workspace(self), None)
        return moto_delete(self)

    return delete


def _workspace(response: Any) -> str:
    """Return the workspace that a request names, which must exist."""
    return str(
        response.amp_backend.describe_workspace(response.uri_match["workspaceId"]).workspace_id
    )


def _of_rules(moto_put: Callable[[Any], str]) -> Callable[[Any], str]:
    def put(self: Any) -> str:
        tree = _yaml(base64.b64decode(json.loads(self.body)["data"]))
        if not isinstance(tree, dict) or not isinstance(tree.get("groups"), list):
            raise _ValidationError("Invalid rule groups: the document has no list of groups")
        return moto_put(self)

    return put


def _create_definition(self: Any) -> str:
    workspace = _workspace(self)
    if workspace in _definitions:
        raise _ConflictError(f"an alert manager definition exists for workspace {workspace}")
    return _keep(self, workspace, created=unix_time())


def _put_definition(self: Any) -> str:
    workspace = _workspace(self)
    return _keep(self, workspace, created=_definition(workspace)["createdAt"])


def _keep(response: Any, workspace: str, *, created: float) -> str:
    text = json.loads(response.body)["data"]
    _refuse_unless_definition(base64.b64decode(text))
    status = {"statusCode": "ACTIVE"}
    _definitions[workspace] = {
        "data": text,
        "status": status,
        "createdAt": created,
        "modifiedAt": unix_time(),
    }
    return json.dumps({"status": status})


def _refuse_unless_definition(text: bytes) -> None:
    tree = _yaml(text)
    config = (
        _yaml(tree["alertmanager_config"].encode())
        if isinstance(tree, dict) and _has_config(tree)
        else None
    )
    if not isinstance(config, dict) or "route" not in config:
        raise _ValidationError(
            "Invalid alert manager configuration: alertmanager_config must be a text that "
            "has a route"
        )
    for receiver in config.get("receivers") or ():
        others = sorted(set(receiver) - _RECEIVERS)
        if others:
            raise _ValidationError(
                f"Invalid alert manager configuration: receivers do not support {', '.join(others)}"
            )


def _has_config(tree: dict[str, Any]) -> bool:
    return isinstance(tree.get("alertmanager_config"), str)


def _yaml(text: bytes) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _ValidationError(f"Invalid YAML: {error}") from error


def _definition(workspace: str) -> dict[str, Any]:
    if workspace not in _definitions:
        raise _missing(workspace)
    return _definitions[workspace]


def _missing(workspace: str) -> ResourceNotFoundException:
    error = ResourceNotFoundException(
        "Alert manager definition not found",
        resource_id=workspace,
        resource_type="AWS::APS::AlertManagerDefinition",
    )
    error.code = 404
    return error


def _describe_definition(self: Any) -> str:
    return json.dumps({"alertManagerDefinition": _definition(_workspace(self))})


def _delete_definition(self: Any) -> str:
    workspace = _workspace(self)
    _definition(workspace)
    del _definitions[workspace]
    return "{}"


_OPERATIONS = {
    "create_alert_manager_definition": _create_definition,
    "put_alert_manager_definition": _put_definition,
    "describe_alert_manager_definition": _describe_definition,
    "delete_alert_manager_definition": _delete_definition,
}

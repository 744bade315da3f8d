"""AWS Backup: plans can be updated and have selections, vaults have access policies.

AWS Backup developer guide, API reference: UpdateBackupPlan makes a new version; a plan that has
selections is not deleted (InvalidRequestException), nor found once it is deleted; a vault without
an access policy answers ResourceNotFoundException; the name of a deleted plan is free (API
reference, CreateBackupPlan: only "a plan that already exists" is refused). moto has no selections,
policies or updates, deletes a plan with everything attached to it, still finds it then, and refuses
its name for ever. No plan is ever carried out: nothing is backed up here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from moto.backup import urls
from moto.backup.exceptions import InvalidRequestException, ResourceNotFoundException
from moto.backup.models import BackupBackend, Plan
from moto.backup.responses import BackupResponse
from moto.core.utils import unix_time

_selections: dict[tuple[str, str, str], dict[str, dict[str, Any]]] = {}
"""By account, region and plan: selections by id."""
_policies: dict[tuple[str, str, str], str] = {}
"""By account, region and vault."""


def install() -> None:
    """Add what moto lacks.

    Plans are found only while they exist, and are not deleted under their selections.
    """
    response: Any = BackupResponse
    for name, operation in _OPERATIONS.items():
        setattr(response, name, operation)
    urls.url_paths["{0}/backup-vaults/(?P<name>[^/]+)/access-policy$"] = urls.response.dispatch
    backend: Any = BackupBackend
    backend.get_backup_plan = _while_it_exists(backend.get_backup_plan)
    backend.delete_backup_plan = _without_selections(backend.delete_backup_plan)
    backend.create_backup_plan = _under_a_free_name(backend.create_backup_plan)


def _under_a_free_name(moto_create: Callable[..., Any]) -> Callable[..., Any]:
    def create(self: Any, *arguments: Any, **named: Any) -> Any:
        deleted = {
            name: plan for name, plan in list(self.plans.items()) if plan.deletion_date is not None
        }
        for name in deleted:
            self.plans.pop(name, None)
        try:
            return moto_create(self, *arguments, **named)
        finally:
            self.plans.update(deleted)  # GetBackupPlan still says when they were deleted

    return create


def _while_it_exists(moto_get: Callable[..., Plan]) -> Callable[..., Plan]:
    def get(self: Any, backup_plan_id: str, version_id: Any = None) -> Plan:
        plan = moto_get(self, backup_plan_id, version_id)
        if plan.deletion_date is not None:
            raise ResourceNotFoundException(f"Cannot find Backup plan with ID {backup_plan_id}")
        return plan

    return get


def _without_selections(moto_delete: Callable[..., Any]) -> Callable[..., Any]:
    def delete(self: Any, backup_plan_id: str) -> Any:
        if _selections.get((self.account_id, self.region_name, backup_plan_id)):
            raise InvalidRequestException(
                "Related backup plan selections must be deleted prior to backup plan deletion."
            )
        self.get_backup_plan(backup_plan_id)
        return moto_delete(self, backup_plan_id)

    return delete


def _place(response: Any, name: str) -> tuple[str, str, str]:
    return (response.current_account, response.region, name)


def _update_backup_plan(self: Any) -> str:
    plan = self.backup_backend.get_backup_plan(self.uri_match["backupPlanId"])
    newer = Plan(json.loads(self.body)["BackupPlan"], plan.creator_request_id, self.backup_backend)
    plan.backup_plan, plan.version_id = newer.backup_plan, newer.version_id
    plan.advanced_backup_settings = newer.advanced_backup_settings
    return json.dumps(plan.to_dict())


def _create_backup_selection(self: Any) -> str:
    plan_id = self.backup_backend.get_backup_plan(self.uri_match["backupPlanId"]).backup_plan_id
    selection_id, made = str(uuid4()), unix_time()
    _selections.setdefault(_place(self, plan_id), {})[selection_id] = {
        "BackupSelection": json.loads(self.body)["BackupSelection"],
        "SelectionId": selection_id,
        "BackupPlanId": plan_id,
        "CreationDate": made,
    }
    return json.dumps({"SelectionId": selection_id, "BackupPlanId": plan_id, "CreationDate": made})


def _selection(response: Any) -> tuple[dict[str, dict[str, Any]], str]:
    """Return the selections of the plan that a request names, and the id that it asks for."""
    of_plan = _selections.get(_place(response, response.uri_match["backupPlanId"]), {})
    selection_id = str(response.uri_match["selectionId"])
    if selection_id not in of_plan:
        raise ResourceNotFoundException(f"Cannot find Backup selection with ID {selection_id}")
    return of_plan, selection_id


def _get_backup_selection(self: Any) -> str:
    of_plan, selection_id = _selection(self)
    return json.dumps(of_plan[selection_id])


def _delete_backup_selection(self: Any) -> str:
    of_plan, selection_id = _selection(self)
    del of_plan[selection_id]
    return ""


def _list_backup_selections(self: Any) -> str:
    described = [
        {
            "SelectionId": each["SelectionId"],
            "SelectionName": each["BackupSelection"]["SelectionName"],
            "BackupPlanId": each["BackupPlanId"],
            "CreationDate": each["CreationDate"],
            "IamRoleArn": each["BackupSelection"]["IamRoleArn"],
        }
        for each in _selections.get(_place(self, self.uri_match["backupPlanId"]), {}).values()
    ]
    return json.dumps({"BackupSelectionsList": described})


def _put_backup_vault_access_policy(self: Any) -> str:
    vault = self.backup_backend.describe_backup_vault(self.uri_match["backupVaultName"])
    _policies[_place(self, vault.backup_vault_name)] = str(json.loads(self.body)["Policy"])
    return ""


def _get_backup_vault_access_policy(self: Any) -> str:
    vault = self.backup_backend.describe_backup_vault(self.uri_match["backupVaultName"])
    policy = _policies.get(_place(self, vault.backup_vault_name))
    if policy is None:
        raise ResourceNotFoundException(
            f"Cannot find access policy for Backup vault {vault.backup_vault_name}"
        )
    described = {
        "BackupVaultName": vault.backup_vault_name,
        "BackupVaultArn": vault.backup_vault_arn,
        "Policy": policy,
    }
    return json.dumps(described)


def _delete_backup_vault_access_policy(self: Any) -> str:
    _policies.pop(_place(self, self.uri_match["backupVaultName"]), None)
    return ""


def _delete_backup_vault(self: Any) -> str:
    name = str(self.uri_match["backupVaultName"])
    self.backup_backend.describe_backup_vault(name)
    self.backup_backend.delete_backup_vault(name)
    _policies.pop(_place(self, name), None)
    return ""


_OPERATIONS = {
    "update_backup_plan": _update_backup_plan,
    "create_backup_selection": _create_backup_selection,
    "get_backup_selection": _get_backup_selection,
    "delete_backup_selection": _delete_backup_selection,
    "list_backup_selections": _list_backup_selections,
    "put_backup_vault_access_policy": _put_backup_vault_access_policy,
    "get_backup_vault_access_policy": _get_backup_vault_access_policy,
    "delete_backup_vault_access_policy": _delete_backup_vault_access_policy,
    "delete_backup_vault": _delete_backup_vault,
}

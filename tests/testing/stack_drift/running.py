"""Changes outside the stack in Backup, Managed Prometheus, Scheduler and ECS."""

from __future__ import annotations

from typing import Any

from tests.testing.stack_drift.change import Account, Change, Removal, Resource, patched

VAULT, LOCK = "aws:backup/vault:Vault", "aws:backup/vaultLockConfiguration:VaultLockConfiguration"
PLAN, SELECTION = "aws:backup/plan:Plan", "aws:backup/selection:Selection"
WORKSPACE, RULES = "aws:amp/workspace:Workspace", "aws:amp/ruleGroupNamespace:RuleGroupNamespace"
ROUTING = "aws:amp/alertManagerDefinition:AlertManagerDefinition"
GROUP, SCHEDULE = "aws:scheduler/scheduleGroup:ScheduleGroup", "aws:scheduler/schedule:Schedule"
TASK = "aws:ecs/taskDefinition:TaskDefinition"
OWNER = {"owner": "mallory"}
STRAY = "# theirs\n"


def tagged(service: str, resource: str, tags: str, value: Any) -> Any:
    def how(account: Account, each: Resource) -> str:
        account.of(each, service).tag_resource(**{resource: each.outputs["arn"], tags: value})
        return "mallory"

    return how


def plan(path: str, value: Any) -> Any:
    def read(backup: Any, each: Resource) -> dict[str, Any]:
        found = backup.get_backup_plan(BackupPlanId=each.id)["BackupPlan"]
        rules = [
            {name: item for name, item in one.items() if name != "RuleId"} for one in found["Rules"]
        ]
        return {**found, "Rules": rules}

    def write(backup: Any, each: Resource, whole: dict[str, Any]) -> None:
        backup.update_backup_plan(BackupPlanId=each.id, BackupPlan=whole)

    return patched(read, write, "backup", path, value)


def relock(account: Account, each: Resource) -> int:
    account.of(each, "backup").put_backup_vault_lock_configuration(
        BackupVaultName=each.id, MinRetentionDays=1
    )
    return 1


def unlock(account: Account, each: Resource) -> None:
    account.of(each, "backup").delete_backup_vault_lock_configuration(BackupVaultName=each.id)


def unselect(account: Account, each: Resource) -> None:
    plan_id, _, selection = each.id.partition("|")
    account.of(each, "backup").delete_backup_selection(BackupPlanId=plan_id, SelectionId=selection)


def remove_plan(account: Account, each: Resource) -> None:
    backup = account.of(each, "backup")
    for one in backup.list_backup_selections(BackupPlanId=each.id)["BackupSelectionsList"]:
        backup.delete_backup_selection(BackupPlanId=each.id, SelectionId=one["SelectionId"])
    backup.delete_backup_plan(BackupPlanId=each.id)


def rename_workspace(account: Account, each: Resource) -> str:
    account.of(each, "amp").update_workspace_alias(workspaceId=each.id, alias="theirs")
    return "theirs"


def rewrite_rules(account: Account, each: Resource) -> str:
    text = f"{STRAY}{each.outputs['data']}"
    account.of(each, "amp").put_rule_groups_namespace(
        workspaceId=each.outputs["workspaceId"], name=each.outputs["name"], data=text.encode()
    )
    return text


def rewrite_routing(account: Account, each: Resource) -> str:
    text = f"{STRAY}{each.outputs['definition']}"
    account.of(each, "amp").put_alert_manager_definition(workspaceId=each.id, data=text.encode())
    return text


def remove_rules(account: Account, each: Resource) -> None:
    account.of(each, "amp").delete_rule_groups_namespace(
        workspaceId=each.outputs["workspaceId"], name=each.outputs["name"]
    )


def schedule(path: str, value: Any, said: Any = None) -> Any:
    taken = (
        "Name",
        "GroupName",
        "Description",
        "ScheduleExpression",
        "ScheduleExpressionTimezone",
        "State",
        "FlexibleTimeWindow",
        "Target",
    )

    def read(scheduler: Any, each: Resource) -> dict[str, Any]:
        group, _, name = each.id.partition("/")
        found = scheduler.get_schedule(GroupName=group, Name=name)
        return {part: found[part] for part in taken if part in found}

    put = patched(
        read,
        lambda scheduler, _, whole: scheduler.update_schedule(**whole),
        "scheduler",
        path,
        value,
    )

    def how(account: Account, each: Resource) -> Any:
        put(account, each)
        return value if said is None else said

    return how


def at_any_time(account: Account, each: Resource) -> str:
    """A flexible window needs its width."""
    window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}
    return str(schedule("FlexibleTimeWindow", window, "FLEXIBLE")(account, each))


def remove_schedule(account: Account, each: Resource) -> None:
    group, _, name = each.id.partition("/")
    account.of(each, "scheduler").delete_schedule(GroupName=group, Name=name)


_VPC = "Target.EcsParameters.NetworkConfiguration.awsvpcConfiguration"
_NETWORK = "target.ecsParameters.networkConfiguration"
_ELSEWHERE = "arn:aws:iam::123456789012:role/seawall-harbour-backup"
CHANGES = (
    Change(kind=VAULT, leaf="tags", how=tagged("backup", "ResourceArn", "Tags", OWNER)),
    Change(kind=LOCK, leaf="minRetentionDays", how=relock),
    Change(kind=PLAN, leaf="tags", how=tagged("backup", "ResourceArn", "Tags", OWNER)),
    Change(
        kind=PLAN, leaf="rules[].completionWindow", how=plan("Rules.0.CompletionWindowMinutes", 999)
    ),
    Change(
        kind=PLAN,
        leaf="rules[].copyActions[].destinationVaultArn",
        how=plan(
            "Rules.0.CopyActions.0.DestinationBackupVaultArn",
            "arn:aws:backup:us-west-2:123456789012:backup-vault:theirs",
        ),
    ),
    Change(
        kind=PLAN,
        leaf="rules[].copyActions[].lifecycle.deleteAfter",
        how=plan("Rules.0.CopyActions.0.Lifecycle.DeleteAfterDays", 2),
    ),
    Change(
        kind=PLAN,
        leaf="rules[].lifecycle.deleteAfter",
        how=plan("Rules.0.Lifecycle.DeleteAfterDays", 2),
    ),
    Change(kind=PLAN, leaf="rules[].ruleName", how=plan("Rules.0.RuleName", "theirs")),
    Change(
        kind=PLAN,
        leaf="rules[].schedule",
        how=plan("Rules.0.ScheduleExpression", "cron(0 0 1 1 ? 2099)"),
    ),
    Change(kind=PLAN, leaf="rules[].startWindow", how=plan("Rules.0.StartWindowMinutes", 480)),
    Change(
        kind=PLAN,
        leaf="rules[].targetVaultName",
        how=plan("Rules.0.TargetBackupVaultName", "theirs"),
    ),
    Change(kind=WORKSPACE, leaf="alias", how=rename_workspace),
    Change(kind=WORKSPACE, leaf="tags", how=tagged("amp", "resourceArn", "tags", OWNER)),
    Change(kind=RULES, leaf="data", how=rewrite_rules),
    Change(kind=RULES, leaf="tags", how=tagged("amp", "resourceArn", "tags", OWNER)),
    Change(kind=ROUTING, leaf="definition", how=rewrite_routing),
    Change(
        kind=GROUP,
        leaf="tags",
        how=tagged("scheduler", "ResourceArn", "Tags", [{"Key": "owner", "Value": "mallory"}]),
    ),
    Change(kind=SCHEDULE, leaf="description", how=schedule("Description", "theirs")),
    Change(kind=SCHEDULE, leaf="flexibleTimeWindow.mode", how=at_any_time),
    Change(
        kind=SCHEDULE,
        leaf="scheduleExpression",
        how=schedule("ScheduleExpression", "rate(900 days)"),
    ),
    Change(
        kind=SCHEDULE,
        leaf="scheduleExpressionTimezone",
        how=schedule("ScheduleExpressionTimezone", "Pacific/Kiritimati"),
    ),
    Change(kind=SCHEDULE, leaf="state", how=schedule("State", "DISABLED")),
    Change(
        kind=SCHEDULE,
        leaf="target.arn",
        how=schedule("Target.Arn", "arn:aws:ecs:us-west-2:123456789012:cluster/theirs"),
    ),
    Change(
        kind=SCHEDULE,
        leaf="target.ecsParameters.launchType",
        how=schedule("Target.EcsParameters.LaunchType", "EXTERNAL"),
    ),
    Change(
        kind=SCHEDULE,
        leaf=f"{_NETWORK}.assignPublicIp",
        how=schedule(f"{_VPC}.AssignPublicIp", "ENABLED", True),
    ),
    Change(
        kind=SCHEDULE,
        leaf=f"{_NETWORK}.securityGroups",
        how=schedule(f"{_VPC}.SecurityGroups", ["sg-theirs"]),
    ),
    Change(
        kind=SCHEDULE,
        leaf=f"{_NETWORK}.subnets",
        how=schedule(f"{_VPC}.Subnets", ["subnet-theirs"]),
    ),
    Change(
        kind=SCHEDULE,
        leaf="target.ecsParameters.taskCount",
        how=schedule("Target.EcsParameters.TaskCount", 9),
    ),
    Change(
        kind=SCHEDULE,
        leaf="target.ecsParameters.taskDefinitionArn",
        how=schedule(
            "Target.EcsParameters.TaskDefinitionArn",
            "arn:aws:ecs:us-west-2:123456789012:task-definition/theirs:1",
        ),
    ),
    Change(kind=SCHEDULE, leaf="target.input", how=schedule("Target.Input", '"theirs"')),
    Change(
        kind=SCHEDULE,
        leaf="target.retryPolicy.maximumEventAgeInSeconds",
        how=schedule("Target.RetryPolicy.MaximumEventAgeInSeconds", 60),
    ),
    Change(
        kind=SCHEDULE,
        leaf="target.retryPolicy.maximumRetryAttempts",
        how=schedule("Target.RetryPolicy.MaximumRetryAttempts", 9),
    ),
    Change(kind=SCHEDULE, leaf="target.roleArn", how=schedule("Target.RoleArn", _ELSEWHERE)),
    Change(
        kind=TASK,
        leaf="tags",
        how=tagged("ecs", "resourceArn", "tags", [{"key": "owner", "value": "mallory"}]),
    ),
)
REMOVALS = (
    Removal(kind=LOCK, how=unlock),
    Removal(kind=SELECTION, how=unselect),
    Removal(kind=PLAN, how=remove_plan, drags=(SELECTION,)),
    Removal(
        kind=VAULT,
        how=lambda account, each: account.of(each, "backup").delete_backup_vault(
            BackupVaultName=each.id
        ),
        drags=(LOCK,),
    ),
    Removal(kind=RULES, how=remove_rules),
    Removal(
        kind=ROUTING,
        how=lambda account, each: account.of(each, "amp").delete_alert_manager_definition(
            workspaceId=each.id
        ),
    ),
    Removal(
        kind=WORKSPACE,
        how=lambda account, each: account.of(each, "amp").delete_workspace(workspaceId=each.id),
        drags=(RULES, ROUTING),
    ),
    Removal(kind=SCHEDULE, how=remove_schedule),
    Removal(
        kind=GROUP,
        how=lambda account, each: account.of(each, "scheduler").delete_schedule_group(Name=each.id),
        drags=(SCHEDULE,),
    ),
    Removal(
        kind=TASK,
        how=lambda account, each: account.of(each, "ecs").deregister_task_definition(
            taskDefinition=each.outputs["arn"]
        ),
    ),
)

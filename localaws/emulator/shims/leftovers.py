"""What was deleted leaves nothing to whoever comes after it under the same name.

A CloudWatch alarm that is made again begins with the tags that it is given (API reference,
PutMetricAlarm: ``Tags`` are those of the new alarm); moto gives it those of the deleted one. The
name of a deleted backup plan is free (API reference, CreateBackupPlan: only "a plan that already
exists" is refused); moto refuses it for ever.
"""

from __future__ import annotations

from typing import Any

from moto.backup.models import BackupBackend
from moto.cloudwatch.models import CloudWatchBackend


def install() -> None:
    """Make DeleteAlarms take the tags along, and CreateBackupPlan overlook what was deleted."""
    alarms: Any = CloudWatchBackend
    delete_alarms = alarms.delete_alarms

    def delete(self: Any, alarm_names: list[str]) -> None:
        for alarm in self.get_alarms_by_alarm_names(alarm_names):
            self.tagger.delete_all_tags_for_resource(alarm.alarm_arn)
        delete_alarms(self, alarm_names)

    alarms.delete_alarms = delete
    plans: Any = BackupBackend
    create_plan = plans.create_backup_plan

    def create(self: Any, *arguments: Any, **named: Any) -> Any:
        deleted = {
            name: plan for name, plan in list(self.plans.items()) if plan.deletion_date is not None
        }
        for name in deleted:
            self.plans.pop(name, None)
        try:
            return create_plan(self, *arguments, **named)
        finally:
            self.plans.update(deleted)  # GetBackupPlan still tells when they were deleted

    plans.create_backup_plan = create

"""Tags end with the resource that carries them.

A CloudWatch alarm that is made again under its old name begins with the tags that it is given (API reference, PutMetricAlarm: ``Tags`` are
those of the new alarm). moto keeps the tags of an alarm that was deleted and gives them to the next one.
"""

from __future__ import annotations

from typing import Any

from moto.cloudwatch.models import CloudWatchBackend


def install() -> None:
    """Make DeleteAlarms take the tags along."""
    backend: Any = CloudWatchBackend
    delete_alarms = backend.delete_alarms

    def delete(self: Any, alarm_names: list[str]) -> None:
        for alarm in self.get_alarms_by_alarm_names(alarm_names):
            self.tagger.delete_all_tags_for_resource(alarm.alarm_arn)
        delete_alarms(self, alarm_names)

    backend.delete_alarms = delete

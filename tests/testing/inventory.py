"""Everything that an account holds, by AWS's own listings, to compare before and after a stack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from localaws.provider.registry import RESOURCES

Client = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One listing call: where its answer has the things, and what names one.

    ``keep`` leaves out what is AWS's own or already being deleted.
    """

    service: str
    call: str
    result: str
    name: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    keep: Callable[[Any, Any], bool] = lambda _client, _thing: True


def _lives(kms: Any, key: Any) -> bool:
    state = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"]
    return state not in ("PendingDeletion", "PendingReplicaDeletion")


# A row per kind of thing that the provider's types make, by the package of the type.
LISTINGS: dict[str, tuple[Listing, ...]] = {
    "amp": (
        Listing(service="amp", call="list_workspaces", result="workspaces", name="workspaceId"),
    ),
    "backup": (
        Listing(
            service="backup",
            call="list_backup_vaults",
            result="BackupVaultList",
            name="BackupVaultName",
        ),
        Listing(
            service="backup",
            call="list_backup_plans",
            result="BackupPlansList",
            name="BackupPlanId",
        ),
    ),
    "cloudtrail": (
        Listing(service="cloudtrail", call="list_trails", result="Trails", name="TrailARN"),
    ),
    "cloudwatch": (
        Listing(
            service="cloudwatch", call="describe_alarms", result="MetricAlarms", name="AlarmName"
        ),
        Listing(service="events", call="list_rules", result="Rules", name="Arn"),
        Listing(
            service="events",
            call="list_event_buses",
            result="EventBuses",
            name="Name",
            keep=lambda _client, bus: bus["Name"] != "default",
        ),
        Listing(service="events", call="list_archives", result="Archives", name="ArchiveName"),
        Listing(
            service="logs", call="describe_log_groups", result="logGroups", name="logGroupName"
        ),
    ),
    "ecs": (
        Listing(service="ecs", call="list_clusters", result="clusterArns"),
        Listing(service="ecs", call="list_task_definitions", result="taskDefinitionArns"),
    ),
    "iam": (
        Listing(service="iam", call="list_roles", result="Roles", name="Arn"),
        Listing(
            service="iam",
            call="list_policies",
            result="Policies",
            name="Arn",
            arguments={"Scope": "Local"},
        ),
    ),
    "kms": (
        Listing(service="kms", call="list_keys", result="Keys", name="KeyArn", keep=_lives),
        Listing(
            service="kms",
            call="list_aliases",
            result="Aliases",
            name="AliasName",
            keep=lambda _client, alias: not alias["AliasName"].startswith("alias/aws/"),
        ),
    ),
    "route53": (
        Listing(service="route53", call="list_health_checks", result="HealthChecks", name="Id"),
        Listing(service="route53", call="list_hosted_zones", result="HostedZones", name="Id"),
    ),
    "s3": (Listing(service="s3", call="list_buckets", result="Buckets", name="Name"),),
    "scheduler": (
        Listing(service="scheduler", call="list_schedules", result="Schedules", name="Arn"),
        Listing(
            service="scheduler",
            call="list_schedule_groups",
            result="ScheduleGroups",
            name="Name",
            keep=lambda _client, group: group["Name"] != "default",
        ),
    ),
    "secretsmanager": (
        Listing(service="secretsmanager", call="list_secrets", result="SecretList", name="ARN"),
    ),
    "sns": (
        Listing(service="sns", call="list_topics", result="Topics", name="TopicArn"),
        Listing(
            service="sns", call="list_subscriptions", result="Subscriptions", name="SubscriptionArn"
        ),
    ),
    "sqs": (Listing(service="sqs", call="list_queues", result="QueueUrls"),),
    "ssm": (
        Listing(service="ssm", call="describe_parameters", result="Parameters", name="Name"),
        Listing(
            service="ssm",
            call="list_documents",
            result="DocumentIdentifiers",
            name="Name",
            arguments={"Filters": [{"Key": "Owner", "Values": ["Self"]}]},
        ),
    ),
}


def everything(client: Client, *, regions: tuple[str, ...]) -> dict[str, list[str]]:
    """Names of all that exists, by region and listing.

    ``client(service, region=...)`` makes a client.
    """
    packages = sorted({kind.partition(":")[2].partition("/")[0] for kind in RESOURCES})
    missing = [package for package in packages if package not in LISTINGS]
    assert not missing, f"nothing lists what {', '.join(missing)} makes: add a row to LISTINGS"
    found = {}
    for region in regions:
        for listing in (listing for package in packages for listing in LISTINGS[package]):
            made = client(listing.service, region=region)
            found[f"{region} {listing.service} {listing.call}"] = _names(made, listing)
    return found


def _names(made: Any, listing: Listing) -> list[str]:
    if made.can_paginate(listing.call):
        pages = list(made.get_paginator(listing.call).paginate(**listing.arguments))
    else:
        pages = [getattr(made, listing.call)(**listing.arguments)]
    things = [thing for page in pages for thing in page.get(listing.result, [])]
    return sorted(
        thing[listing.name] if listing.name else thing
        for thing in things
        if listing.keep(made, thing)
    )

"""Game days on a calendar: what starts them, what stops them, and what they may reach.

Schedules with the policy's cron, a kill switch that stops them all, the task that runs them, and
roles that reach only resources that are tagged as targets. The Sid of every permission says what it
is for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.documents import Statement, document
from infra.roles import BoundedRole
from infra.schedules import refuse_bad_schedules
from infra.settings import Runner
from seawall.conventions import aws as aws_names
from seawall.conventions import environment as environment_names
from seawall.errors import UsageError
from seawall.policy import GameDay, Policy

_CONTAINER = "gameday"
_CPU, _MEMORY_MIB = 2_048, 8_192
"""A size that Fargate has (ECS developer guide, Task size): twice what a drill was seen to take."""
_RETRY_FOR_S = 900
"""How long the scheduler tries to start a drill; people planned for its hour, so later is never."""
_FAULTS = [
    "ecs:StopTask",
    "rds:FailoverDBCluster",
    "rds:RebootDBInstance",
    "ec2:StopInstances",
    "ec2:StartInstances",
]
"""What a drill may break or mend.

Each action supports aws:ResourceTag (Service authorization reference, condition keys of each
action).
"""
_ECR_IMAGE = re.compile(
    r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com/([a-z0-9._/-]+)@sha256:[0-9a-f]{64}"
)
_NEVER = ["iam:*", "sts:AssumeRole", "kms:*", "secretsmanager:*", "organizations:*"]
"""What no drill may ever do: use keys, credentials or permissions."""


@dataclass(frozen=True, kw_only=True)
class GameDaysArgs:
    """The inputs of :class:`GameDays`.

    Args:
        policy_file: path of the policy within the container.
        people: ARN of the principal that runs drills by hand.
        evidence: name of the bucket that keeps runs.
        runner: where drills run.
        armed: the state of the kill switch when it is created; from then on people set it, and the
            program leaves it as it is.
    """

    policy: Policy
    policy_file: str
    account: str
    people: str
    evidence: str
    runner: Runner
    armed: bool
    tags: Mapping[str, str]


class GameDays(pulumi.ComponentResource):
    """The schedules of the policy's game days, and everything that they need.

    Attributes:
        outputs: kill switch (parameter and regions), the runner's role, the group, and the schedule
            and cron of each game day.
    """

    outputs: dict[str, Any]

    def __init__(self, name: str, args: GameDaysArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("seawall:infra:GameDays", name, None, opts)
        refuse_bad_schedules(args.policy)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self._venue = args.policy.venue.name
        self._regions = (args.policy.regions.primary, args.policy.regions.standby)
        switch = self._kill_switch()
        role = self._runner_role()
        schedules = self._scheduled(args.runner, role)
        self.outputs = {
            "kill_switch": {"parameter": switch, "regions": list(self._regions)},
            "role": role.arn,
            "group": aws_names.gameday_group(self._venue),
            "schedules": schedules,
            "target_tag": {aws_names.GAMEDAY_TAG: aws_names.GAMEDAY_TARGET},
        }
        self.register_outputs(self.outputs)

    def _kill_switch(self) -> str:
        """Declare the same parameter in both regions; returns its name.

        A runner that cannot read one of them does not start, and one that says stop is enough.
        """
        name = aws_names.kill_switch(self._venue)
        states = (aws_names.KILL_SWITCH_ARMED, aws_names.KILL_SWITCH_STOPPED)
        for region in self._regions:
            aws.ssm.Parameter(
                f"kill-switch-{region}",
                region=region,
                name=name,
                type="String",
                description=(
                    "Game days run only while this says armed; set stopped to end them, and no "
                    "pulumi up will arm it again"
                ),
                allowed_pattern=f"^({'|'.join(states)})$",
                value=states[0] if self._args.armed else states[1],
                tags=self._args.tags,
                opts=pulumi.ResourceOptions(parent=self, ignore_changes=["value"]),
            )
        return name

    def _runner_role(self) -> aws.iam.Role:
        args = self._args
        statements = running(
            account=args.account,
            regions=self._regions,
            switch=aws_names.kill_switch(self._venue),
            evidence=args.evidence,
        )
        role = self._role(
            "gameday",
            aws_names.gameday_role(self._venue),
            trust("ecs-tasks.amazonaws.com", account=args.account, people=args.people),
            reach=[*statements, never()],
        )
        self._allow("gameday", role, statements)
        return role

    def _scheduled(self, runner: Runner, role: aws.iam.Role) -> dict[str, Any]:
        args = self._args
        region = region_of(runner.cluster)
        pull = pulling(runner.image)
        execution = self._role(
            "gameday-execution",
            aws_names.service_role(self._venue, "gameday-execution"),
            trust("ecs-tasks.amazonaws.com", account=args.account),
            reach=pull,
        )
        self._allow("gameday-execution", execution, pull)
        family = aws_names.gameday_group(self._venue)
        task = self._task(
            runner, region=region, family=family, role=role.arn, execution=execution.arn
        )
        roles = [
            f"arn:aws:iam::{args.account}:role/{name}"
            for name in (
                aws_names.gameday_role(self._venue),
                aws_names.service_role(self._venue, "gameday-execution"),
            )
        ]
        statements = starting(
            cluster=runner.cluster,
            task=f"arn:aws:ecs:{region}:{args.account}:task-definition/{family}:*",
            roles=roles,
        )
        scheduler = self._role(
            "gameday-scheduler",
            aws_names.service_role(self._venue, "gameday-scheduler"),
            trust("scheduler.amazonaws.com", account=args.account),
            reach=statements,
        )
        allowed = self._allow("gameday-scheduler", scheduler, statements)
        group = aws.scheduler.ScheduleGroup(
            "gamedays", region=region, name=family, tags=self._args.tags, opts=self._child
        )
        after = pulumi.ResourceOptions(parent=self, depends_on=[allowed])
        return {
            day.name: {
                "cron": day.schedule,
                "schedule": self._schedule(
                    day,
                    runner,
                    region=region,
                    group=group,
                    task=task,
                    scheduler=scheduler,
                    opts=after,
                ).arn,
            }
            for day in args.policy.gamedays
        }

    def _task(
        self,
        runner: Runner,
        *,
        region: str,
        family: str,
        role: pulumi.Output[str],
        execution: pulumi.Output[str],
    ) -> aws.ecs.TaskDefinition:
        """One task for all game days; each schedule says which one to run.

        Its environment names the kill switch of the stack that scheduled it.
        """
        switch = {
            "parameter": aws_names.kill_switch(self._venue),
            "regions": list(self._regions),
            "endpoint": None,
        }
        environment = {environment_names.KILL_SWITCH_VARIABLE: json.dumps(switch, sort_keys=True)}
        container = {
            "name": _CONTAINER,
            "image": runner.image,
            "essential": True,
            "command": command(self._args.policy_file, None),
            "environment": [{"name": name, "value": value} for name, value in environment.items()],
        }
        return aws.ecs.TaskDefinition(
            "gameday",
            region=region,
            family=family,
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu=str(_CPU),
            memory=str(_MEMORY_MIB),
            task_role_arn=role,
            execution_role_arn=execution,
            container_definitions=json.dumps([container], sort_keys=True),
            tags=self._args.tags,
            opts=self._child,
        )

    def _schedule(
        self,
        day: GameDay,
        runner: Runner,
        *,
        region: str,
        group: aws.scheduler.ScheduleGroup,
        task: aws.ecs.TaskDefinition,
        scheduler: aws.iam.Role,
        opts: pulumi.ResourceOptions,
    ) -> aws.scheduler.Schedule:
        override = {
            "containerOverrides": [
                {"name": _CONTAINER, "command": command(self._args.policy_file, day.name)}
            ]
        }
        network = aws.scheduler.ScheduleTargetEcsParametersNetworkConfigurationArgs(
            subnets=list(runner.subnets),
            security_groups=list(runner.security_groups),
            assign_public_ip=False,
        )
        target = aws.scheduler.ScheduleTargetArgs(
            arn=runner.cluster,
            role_arn=scheduler.arn,
            input=json.dumps(override, sort_keys=True),
            ecs_parameters=aws.scheduler.ScheduleTargetEcsParametersArgs(
                task_definition_arn=task.arn,
                launch_type="FARGATE",
                task_count=1,
                network_configuration=network,
            ),
            retry_policy=aws.scheduler.ScheduleTargetRetryPolicyArgs(
                maximum_event_age_in_seconds=_RETRY_FOR_S, maximum_retry_attempts=2
            ),
        )
        return aws.scheduler.Schedule(
            day.name,
            region=region,
            name=day.name,
            group_name=group.name,
            description=f"Game day of {self._venue}: {', '.join(day.drills)}",
            schedule_expression=day.schedule,
            schedule_expression_timezone="UTC",
            flexible_time_window=aws.scheduler.ScheduleFlexibleTimeWindowArgs(mode="OFF"),
            state="ENABLED",
            target=target,
            opts=opts,
        )

    def _role(
        self, logical: str, name: str, trusted: Sequence[Statement], *, reach: Sequence[Statement]
    ) -> aws.iam.Role:
        role = BoundedRole(
            venue=self._venue,
            account=self._args.account,
            name=name,
            trust=document(*trusted),
            reach=reach,
            tags=self._args.tags,
        )
        return role.declare(logical, parent=self)

    def _allow(
        self, logical: str, role: aws.iam.Role, statements: Sequence[Statement]
    ) -> aws.iam.RolePolicy:
        return aws.iam.RolePolicy(
            logical, role=role.name, name="drill", policy=document(*statements), opts=self._child
        )


def command(policy_file: str, day: str | None) -> list[str]:
    """The container's command: run the default game day, or ``day``."""
    return ["bin/seawall", "gameday", "--policy", policy_file, *(["--gameday", day] if day else [])]


def region_of(cluster: str) -> str:
    """The region in the ARN of an ECS cluster. Raises :class:`UsageError` for anything else."""
    parts = cluster.split(":")
    # an ARN has six parts
    if len(parts) == 6 and parts[:3] == ["arn", "aws", "ecs"] and parts[5].startswith("cluster/"):  # noqa: PLR2004
        return parts[3]
    raise UsageError(
        f"the cluster of seawall:runner is {cluster!r}",
        remedy="write its ARN, arn:aws:ecs:<region>:<account>:cluster/<name>",
    )


def running(*, account: str, regions: Sequence[str], switch: str, evidence: str) -> list[Statement]:
    """The permissions of the runner of game days.

    Read the kill switch, break what is tagged as a target, watch alarms, keep evidence.
    """
    parameters = [f"arn:aws:ssm:{region}:{account}:parameter{switch}" for region in regions]
    alarms = [
        f"arn:aws:cloudwatch:{region}:{account}:alarm:{aws_names.PREFIX}-*" for region in regions
    ]
    return [
        {
            "Sid": "ReadKillSwitch",
            "Effect": "Allow",
            "Action": ["ssm:GetParameter"],
            "Resource": parameters,
        },
        {
            "Sid": "BreakTargets",
            "Effect": "Allow",
            "Action": _FAULTS,
            "Resource": [
                f"arn:aws:{service}:{region}:{account}:*"
                for service in ("ecs", "rds", "ec2")
                for region in regions
            ],
            "Condition": {
                "StringEquals": {
                    f"aws:ResourceTag/{aws_names.GAMEDAY_TAG}": aws_names.GAMEDAY_TARGET
                }
            },
        },
        {
            "Sid": "WatchStopConditions",
            "Effect": "Allow",
            "Action": ["cloudwatch:DescribeAlarms"],
            "Resource": alarms,
        },
        {
            "Sid": "KeepEvidence",
            "Effect": "Allow",
            "Action": ["s3:PutObject"],
            "Resource": f"arn:aws:s3:::{evidence}/runs/*",
        },
    ]


def never() -> Statement:
    """The statement of the runner's boundary that overrides every permission."""
    return {"Sid": "NeverKeysOrPermissions", "Effect": "Deny", "Action": _NEVER, "Resource": "*"}


def starting(*, cluster: str, task: str, roles: Sequence[str]) -> list[Statement]:
    """The permissions of the scheduler: run ``task`` in ``cluster`` and pass it its two roles."""
    return [
        {
            "Sid": "RunGameDays",
            "Effect": "Allow",
            "Action": ["ecs:RunTask"],
            "Resource": task,
            "Condition": {"ArnEquals": {"ecs:cluster": cluster}},
        },
        {
            "Sid": "HandOverRoles",
            "Effect": "Allow",
            "Action": ["iam:PassRole"],
            "Resource": list(roles),
            "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        },
    ]


def pulling(image: str) -> list[Statement]:
    """The permissions of ECS before the task runs: fetch ``image``.

    ``ecr:GetAuthorizationToken`` supports no resource (Service authorization reference, Amazon
    ECR). Raises :class:`UsageError` for an image that is not in ECR.
    """
    match = _ECR_IMAGE.fullmatch(image)
    if match is None:
        raise UsageError(
            f"the image of seawall:runner is {image!r}",
            remedy=(
                "keep it in ECR and name it with its digest: "
                "<account>.dkr.ecr.<region>.amazonaws.com/<name>@sha256:..."
            ),
        )
    account, region, name = match.groups()
    return [
        {
            "Sid": "LogInToRegistry",
            "Effect": "Allow",
            "Action": ["ecr:GetAuthorizationToken"],
            "Resource": "*",
        },
        {
            "Sid": "PullImage",
            "Effect": "Allow",
            "Action": [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
            ],
            "Resource": f"arn:aws:ecr:{region}:{account}:repository/{name}",
        },
    ]


def trust(service: str, *, account: str, people: str | None = None) -> list[Statement]:
    """The trust policy of a role: ``service`` for this account alone, and ``people`` (an ARN)."""
    statements: list[Statement] = [
        {
            "Sid": "Serve",
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": service},
            "Condition": {"StringEquals": {"aws:SourceAccount": account}},
        }
    ]
    if people is not None:
        statements.append(
            {
                "Sid": "ByHand",
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"AWS": people},
            }
        )
    return statements

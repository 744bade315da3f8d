"""Schedules, kill switch, task and roles of the policy's game days."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.boundaries import Boundary, BoundaryArgs
from infra.documents import Statement, document
from infra.gamedays.roles import never, pulling, running, starting, trust
from infra.gamedays.schedules import refuse_bad_schedules
from seawall.conventions import aws as aws_names
from seawall.conventions import environment as environment_names
from seawall.errors import UsageError
from seawall.policy import GameDay, Policy

_CONTAINER = "gameday"
_CPU, _MEMORY_MIB = 2_048, 8_192
"""A size that Fargate has (ECS developer guide, Task size), and twice what a drill takes on the
machine that it was measured on.
"""
_RETRY_FOR_S = 900
"""A drill that could not begin within a quarter of an hour is dropped.

People planned for its hour.
"""


@dataclass(frozen=True, kw_only=True)
class RunnerArgs:
    """Where drills run; all of it exists already.

    ``cluster`` is an ARN: it says the region, too.
    """

    cluster: str
    subnets: Sequence[str]
    security_groups: Sequence[str]
    image: str


@dataclass(frozen=True, kw_only=True)
class GameDaysArgs:
    """``people``: ARN of who runs drills by hand.

    ``evidence``: name of the bucket that keeps runs. Without a ``runner`` nothing is scheduled.

    ``armed``: what the kill switch says when it is made; from then on people set it, and the
    program leaves it as it is.
    """

    policy: Policy
    policy_file: str
    account: str
    people: str
    evidence: str
    runner: RunnerArgs | None
    armed: bool
    tags: Mapping[str, str]


class GameDays(pulumi.ComponentResource):
    """``outputs``: kill switch (parameter and regions), the runner's role, the group, and by game
    day its schedule and cron.
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
        schedules = {} if args.runner is None else self._scheduled(args.runner, role)
        if not schedules:
            pulumi.log.warn(
                "no game day is scheduled: seawall:runner names no place to run them", resource=self
            )
        self.outputs = {
            "kill_switch": {"parameter": switch, "regions": list(self._regions)},
            "role": role.arn,
            "group": aws_names.gameday_group(self._venue),
            "schedules": schedules,
            "target_tag": {aws_names.GAMEDAY_TAG: aws_names.GAMEDAY_TARGET},
        }
        self.register_outputs(self.outputs)

    def _kill_switch(self) -> str:
        """The same parameter in both regions.

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
                description="Game days run only while this says armed; set stopped to end them, and no pulumi up will arm it again",
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

    def _scheduled(self, runner: RunnerArgs, role: aws.iam.Role) -> dict[str, Any]:
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
        runner: RunnerArgs,
        *,
        region: str,
        family: str,
        role: pulumi.Output[str],
        execution: pulumi.Output[str],
    ) -> aws.ecs.TaskDefinition:
        """One task for all game days; each schedule says which one.

        The switch of the stack that scheduled it is in its environment.
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
        runner: RunnerArgs,
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
            description=f"Game day of {self._venue}: {day.experiment} under {day.profile}",
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
        args = self._args
        boundary = Boundary(
            logical,
            BoundaryArgs(venue=self._venue, account=args.account, statements=reach, tags=args.tags),
            self._child,
        )
        return aws.iam.Role(
            logical,
            name=name,
            assume_role_policy=document(*trusted),
            permissions_boundary=boundary.arn,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[boundary.policy]),
        )

    def _allow(
        self, logical: str, role: aws.iam.Role, statements: Sequence[Statement]
    ) -> aws.iam.RolePolicy:
        return aws.iam.RolePolicy(
            logical, role=role.name, name="drill", policy=document(*statements), opts=self._child
        )


def command(policy_file: str, day: str | None) -> list[str]:
    """What the container runs: the default game day, or ``day``."""
    return ["bin/seawall", "gameday", "--policy", policy_file, *(["--gameday", day] if day else [])]


def region_of(cluster: str) -> str:
    """The region in the ARN of an ECS cluster. Raises :class:`UsageError` for anything else."""
    parts = cluster.split(":")
    # an ARN has six parts
    if len(parts) == 6 and parts[:3] == ["arn", "aws", "ecs"] and parts[5].startswith("cluster/"):  # noqa: PLR2004
        return parts[3]
    message = f"the cluster of seawall:runner is {cluster!r}"
    raise UsageError(message, remedy="write its ARN, arn:aws:ecs:<region>:<account>:cluster/<name>")

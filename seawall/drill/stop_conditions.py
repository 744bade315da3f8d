"""Conditions of the policy that end a drill at once: Prometheus queries and CloudWatch alarms.

They are read like a kill switch, all the time and by the runner itself: a condition that holds ends
fault and flood, and so does one that cannot be read, because then nothing would stop the drill.
An alarm is read as the kill switch of the stack is: in the role of those who run game days.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx

from seawall.accounts import account_of_deployment, require_account
from seawall.errors import UsageError
from seawall.formats.deployment import Deployment
from seawall.kill_switch import KillSwitchLocation, Reading, client_as_runner
from seawall.policy import Policy
from seawall.policy.drilling import StopCondition

_ANSWER_S_MAX = 2.0
_ALARMED = "ALARM"


@dataclass(kw_only=True)
class StopConditionWatch:
    """One stop condition of a policy, read on one deployment as a kill switch is."""

    policy: Policy
    deployment: Deployment
    name: str
    condition: StopCondition
    _clients: dict[str, Any] = field(default_factory=dict)

    def read(self) -> Reading:
        """Read it once. Never raises."""
        where = f"the stop condition {self.name}"
        try:
            found = self._why()
        # Whatever prevents the reading of a condition means that it was not read.
        except Exception as error:  # noqa: BLE001
            self._clients.clear()  # the next reading takes on the role again
            return Reading(values={}, unreadable={where: f"{type(error).__name__}: {error}"})
        if found is None:
            return Reading(values={where: "quiet"}, unreadable={})
        return Reading(values={}, unreadable={}, tripped={where: f"holds: {found}"})

    def _why(self) -> str | None:
        """Why the condition holds; None if it does not."""
        if self.condition.alarm is not None:
            return self._alarm(self.condition.alarm, str(self.condition.region))
        return self._query(str(self.condition.query), float(self.condition.above or 0))

    def _query(self, expression: str, above: float) -> str | None:
        url = self.deployment.urls.required("prometheus")
        answer = httpx.get(
            f"{url}/api/v1/query",
            params={"query": expression},
            timeout=_ANSWER_S_MAX,
            trust_env=False,
        )
        result = answer.raise_for_status().json()["data"]["result"]
        values = [float(series["value"][1]) for series in result]
        known = [value for value in values if not math.isnan(value)]
        if not known:
            # A wrong name or a dead exporter looks like this, and would never stop anything.
            raise UsageError(f"{expression} has no value")
        worst = max(known)
        if worst <= above:
            return None
        return f"{expression} is {worst:g}, more than {above:g}"

    def _alarm(self, name: str, region: str) -> str | None:
        if region not in self._clients:
            self._clients[region] = self._client(region)
        answer = self._clients[region].describe_alarms(
            AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        found = [*answer.get("MetricAlarms", ()), *answer.get("CompositeAlarms", ())]
        if not found:
            raise UsageError(f"there is no alarm {name} in {region}")
        states = [str(alarm["StateValue"]) for alarm in found]
        return f"the alarm {name} in {region} is {_ALARMED}" if _ALARMED in states else None

    def _client(self, region: str) -> Any:
        """A client of CloudWatch, with the credentials of the kill switch where it is a parameter.

        Elsewhere it has those of the SDK's usual chain. Raises :class:`UsageError` if they are of
        another account: the same name there is another alarm, which would stop nothing.
        """
        switch = self.deployment.kill_switch
        make = (
            switch.client
            if isinstance(switch, KillSwitchLocation)
            else partial(client_as_runner, endpoint=self.deployment.urls.aws)
        )
        require_account(
            make("sts", region),
            who="what reads the alarm",
            account=account_of_deployment(self.deployment, self.policy),
        )
        return make("cloudwatch", region)


def stop_conditions(policy: Policy, deployment: Deployment) -> list[StopConditionWatch]:
    """A watch for each of the policy's stop conditions."""
    return [
        StopConditionWatch(policy=policy, deployment=deployment, name=name, condition=condition)
        for name, condition in policy.stop_conditions.items()
    ]

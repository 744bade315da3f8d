"""What faults on processes have in common: the handles that the deployment offers for them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal

import httpx

from chaos.endpoint import probe
from chaos.faults.base import Fault, Observation
from seawall.conventions import components
from seawall.errors import ServiceError, UsageError
from seawall.formats.deployment import Deployment
from seawall.lease import UndoCall
from seawall.policy import Policy

_ANSWER_S_MAX = 5.0


class ProcessFault(Fault):
    """Acts on a process by its name, and looks at the address where that process answers.

    Attributes:
        act: What the handle is asked to do.
    """

    act: ClassVar[Literal["freeze", "kill"]]

    def __init__(
        self, deployment: Deployment, *, target: str, parameters: Mapping[str, str]
    ) -> None:
        super().__init__(deployment, target=target, parameters=parameters)
        processes = {components.process_target(each): each for each in deployment.processes}
        if target not in processes:
            named = ", ".join(processes) or "none"
            raise UsageError(
                f"the fault {self.name} cannot be aimed at {target}: the deployment file names no"
                " such process",
                remedy=f"name it under `processes` with its address; there is {named}",
            )
        self.part = processes[target]
        if deployment.process_control is None:
            raise UsageError(
                f"the deployment file names no control of processes, so {self.part} cannot be"
                " brought back",
                remedy="a sandbox has one while a game day runs on it",
            )
        address = deployment.answers_at(self.part)
        if address is None:
            raise UsageError(
                f"the deployment file does not say where {self.part} answers",
                remedy="a fault that cannot be observed proves nothing; name its metrics port",
            )
        self._address = address
        self._handle = f"{deployment.process_control}/processes/{self.part}"

    @classmethod
    def targets(cls, policy: Policy) -> tuple[str, ...]:
        """Every process of the venue, and those that watch it."""
        return tuple(map(components.process_target, components.drillable(policy.networks)))

    def undo(self) -> tuple[UndoCall, ...]:
        """Let it go on, or start it again."""
        return (UndoCall(method="POST", url=f"{self._handle}/start"),)

    def apply(self) -> None:
        """Ask the handle to act."""
        try:
            response = httpx.post(
                f"{self._handle}/{self.act}", timeout=_ANSWER_S_MAX, trust_env=False
            )
        except httpx.HTTPError as error:
            raise ServiceError(
                f"the control of processes did not {self.act} {self.part}:"
                f" {type(error).__name__} {error}"
            ) from error
        if not response.is_success:
            raise ServiceError(
                f"the control of processes refused to {self.act} {self.part}:"
                f" HTTP {response.status_code} {response.text.strip()}"
            )

    def observe(self) -> Observation:
        """Look at the address where the process answers."""
        return self.judge(probe(self._address))

    @abstractmethod
    def judge(self, answer: str) -> Observation:
        """What an answer at that address shows."""

    def seen(self, state: Literal["effective", "clear", "unclear"], what: str) -> Observation:
        """An observation in words."""
        return Observation(state=state, what=f"{self.part} at {self._address} {what}")

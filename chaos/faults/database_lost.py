"""The fault in which the database of the ledger is lost with its disk, until it is restored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from chaos.faults.base import Observation, Parameters, RestoredFault
from seawall.conventions import components, faults
from seawall.errors import ServiceError, UsageError
from seawall.formats.deployment import Deployment
from seawall.lease import UndoCall
from seawall.policy import Policy
from seawall.policy.quantities import DurationMs
from seawall.processes.postgres import look

_ANSWER_S_MAX = 10.0
"""Of the handle that kills a server and removes its files."""
_STATE_S_MAX = 2.0


class Restoration(Parameters):
    """How the database comes back.

    Attributes:
        restored_within: So long its restoration is waited for. What the venue promises is a target
            of the policy, and shorter; after this the runner gives up, and the lease's holder goes
            on.
    """

    restored_within: DurationMs = 180_000


class DatabaseLost(RestoredFault):
    """The server of the ledger is killed and its files are removed for good.

    Its length is the time until somebody begins to restore it: a person is paged, comes, and
    decides. The restoration is the operator's own procedure, behind a handle that the deployment
    file names; it is begun then, or by the lease's holder if the runner is gone, and the database
    counts as lost until it serves again at its address.
    """

    name = faults.DATABASE_LOST
    parameters_type = Restoration
    parameters: Restoration

    def __init__(
        self, deployment: Deployment, *, target: str, parameters: Mapping[str, str]
    ) -> None:
        super().__init__(deployment, target=target, parameters=parameters)
        self.part = target
        if deployment.database is None:
            raise UsageError(
                f"the fault {self.name} cannot be applied: the deployment file names no database"
                " with handles that lose and restore it",
                remedy="name its address and control under `database`"
                " (`python -m seawall.processes.procedure` makes handles of two commands); a"
                " sandbox has them while a game day runs on it",
            )
        self._address = deployment.database.address
        self._control = deployment.database.control.rstrip("/")
        self.procedure_ms = self.parameters.restored_within

    @classmethod
    def targets(cls, policy: Policy) -> tuple[str, ...]:
        """The one database of the ledger."""
        del policy
        return (components.DATABASE_TARGET,)

    def undo(self) -> tuple[UndoCall, ...]:
        """Have it restored: answered with success once it is."""
        return (UndoCall(method="POST", url=f"{self._control}/restore"),)

    def begin_undo(self) -> None:
        """Ask for the restoration, which goes on by itself."""
        self._post("restore", within_s=_STATE_S_MAX, unless=httpx.codes.SERVICE_UNAVAILABLE)

    def apply(self) -> None:
        """Lose it."""
        self._post("lose", within_s=_ANSWER_S_MAX)

    def observe(self) -> Observation:
        """Begin a session where the venue does, as nobody: does a server answer?"""
        answer = look(self._address)
        what = f"the database at {self._address} is {answer}"
        match answer:
            case "gone":
                return Observation(state="effective", what=what)
            case "serving":
                return Observation(state="clear", what=what)
            case _:
                return Observation(state="unclear", what=what)

    def account(self) -> Mapping[str, Any]:
        """The steps of the restoration, in its own words; what went wrong if it does not answer."""
        try:
            response = httpx.get(f"{self._control}/", timeout=_STATE_S_MAX, trust_env=False)
            found = response.json()
            return {"steps": found["steps"], "failure": found["failure"]}
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            return {"steps": [], "failure": f"it gives no account: {error!r}"}

    def _post(self, act: str, *, within_s: float, unless: int | None = None) -> None:
        try:
            response = httpx.post(f"{self._control}/{act}", timeout=within_s, trust_env=False)
        except httpx.HTTPError as error:
            raise ServiceError(
                f"the control of the database did not {act} it: {type(error).__name__} {error}"
            ) from error
        if not response.is_success and response.status_code != unless:
            raise ServiceError(
                f"the control of the database refused to {act} it: HTTP {response.status_code}"
                f" {response.text.strip()}"
            )

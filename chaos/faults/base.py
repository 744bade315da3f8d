"""What every fault offers: how it is applied, how it is undone, and how either is observed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from seawall.formats.deployment import Deployment
from seawall.lease import UndoCall, perform
from seawall.policy import Policy


class Parameters(BaseModel):
    """The parameters of a fault; this one has none.

    A fault that has some declares a subclass. Values come as strings, as the policy holds them, and
    its types say what they must be. No factor of a derived policy scales them, because they
    describe the world and not a promise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What one probe of the target showed.

    Attributes:
        state: The fault is in force, it is not, or the probe proves neither (``unclear``).
        what: What was seen, in words.
    """

    state: Literal["effective", "clear", "unclear"]
    what: str


class Fault(ABC):
    """One kind of failure that can be injected into a target of a deployment.

    A fault is one file in ``chaos/faults``, or in a folder that ``SEAWALL_FAULTS`` names, with one
    subclass of this. It is called like its file, with dashes.

    Attributes:
        name: Its name in policies.
        parameters_type: The type of its parameters.
        target: A word of the blast radius.
        declared: Its parameters as the drill declares them, for the judge to compare.
        part: The same in an operator's words: the proxy, process or role that is touched.
        length_ms: How long it is to last; None if nobody says, as under a test of one's own.
    """

    name: ClassVar[str]
    parameters_type: ClassVar[type[Parameters]] = Parameters
    part: str
    declared: dict[str, str]
    length_ms: int | None = None

    def __init__(
        self, deployment: Deployment, *, target: str, parameters: Mapping[str, str]
    ) -> None:
        """Aim it at ``target``.

        Raises:
            UsageError: It does not fit ``deployment``.
            ValidationError: ``parameters`` are none of this fault's.
        """
        self.deployment = deployment
        self.target = target
        self.declared = dict(parameters)
        self.parameters = self.parameters_type.model_validate(self.declared)

    @classmethod
    @abstractmethod
    def targets(cls, policy: Policy) -> tuple[str, ...]:
        """Everything that it can be aimed at under ``policy``, in words of the blast radius."""

    @property
    def reaches(self) -> tuple[str, ...]:
        """What it touches, in words of the blast radius."""
        return (self.target,)

    @property
    def label(self) -> str:
        """Names fault and target: what a lease is called."""
        return f"{self.name}.{self.target}"

    @abstractmethod
    def undo(self) -> tuple[UndoCall, ...]:
        """The calls that undo the fault, whether or not it is applied. A lease keeps them."""

    @abstractmethod
    def apply(self) -> None:
        """Inject the fault.

        Raises:
            ServiceError: It could not be done; it may be done in part.
        """

    @abstractmethod
    def observe(self) -> Observation:
        """Probe the target once, independently of what injects the fault."""

    def revert(self, *, within_ms: int) -> None:
        """Undo the fault; idempotent.

        Raises:
            ServiceError: It is not undone within ``within_ms``.
        """
        perform(self.undo(), within_ms=within_ms)


class RestoredFault(Fault):
    """A fault that somebody's procedure undoes, which takes its time.

    It is in force until the procedure has ended; of any other, the calls of :meth:`undo` are the
    end at once.

    Attributes:
        procedure_ms: How long the procedure is waited for.
    """

    procedure_ms: int

    @abstractmethod
    def begin_undo(self) -> None:
        """Begin the procedure, and do not wait for it; idempotent.

        Raises:
            ServiceError: It is not begun.
        """

    @abstractmethod
    def account(self) -> Mapping[str, Any]:
        """What the procedure says of itself, for the record and for no verdict."""

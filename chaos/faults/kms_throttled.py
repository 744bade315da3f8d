"""The fault in which another tenant of the account uses up a region's quota of signatures."""

from __future__ import annotations

import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

import httpx
from pydantic import Field

from chaos.faults.base import Fault, Observation, Parameters
from chaos.signer import look, signer_of
from seawall.conventions import components, faults, signing
from seawall.errors import ServiceError, UsageError
from seawall.formats.deployment import Deployment
from seawall.lease import UndoCall
from seawall.policy import Policy

_ANSWER_S_MAX = 2.0
_CANARIES_MAX = 8
"""With eight requests in ten refused, eight in a row are served once in 400,000 looks."""
_CANARIES_REFUSED = 2
"""One request that is refused may have met a burst of the venue's own."""
_BETWEEN_CANARIES_S = 0.05
"""So that the looks are a small part of the quota themselves."""


class Crowded(Parameters):
    """How much of what is asked of KMS is refused.

    Attributes:
        throttled: The share of elliptic-curve operations that is answered with
            ThrottlingException. Below four in five, a look could not tell it from a busy moment.
    """

    throttled: Annotated[Decimal, Field(ge=Decimal("0.8"), le=1, decimal_places=2)]


class KmsThrottled(Fault):
    """A region's key service refuses most signatures, because another tenant uses up its quota.

    KMS has one quota of elliptic-curve operations for all keys of an account and region, so what
    uses it up is a neighbour and no key of the venue. AWS lets nobody lower a quota for a while,
    and using it up in earnest would throttle every key of a real account, also those that no drill
    names. So the fault needs a handle that a sandbox's AWS has and AWS has not, and runs nowhere
    else.
    """

    name = faults.KMS_THROTTLED
    parameters_type = Crowded
    parameters: Crowded

    def __init__(
        self, deployment: Deployment, *, target: str, parameters: Mapping[str, str]
    ) -> None:
        super().__init__(deployment, target=target, parameters=parameters)
        region, self._signer = signer_of(deployment, target, fault=self.name)
        self.part = components.kms_proxy(region)
        if not deployment.play_money or deployment.kms_crowding is None:
            raise UsageError(
                f"{deployment.path} has no handle that uses up a quota of KMS, and no drill uses up"
                " that of a real account: every key in it would be throttled",
                remedy="run this drill on a sandbox",
            )
        self._handle = f"{deployment.kms_crowding}/{region}"

    @classmethod
    def targets(cls, policy: Policy) -> tuple[str, ...]:
        """The key service of either region."""
        del policy
        return tuple(f"kms.{side}" for side in components.SIDES)

    def undo(self) -> tuple[UndoCall, ...]:
        """Make the tenant leave."""
        return (UndoCall(method="DELETE", url=self._handle),)

    def apply(self) -> None:
        """Let the tenant in."""
        try:
            response = httpx.put(
                self._handle,
                json={"refused": float(self.parameters.throttled)},
                timeout=_ANSWER_S_MAX,
                trust_env=False,
            )
        except httpx.HTTPError as error:
            raise ServiceError(
                f"{self.part} could not be crowded: {type(error).__name__} {error}"
            ) from error
        if not response.is_success:
            raise ServiceError(
                f"{self.part} could not be crowded: HTTP {response.status_code} {response.text}"
            )

    def observe(self) -> Observation:
        """A few canary requests, by the signer's own probe: are they served, or throttled?

        Some are served under the fault, too, so it is gone only if all of them are. Any other
        failure proves neither.
        """
        results: list[str] = []
        while len(results) < _CANARIES_MAX:
            results.append(look(self._signer))
            if results[-1] not in (signing.ANSWERED, signing.THROTTLED):
                return Observation(
                    state="unclear", what=f"the signer's probe met {results[-1]}, no throttling"
                )
            if results.count(signing.THROTTLED) == _CANARIES_REFUSED:
                break
            time.sleep(_BETWEEN_CANARIES_S)
        refused = results.count(signing.THROTTLED)
        what = f"{refused} of {len(results)} canaries were throttled"
        if refused == 0:
            return Observation(state="clear", what=what)
        return Observation(
            state="effective" if refused == _CANARIES_REFUSED else "unclear", what=what
        )

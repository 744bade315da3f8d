"""The fault in which the signers of a region are not allowed to sign any more."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chaos.faults.base import Fault, Observation, Parameters
from chaos.signer import look, signer_of
from seawall.accounts import require_profile
from seawall.aws import session_of_profile
from seawall.conventions import aws, components, faults, signing
from seawall.errors import ServiceError, UsageError
from seawall.formats.deployment import Deployment
from seawall.keys import access
from seawall.lease import UndoCall
from seawall.policy import Policy
from seawall.policy.quantities import DurationMs
from seawall.policy_file import load_policy

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_iam import IAMClient

POLICY_NAME = f"{aws.PREFIX}-drill-{faults.SIGNING_DENIED}"
_BRISK = Config(
    connect_timeout=2, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 3}
)
_GONE = "NoSuchEntity"
_PAUSE_S = 0.2


class Ending(Parameters):
    """When the denial ends by itself.

    Attributes:
        margin: How long after its planned end. It covers the time until the denial is seen, which
            counts from then, and a busy machine; it is for how long it outlives a runner that died.
    """

    margin: DurationMs = 30_000


class SigningDenied(Fault):
    """A region's signers are denied to sign, as by a wrong policy or a leaked key's revocation.

    An inline policy of each of their roles denies `kms:Sign` in the region, and ends by itself:
    DateLessThan on aws:CurrentTime is false from its date on (IAM user guide, "Condition operators"
    and "Global condition context keys"). It is written once, for the planned end and a margin, by
    the stack's fault role, which may do nothing else. Nothing of the drill need live for the end.

    A lease keeps no undo of it: what it keeps are plain HTTP calls, and a request to AWS must be
    signed with credentials and the time at which it is sent. The expiry takes the lease's place.
    """

    name = faults.SIGNING_DENIED
    parameters_type = Ending
    parameters: Ending

    def __init__(
        self, deployment: Deployment, *, target: str, parameters: Mapping[str, str]
    ) -> None:
        super().__init__(deployment, target=target, parameters=parameters)
        self._region, self._signer = signer_of(deployment, target, fault=self.name)
        self.part = components.kms_proxy(self._region)
        self._policy = policy = load_policy(deployment.policy)
        self._profile = access.fault(policy).name
        self._roles = tuple(
            access.signer(policy, wallet, self._region).name for wallet in policy.signing_wallets()
        )

    @classmethod
    def targets(cls, policy: Policy) -> tuple[str, ...]:
        """The key service of either region."""
        del policy
        return tuple(f"kms.{side}" for side in components.SIDES)

    def undo(self) -> tuple[UndoCall, ...]:
        """None that a lease could make: the denial ends by itself."""
        return ()

    def apply(self) -> None:
        """Deny all signers of the region to sign, until the planned end and the margin.

        Raises :class:`UsageError` if the profile leads to another account than the stack's.
        """
        if self.length_ms is None:
            raise UsageError(
                f"nobody says how long {self.name} is to last, so its end cannot be written",
                remedy="give the fault a length",
            )
        require_profile(self._session, self._profile, self.deployment, self._policy)
        ends = time.time() + (self.length_ms + self.parameters.margin) / 1_000
        document = json.dumps(denial(self._region, ends=datetime.fromtimestamp(ends, UTC)))
        for role in self._roles:
            try:
                self._iam.put_role_policy(
                    RoleName=role, PolicyName=POLICY_NAME, PolicyDocument=document
                )
            except (ClientError, BotoCoreError) as error:
                raise ServiceError(f"{role} was not denied to sign: {error}") from error

    def revert(self, *, within_ms: int) -> None:
        """Delete the policies, whether or not they are there; repeated until it is done.

        Raises:
            ServiceError: Not all are gone within ``within_ms``; they end by themselves anyway.
        """
        give_up = time.monotonic() + within_ms / 1_000
        for role in self._roles:
            while (failure := self._delete(role)) is not None:
                if time.monotonic() >= give_up:
                    raise ServiceError(
                        f"the denial of {role} is not deleted: {failure}",
                        remedy=f"delete its inline policy {POLICY_NAME}, or wait for its end",
                    )
                time.sleep(_PAUSE_S)

    def _delete(self, role: str) -> str | None:
        """None if the policy is gone, else why it is not."""
        try:
            self._iam.delete_role_policy(RoleName=role, PolicyName=POLICY_NAME)
        except ClientError as error:
            gone = error.response.get("Error", {}).get("Code") == _GONE
            return None if gone else str(error)
        except BotoCoreError as error:
            return str(error)
        return None

    def observe(self) -> Observation:
        """Have the region's signer probe its key service: signed, denied, or something else."""
        result = look(self._signer)
        what = f"the signer's probe met {result}"
        match result:
            case signing.DENIED:
                return Observation(state="effective", what=what)
            case signing.ANSWERED:
                return Observation(state="clear", what=what)
            case _:
                return Observation(state="unclear", what=what)

    @cached_property
    def _iam(self) -> IAMClient:
        """IAM as the fault role."""
        return self._session.client("iam", config=_BRISK)

    @cached_property
    def _session(self) -> boto3.Session:
        """The fault role, by its profile among the deployment's principals."""
        return session_of_profile(self._profile, self.deployment.principals)


def denial(region: str, *, ends: datetime) -> dict[str, object]:
    """The policy that denies signing in ``region`` before ``ends``; times count in whole seconds.

    It says nothing of any other action, so the signer can still show its public keys.
    """
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "DrillThatEndsByItself",
                "Effect": "Deny",
                "Action": "kms:Sign",
                "Resource": "*",
                "Condition": {
                    "StringEquals": {"aws:RequestedRegion": region},
                    "DateLessThan": {"aws:CurrentTime": ends.strftime("%Y-%m-%dT%H:%M:%SZ")},
                },
            }
        ],
    }

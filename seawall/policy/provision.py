"""What must be provisioned before a shock.

Ways to pay, names that are served, room to sign, copies, and who may approve.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from seawall.policy.quantities import Amount, DurationMs, Ratio
from seawall.policy.section import Name, Section

Url = Annotated[str, Field(pattern=r"^https://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?$")]
Host = Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")]
RailKind = Literal["network", "exchange", "processor"]


class Endpoints(Section):
    """Where the two sides of a rail are reached."""

    primary: Url
    standby: Url


class Rail(Section):
    """A way to pay, with a primary and a standby.

    Signing regions for a network, providers for an exchange or processor.

    ``asynchronous``: the answer to an instruction comes later, so instructions and answers wait in
    queues. ``credential_age_max``: how old the provider's credentials may grow. ``credit_line``:
    value that the provider advances, in the unit of account.
    """

    kind: RailKind
    primary: str
    standby: str
    endpoints: Endpoints
    asynchronous: bool = False
    credential_age_max: DurationMs = Field(gt=0)
    credit_line: Amount


class ServedName(Section):
    """A name that we serve ourselves, so that a health check may move it from its primary to its
    standby target.

    ``check_every`` is one of the two paces that Route 53 has (API reference, HealthCheckConfig,
    RequestInterval), so no factor scales it.
    """

    name: Host
    zone: Host
    primary: Host
    standby: Host
    port: int = Field(gt=0, lt=65_536)
    path: Annotated[str, Field(pattern=r"^/")]
    check_every: Literal["10s", "30s"]
    failures: int = Field(ge=1, le=10)
    ttl: DurationMs = Field(gt=0)


class Signing(Section):
    """Elliptic-curve operations a second that an account may use in a region, over all keys, and
    each bucket's share of them.

    A bucket that keeps to its share gets ``completed_min`` of its signatures ``within`` that time,
    whatever the others ask for.
    """

    operations_per_s: int = Field(gt=0)
    shares: dict[Name, Ratio]
    within: DurationMs = Field(gt=0)
    completed_min: Ratio


class Stress(Section):
    """One declared cycle of stress.

    What customers may ask for, by network and asset, while nobody acts by hand.

    ``withdrawals``: into how many requests that divides; no factor scales a number of people.
    """

    length: DurationMs = Field(gt=0)
    withdrawals: int = Field(gt=0)
    outflow: dict[Name, dict[Name, Amount]]


class Backup(Section):
    """Copies: how often the ledger's database is backed up, how long backups and evidence are kept."""

    every: DurationMs = Field(gt=0)
    keep: DurationMs = Field(gt=0)
    evidence_keep: DurationMs = Field(gt=0)


class ApprovalLane(Section):
    """How a movement of funds is approved: ``needed`` of ``approvers``, then a cooling delay.

    ``value_max`` caps one movement.
    """

    approvers: tuple[Name, ...]
    needed: int = Field(ge=1)
    cooling: DurationMs
    value_max: Amount


class EmergencyLane(ApprovalLane):
    """The fast lane: tighter cap, shorter delay, and a deadline for the review that follows."""

    review_within: DurationMs = Field(gt=0)


class Approvals(Section):
    """The two lanes."""

    routine: ApprovalLane
    emergency: EmergencyLane

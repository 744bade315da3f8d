"""What all sections of a policy share: how they are read, names, addresses, and the tiers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]*$")]
Url = Annotated[str, Field(pattern=r"^https://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?$")]
Tier = Literal["normal", "stressed", "protected"]
TIERS: tuple[Tier, ...] = ("normal", "stressed", "protected")
"""Tiers from calm to worst; their order is their severity."""


class Section(BaseModel):
    """A part of the policy: unknown keys are refused, values never change."""

    model_config = ConfigDict(frozen=True, extra="forbid")

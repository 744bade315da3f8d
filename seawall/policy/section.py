"""What all sections of a policy have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]*$")]


class Section(BaseModel):
    """A part of the policy: unknown keys are refused, values never change."""

    model_config = ConfigDict(frozen=True, extra="forbid")

"""Shock profiles: a real event as data, each number with its source or the reason for it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from seawall.errors import DocumentError, UsageError
from seawall.formats.documents import decode, model_problems, parse_yaml
from seawall.policy.drilling import Flood
from seawall.policy.quantities import Ratio

PROFILES = Path(__file__).parent / "profiles"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Measured(_Section):
    """A number that was reported about the real event, with its source."""

    value: Ratio
    unit: str
    source: str


class Assumed(_Section):
    """A number that was chosen for the drill, with the reason."""

    value: Ratio
    unit: str
    why: str


class Facts(_Section):
    """What is known of the event."""

    requests: Measured
    requests_over_h: Measured
    wallets_value: Measured
    burst_of_assets_per_h: Measured


class Choices(_Section):
    """What the drill assumes; the unit of each number is in the file."""

    requested_over_hot_targets: Assumed
    requests_per_s: Assumed
    calm_requests_per_s: Assumed
    calm_velocity_of_exit: Assumed
    amount_tail_exponent: Assumed
    amount_of_wallet_max: Assumed
    opening: Assumed
    opening_over_hot_targets: Assumed
    largest_first: Assumed
    opening_rate_over_later: Assumed
    contagion: Assumed
    contagion_delay: Assumed
    repeated: Assumed
    repeat_after_s_min: Assumed
    repeat_after_s_max: Assumed
    destinations_repeated: Assumed


class Profile(_Section):
    """One shock: what was measured, and what the drill assumes where nothing was.

    A profile that stands for no event has nothing measured.
    """

    profile: str
    event: str
    measured: Facts | None = None
    assumed: Choices

    def requested(self, flood: Flood) -> Fraction:
        """Value that ``flood`` asks for in its run, in targets of the hot wallets."""
        if flood.requested is not None:
            return flood.requested
        return self.assumed.requested_over_hot_targets.value

    def described(self) -> dict[str, Any]:
        """Every number with its unit and its source or reason, as JSON values."""
        return self.model_dump(mode="json")


def load_profile(name: str, *, folder: Path = PROFILES) -> Profile:
    """The profile called ``name``.

    Raises:
        UsageError: There is none, or it is malformed.
    """
    path = folder / f"{name}.yaml"
    try:
        text = path.read_bytes()
    except OSError as error:
        known = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
        raise UsageError(
            f"there is no shock profile {name!r}", remedy=f"name one of: {known}"
        ) from error
    tree = parse_yaml(decode(text, source=str(path)), source=str(path))
    try:
        return Profile.model_validate(tree)
    except ValidationError as error:
        raise DocumentError(str(path), model_problems(error)) from error

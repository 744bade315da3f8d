"""The section about cold wallets: who keeps their keys, and when money comes from there."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from seawall.policy.quantities import DurationMs
from seawall.policy.sections import Name, Section, Url

_DAY_S = 86_400
TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""Hours and minutes of a day in UTC, such as ``"06:00"``; no factor scales a time of day."""


class Custody(Section):
    """Who keeps the keys of cold wallets, and when money comes from there to a reserve.

    A reserve that holds less of an asset than its minimum is filled to its target, as so many
    people as the routine lane of approvals needs have signed. Asked for and released is that within
    the window of a day alone, from ``opens`` to ``closes``: below ``opens`` it ends on the next
    day, and as ``opens`` never. ``delay`` is the custodian's, from what it was asked for to its
    release; what is not in a block for so long after it was signed is not on its way any more.
    ``lead_time``: so long after the venue wants it, the money has arrived. ``credential_age_max``:
    the greatest age of the credentials with the custodian.
    """

    custodian: Name
    endpoint: Url
    opens: TimeOfDay
    closes: TimeOfDay
    delay: DurationMs
    lead_time: DurationMs = Field(gt=0)
    credential_age_max: DurationMs = Field(gt=0)

    @property
    def opens_s(self) -> int:
        """When the window begins, in seconds after midnight UTC."""
        return _of_day_s(self.opens)

    @property
    def closes_s(self) -> int:
        """When it ends, likewise."""
        return _of_day_s(self.closes)

    def pending_blocks(self, block_time: DurationMs) -> int:
        """Blocks of a network in which what was signed before them comes, if it ever does."""
        return -(-self.delay // block_time)

    def is_open(self, at_s: float) -> bool:
        """Whether ``at_s``, Unix seconds, is within the window of its day."""
        of_day_s = at_s % _DAY_S
        if self.opens_s < self.closes_s:
            return self.opens_s <= of_day_s < self.closes_s
        return of_day_s >= self.opens_s or of_day_s < self.closes_s


def _of_day_s(time_of_day: str) -> int:
    hours, minutes = time_of_day.split(":")
    return int(hours) * 3_600 + int(minutes) * 60

"""Game days on a calendar.

Schedules with the policy's cron, a switch that stops them all, and roles that reach only what is
tagged for it.

``schedules`` knows the calendar's language, ``roles`` what each party may do, ``gamedays`` puts
them together.
"""

from infra.gamedays.gamedays import GameDays, GameDaysArgs
from infra.gamedays.schedules import problem_of, refuse_bad_schedules

__all__ = ["GameDays", "GameDaysArgs", "problem_of", "refuse_bad_schedules"]

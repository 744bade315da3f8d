"""Every check with whom it believes: for `seawall list checks`, and for docs/checks.md.

bin/seawall exec -- python -m seawall.scorecard.catalogue > docs/checks.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from seawall.scorecard.checks import ALL, COMPLETE, OF_CONTROL
from seawall.scorecard.outcome import Check
from seawall.scorecard.producers import PRODUCED_BY, PRODUCERS
from seawall.scorecard.run import PORT_OF

_HEAD = """\
# Whom each check believes

Made by `python -m seawall.scorecard.catalogue` from the checks themselves; a test keeps it so.

A verdict is no better than the files that it rests on.
This page says who writes each of them, and for each check whose lie alone would make it pass.
Who else would notice is said where somebody would.
Whether what a check reads can make it fail at all is asked field by field, by a test:
`tests/unit/scorecard/test_every_field.py`.

## Who writes what

What a file of the kit's own says of the venue is still the venue's word, told to a customer.
Evidence that a deployment names as files or commands is the word of whoever wrote them.

| who | what | files |
|---|---|---|
"""
_CHECKS = """
## What each check rests on

| check | written by | what it would believe, from one of them alone |
|---|---|---|
"""
_OF_CONTROL = """
### Of the drills of one control

They ask `{complete}` as well.

| check | written by | what it would believe, from one of them alone |
|---|---|---|
"""
CONTROLS: tuple[Check, ...] = tuple(
    check for checks in OF_CONTROL.values() for check in checks if check.id != COMPLETE.id
)
"""Every check that only a drill of one control asks."""


def rows() -> list[dict[str, Any]]:
    """A row for each check, in the order of a report; those of one control last."""
    return [
        {
            "check": check.id,
            "written by": list(check.producers),
            "believes": dict(check.believes),
            "question": check.question,
            "evidence": {name: list(PRODUCED_BY[name]) for name in check.evidence},
            "needs": list(check.needs),
        }
        for check in (*ALL, *CONTROLS)
    ]


def page() -> str:
    """The whole of docs/checks.md."""
    files = {who: [name for name, by in PRODUCED_BY.items() if who in by] for who in PRODUCERS}
    writers = [
        f"| {who} | {what} | {', '.join(f'`{name}`{_offered(name)}' for name in files[who])} |"
        for who, what in PRODUCERS.items()
    ]
    return "".join(
        (
            _HEAD,
            _lines(writers),
            _CHECKS,
            _lines(_row(check) for check in ALL),
            _OF_CONTROL.format(complete=COMPLETE.id),
            _lines(_row(check) for check in CONTROLS),
        )
    )


def _lines(rows: Iterable[str]) -> str:
    return "".join(f"{row}\n" for row in rows)


def _row(check: Check) -> str:
    return f"| `{check.id}` | {_writers(check)} | {_believes(check)} |"


def _offered(name: str) -> str:
    """The port that a file comes from, for one that not every deployment offers."""
    return f" ({PORT_OF[name]})" if name in PORT_OF else ""


def _writers(check: Check) -> str:
    return "all" if check is COMPLETE else ", ".join(check.producers)


def _believes(check: Check) -> str:
    return "; ".join(f"{who}: {lie}" for who, lie in check.believes.items())


if __name__ == "__main__":
    sys.stdout.write(page())

"""A payment processor: takes instructions at any time, and settles them in bank hours.

Usage: ``python -m sandbox.counterparties.processor --name NAME --policy FILE --port N --data-dir
DIR --payer-sha256 HEX --reader-sha256 HEX [--settles-after-s S] [--opens H --closes H]
[--weekdays 01234]``; what it serves is in ``seawall/formats/payout_rail.py``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import uvloop

from sandbox.counterparties import paying
from sandbox.counterparties.payouts import BankHours
from seawall.errors import SeawallError, UsageError
from seawall.policy_file import load_policy


def _hours(options: argparse.Namespace) -> BankHours:
    try:
        weekdays = tuple(int(each) for each in options.weekdays)
        return BankHours(opens=options.opens, closes=options.closes, weekdays=weekdays)
    except ValueError as error:
        raise UsageError(str(error)) from error


def main(arguments: list[str] | None = None, *, clock: Callable[[], float] = time.time) -> int:
    """Run one processor; returns the exit code."""
    parser = argparse.ArgumentParser(
        description="A payment processor that pays each instruction once."
    )
    paying.add_arguments(parser)
    parser.add_argument("--opens", type=int, default=0, help="first hour of settlement, UTC")
    parser.add_argument("--closes", type=int, default=24, help="hour at which it ends, UTC")
    parser.add_argument("--weekdays", default="0123456", help="days of settlement, Monday is 0")
    options = parser.parse_args(arguments)
    try:
        desk = paying.desk_of(
            options, load_policy(options.policy), kind="processor", hours=_hours(options)
        )
        uvloop.run(
            paying.run(
                lambda request: desk.answer(request, now=clock()),
                port=options.port,
                loops={lambda: desk.book.settle(now=clock()): paying.SETTLE_EVERY_S},
            )
        )
    except SeawallError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The second venue: small, real, and unlike the reference venue in all that a venue may choose.

    python -m tests.testing.second_venue api --config FILE
    python -m tests.testing.second_venue payer --config FILE

Two processes share one SQLite file. Customers have names and log in, amounts are decimals, coins
have the venue's own names, and payouts are plain transfers from one address of each network. It
imports nothing of ours (`tests/unit/second_venue/test_independence.py`): what the kit knows of it,
it must know from files. It can be made to do wrong (:data:`config.Vice`).
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from tests.testing.second_venue.config import load

ROLES = ("api", "payer")
"""Modules with a function ``serve``; each is imported alone, so that it starts fast."""


def main() -> None:
    """Run one of the two processes."""
    parser = argparse.ArgumentParser(prog="python -m tests.testing.second_venue")
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--config", type=Path, required=True)
    arguments = parser.parse_args()
    role = import_module(f"tests.testing.second_venue.{arguments.role}")
    role.serve(load(arguments.config))


if __name__ == "__main__":
    main()

from __future__ import annotations

import argparse
from pathlib import Path

from tests.testing.second_venue import api, payer
from tests.testing.second_venue.config import load

ROLES = {"api": api.serve, "payer": payer.pay}


def main() -> None:
    """Run one of the two processes."""
    parser = argparse.ArgumentParser(prog="python -m tests.testing.second_venue")
    parser.add_argument("role", choices=sorted(ROLES))
    parser.add_argument("--config", type=Path, required=True)
    arguments = parser.parse_args()
    ROLES[arguments.role](load(arguments.config))


if __name__ == "__main__":
    main()

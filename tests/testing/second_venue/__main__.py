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

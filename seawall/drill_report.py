"""What a program that carries out part of a drill says about the drills of a policy.

One JSON object on standard output: ``known`` (what the program has, by name) and ``problems``
(path, found, remedy). The exit code is 0 if there are none, else 3.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seawall.errors import ExitCode, Problem, SeawallError
from seawall.formats.deployment import Deployment, load_deployment
from seawall.policy import Policy
from seawall.policy_file import load_policy


@dataclass(frozen=True, kw_only=True)
class DrillReport:
    """The things that a program has, by name, and what is wrong with a policy's drills."""

    known: Mapping[str, Mapping[str, Any]]
    problems: Sequence[Problem]

    @classmethod
    def read(cls, text: str) -> DrillReport:
        """The report that a program printed. Raises ValueError, KeyError or TypeError."""
        found = json.loads(text)
        return cls(
            known=found["known"], problems=[Problem(**problem) for problem in found["problems"]]
        )

    def text(self) -> str:
        """The report as it is printed."""
        return json.dumps(
            {"known": self.known, "problems": [asdict(problem) for problem in self.problems]}
        )


def main(
    description: str | None,
    report: Callable[[Policy, Deployment | None, Sequence[str]], DrillReport],
) -> int:
    """The command line of such a program; returns the exit code.

    It is ``--policy FILE``, ``--deployment FILE`` for what can be done on a running stack, and
    ``--drills NAME...`` for what can be done one after another, and nothing else.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--policy", type=Path, required=True)
    parser.add_argument("--deployment", type=Path)
    parser.add_argument("--drills", nargs="+", default=(), metavar="NAME")
    arguments = parser.parse_args()
    try:
        stack = None if arguments.deployment is None else load_deployment(arguments.deployment)
        made = report(load_policy(arguments.policy), stack, tuple(arguments.drills))
    except SeawallError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(made.text())
    return ExitCode.USAGE if made.problems else ExitCode.PASS

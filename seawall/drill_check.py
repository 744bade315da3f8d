"""Asks the programs that carry out drills whether a policy's drills can be carried out.

Which faults there are, with which targets and parameters, is known to ``chaos``; what a flood does
to the policy's indicators is known to ``loadtests``. Both are started as programs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seawall.cache import repository_root
from seawall.errors import ExitCode, PolicyError, Problem, ServiceError, UsageError

FAULTS, FLOODS = "chaos.check", "loadtests.check"
_ANSWER_S_MAX = 300.0


@dataclass(frozen=True, kw_only=True)
class Known:
    """What one of the programs says: the things it has, by name, and what is wrong."""

    described: Mapping[str, Mapping[str, Any]]
    problems: Sequence[Problem]


def ask(module: str, policy_path: Path) -> Known:
    """What the program ``module`` says about the policy at ``policy_path``.

    Raises :class:`UsageError` if it refuses, :class:`ServiceError` if it breaks.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", module, "--policy", str(policy_path.resolve())],
            cwd=repository_root(),
            # named here, because a game day drops the variables of its user
            env={**os.environ, "PYTHONPATH": str(repository_root())},
            capture_output=True,
            text=True,
            timeout=_ANSWER_S_MAX,
            check=False,
        )
        found = json.loads(done.stdout) if done.stdout else None
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ServiceError(f"python -m {module} did not answer: {error}") from error
    if found is None:
        blame = UsageError if done.returncode == ExitCode.USAGE else ServiceError
        raise blame(done.stderr.strip() or f"python -m {module} ended with {done.returncode}")
    return Known(
        described=found["known"], problems=[Problem(**problem) for problem in found["problems"]]
    )


def require_drills(policy_path: Path, *modules: str) -> None:
    """Raise :class:`PolicyError` with all that stands against the drills of a policy.

    ``modules`` are the programs to ask, the faults' alone if none is named: floods are planned for
    each drill in any case, and planning them all takes seconds.
    """
    problems = [
        problem for module in modules or (FAULTS,) for problem in ask(module, policy_path).problems
    ]
    if problems:
        raise PolicyError(str(policy_path), problems)

"""Asks the programs that carry out drills whether a policy's drills can be carried out.

Which faults there are, with which targets and parameters, is known to ``chaos``; what a flood does
to the policy's indicators is known to ``loadtests``. Both are started as programs. Which claims a
drill can make is known to the judge.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from seawall.cache import repository_root
from seawall.drill_report import DrillReport
from seawall.errors import ExitCode, PolicyError, Problem, ServiceError, UsageError
from seawall.policy import Policy
from seawall.policy.rules.drills import in_order
from seawall.policy_file import load_policy
from seawall.scorecard.claims import unknown_words

FAULTS, FLOODS = "chaos.check", "loadtests.check"
_ANSWER_S_MAX = 300.0


def ask(
    module: str, policy_path: Path, *, deployment: Path | None = None, drills: Sequence[str] = ()
) -> DrillReport:
    """What the program ``module`` says about the policy at ``policy_path``.

    With the file of a ``deployment``: on that. With ``drills``: of these, one after another.

    Raises :class:`UsageError` if it refuses, :class:`ServiceError` if it breaks.
    """
    on = [] if deployment is None else ["--deployment", str(deployment.resolve())]
    on += ["--drills", *drills] if drills else []
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", module, "--policy", str(policy_path.resolve()), *on],
            cwd=repository_root(),
            # named here, because a game day drops the variables of its user
            env={**os.environ, "PYTHONPATH": str(repository_root())},
            capture_output=True,
            text=True,
            timeout=_ANSWER_S_MAX,
            check=False,
        )
        if done.stdout:
            return DrillReport.read(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise ServiceError(f"python -m {module} did not answer: {error}") from error
    blame = UsageError if done.returncode == ExitCode.USAGE else ServiceError
    raise blame(done.stderr.strip() or f"python -m {module} ended with {done.returncode}")


def claim_problems(policy: Policy) -> list[Problem]:
    """Claims that a drill demands and that no check of it could make."""
    return [
        Problem(
            path=f"drills.{name}.claims",
            found=repr(word),
            remedy="name `all`, a check that this drill asks, or the part of one before the dot",
        )
        for name, drill in policy.drills.items()
        for word in unknown_words(drill)
    ]


def require_drills(policy_path: Path, *modules: str) -> None:
    """Raise :class:`PolicyError` with all that stands against the drills of a policy.

    ``modules`` are the programs to ask, the faults' alone if none is named: floods are planned for
    each drill in any case, and planning them all takes seconds.
    """
    with ThreadPoolExecutor() as asking:  # each is a process of its own, and takes seconds
        answers = asking.map(lambda module: ask(module, policy_path), modules or (FAULTS,))
        problems = [problem for answer in answers for problem in answer.problems]
    problems += claim_problems(load_policy(policy_path))
    if problems:
        raise PolicyError(str(policy_path), problems)


def require_order(policy: Policy, policy_path: Path, drills: Sequence[str]) -> None:
    """Raise :class:`PolicyError` unless ``drills`` can follow one another on one deployment."""
    problems = list(in_order(policy, drills, path="seawall drill"))
    if len(drills) > 1:
        problems += ask(FLOODS, policy_path, drills=drills).problems
    if problems:
        raise PolicyError(str(policy_path), problems)

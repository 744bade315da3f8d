"""Read a policy file: YAML in, a checked :class:`Policy` out, or every problem at once.

The model and its rules (:mod:`seawall.policy`) and the sums (:mod:`seawall.feasibility`) are pure;
this module is the one that opens files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from seawall.errors import DocumentError, PolicyError, Problem, UsageError
from seawall.feasibility import sums_of
from seawall.formats.documents import examine_yaml, model_problems, read_text, shown
from seawall.policy.extends import derive, forbidden_overrides
from seawall.policy.model import Policy
from seawall.policy.rules import references_of, relations_of


def load_policy(path: Path) -> Policy:
    """The policy at ``path`` with everything that it extends.

    Raises:
        UsageError: a file cannot be read.
        PolicyError: the policy is wrong; it carries every problem found.
    """
    tree, problems = _read(path)
    if "extends" in tree:
        problems += forbidden_overrides(tree)
        base = _read_parent(path, tree["extends"])
        tree, more = derive(base, child=tree, model=Policy)
        problems += more
    else:
        problems += [
            Problem(
                path=key,
                found="a value",
                remedy="remove it; only a policy with `extends` is scaled or given addresses",
            )
            for key in ("scale", "addresses")
            if key in tree
        ]
    try:
        policy = Policy.model_validate(tree)
    except ValidationError as error:
        known = {problem.path for problem in problems}
        problems += [each for each in model_problems(error) if each.path not in known]
        raise PolicyError(str(path), problems) from error
    problems += _contradictions(policy)
    if problems:
        raise PolicyError(str(path), problems)
    return policy


def _read_parent(path: Path, named: object) -> dict[str, Any]:
    """The tree of the policy that ``path`` extends, which must stand on its own."""
    if not isinstance(named, str) or not named.strip():
        problem = Problem(
            path="extends", found=shown(named), remedy="name a file beside this one, as text"
        )
        raise PolicyError(str(path), [problem])
    parent = path.parent / named
    try:
        base, problems = _read(parent)
    except PolicyError:
        raise
    except UsageError as error:
        found = f"{shown(named)}, which cannot be read ({_reason(error)})"
        problem = Problem(path="extends", found=found, remedy="name a policy beside this one")
        raise PolicyError(str(path), [problem]) from error
    if "extends" in base:
        problems.append(
            Problem(
                path="extends",
                found=f"{shown(named)}, which extends another policy itself",
                remedy="extend a policy that stands on its own",
            )
        )
    if problems:
        raise PolicyError(str(parent), problems)
    return base


def _read(path: Path) -> tuple[dict[str, Any], list[Problem]]:
    """The mapping in the file, and every problem of its YAML that still lets it be read."""
    try:
        tree, problems = examine_yaml(read_text(path))
    except DocumentError as error:
        raise PolicyError(str(path), error.problems) from error
    except UsageError as error:
        raise UsageError(
            f"cannot read the policy {path}: {_reason(error)}", remedy="name a file under policies/"
        ) from error.__cause__
    if not isinstance(tree, dict):
        if not problems:
            found = "an empty file" if tree is None else f"a {type(tree).__name__}"
            problems = [Problem(path="(file)", found=found, remedy="write a mapping of sections")]
        raise PolicyError(str(path), problems)
    return tree, problems


def _reason(error: UsageError) -> str:
    cause = error.__cause__
    return (cause.strerror if isinstance(cause, OSError) else None) or str(cause or error)


def _contradictions(policy: Policy) -> list[Problem]:
    """What a well-formed policy says that cannot all be true.

    Sums are built only when every name resolves.
    """
    unresolved = references_of(policy)
    problems = [*unresolved, *relations_of(policy)]
    if not unresolved:
        problems += [
            Problem(path=each.path, found=str(each), remedy=each.remedy)
            for each in sums_of(policy)
            if not each.holds
        ]
    return problems

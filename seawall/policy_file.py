"""Read a policy file: YAML in, a validated :class:`Policy` out, or every problem at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from seawall.errors import PolicyError, Problem, UsageError
from seawall.policy.extends import derive, forbidden_overrides
from seawall.policy.model import Policy
from seawall.policy.rules import references_of, relations_of


def load_policy(path: Path) -> Policy:
    """The policy at ``path`` with everything that it extends.

    Raises :class:`UsageError` if there is no such file and :class:`PolicyError` with every problem
    found.
    """
    tree = _read(path)
    parent = tree.get("extends")
    if parent is not None:
        problems = forbidden_overrides(tree)
        base = _read(path.parent / str(parent))
        if "extends" in base:
            problems.append(
                Problem(
                    path="extends",
                    found=repr(parent),
                    remedy="extend a policy that stands on its own",
                )
            )
        tree, more = derive(base, child=tree, model=Policy)
        problems += more
    else:
        problems = [
            Problem(
                path=key,
                found="a value",
                remedy="only a policy with `extends` is scaled or re-addressed",
            )
            for key in ("scale", "addresses")
            if key in tree
        ]
    try:
        policy = Policy.model_validate(tree)
    except ValidationError as error:
        raise PolicyError(
            str(path), problems + [_explain(detail) for detail in error.errors()]
        ) from error
    problems += _contradictions(policy)
    if problems:
        raise PolicyError(str(path), problems)
    return policy


def _contradictions(policy: Policy) -> list[Problem]:
    """What a well-formed policy says that cannot be true together; sums need names that resolve."""
    # it reads policies, and controls that do
    from seawall.feasibility import sums_of  # noqa: PLC0415

    unresolved = references_of(policy)
    problems = [*unresolved, *relations_of(policy)]
    if not unresolved:
        broken = [each for each in sums_of(policy) if not each.holds]
        problems += [
            Problem(path=each.path, found=str(each), remedy=each.remedy) for each in broken
        ]
    return problems


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"cannot read the policy {path}: {error.strerror}"
        raise UsageError(message, remedy="name a file under policies/") from error
    except yaml.YAMLError as error:
        raise PolicyError(
            str(path),
            [
                Problem(
                    path="(file)",
                    found="text that is no YAML",
                    remedy=str(error).replace("\n", " "),
                )
            ],
        ) from error
    if not isinstance(tree, dict):
        raise PolicyError(
            str(path),
            [
                Problem(
                    path="(file)", found=type(tree).__name__, remedy="write a mapping of sections"
                )
            ],
        )
    return tree


def _explain(detail: Any) -> Problem:
    """One pydantic error as path, value found and remedy."""
    path = ".".join(str(part) for part in detail["loc"]) or "(file)"
    kind = detail["type"]
    if kind == "missing":
        return Problem(path=path, found="nothing", remedy="add it")
    if kind == "extra_forbidden":
        return Problem(
            path=path,
            found=repr(detail["input"]),
            remedy="remove it, or check its spelling; the policy has no such key",
        )
    message = str(detail["msg"]).removeprefix("Value error, ")
    return Problem(path=path, found=repr(detail["input"]), remedy=message[:1].lower() + message[1:])

"""Who takes on the roles of the stack.

The ARNs in its configuration, and what can be wrong with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from seawall.conventions import aws
from seawall.errors import Problem
from seawall.keys import access as segregation
from seawall.policy import Policy

_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(user|role)/[\w+=,.@/-]+")
_ROLE_NAME_CHARACTERS_MAX = 64
"""IAM and STS quotas, "Role name length"."""
_WHAT = "the ARN of the user or role that takes it on"


@dataclass(frozen=True, kw_only=True)
class Principals:
    """``signers`` by region and bucket; ``admins`` and ``break_glass`` by bucket.

    ``approvers`` by role; ``rails`` by region.

    ``kit``: who reads the offline kit; ``gamedays``: who runs game days; ``rails``: who pays over
    the rails; ``deployer``: who runs `pulumi`.
    """

    signers: Mapping[str, Mapping[str, str]]
    admins: Mapping[str, str]
    break_glass: Mapping[str, str]
    kit: str
    approvers: Mapping[str, str]
    gamedays: str
    rails: Mapping[str, str]
    deployer: str

    def trusted(self, principal: segregation.Principal) -> str:
        """The ARN that may take on the role ``principal``."""
        bucket, approver = str(principal.bucket), str(principal.approver)
        if principal.kind == "signer":
            return self.signers[str(principal.region)][bucket]
        by_name = {
            "admin": (self.admins, bucket),
            "break-glass": (self.break_glass, bucket),
            "approver": (self.approvers, approver),
        }
        if principal.kind in by_name:
            people, name = by_name[principal.kind]
            return people[name]
        return {"kit": self.kit, "gameday": self.gamedays, "deployer": self.deployer}[
            principal.kind
        ]


def read_principals(
    found: object, policy: Policy, *, path: str
) -> tuple[Principals | None, list[Problem]]:
    """What the setting at ``path`` says, or everything that is wrong with it."""
    wanted = dict(_wanted(policy))
    given = dict(_leaves(found, path))
    problems = [
        *(
            Problem(path=f"{path}.{name}", found="nothing", remedy=f"name {_WHAT}")
            for name in wanted
            if name not in given
        ),
        *(
            Problem(
                path=f"{path}.{name}",
                found=repr(arn),
                remedy="leave it out; the policy has no such principal",
            )
            for name, arn in given.items()
            if name not in wanted
        ),
        *(
            Problem(
                path=f"{path}.{name}",
                found=repr(arn),
                remedy=f"name {_WHAT}, nobody else and no wildcard",
            )
            for name, arn in given.items()
            if name in wanted and not (isinstance(arn, str) and _ARN.fullmatch(arn))
        ),
        *_shared(wanted, given, path),
        *_unnameable(policy),
    ]
    if problems or not isinstance(found, Mapping):
        return None, problems
    people = {name: arn for name, arn in found["breakGlass"].items() if name != aws.KIT}
    principals = Principals(
        signers=found["signers"],
        admins=found["admins"],
        break_glass=people,
        kit=found["breakGlass"][aws.KIT],
        approvers=found["approvers"],
        gamedays=found["gamedays"],
        rails=found["rails"],
        deployer=found["deployer"],
    )
    return principals, []


def _wanted(policy: Policy) -> Iterator[tuple[str, str]]:
    """Where an ARN is needed, and on whose behalf it acts.

    The same behalf in two regions may be the same principal.
    """
    for region in segregation.regions(policy):
        for bucket in segregation.key_buckets(policy):
            yield f"signers.{region}.{bucket}", f"signer of {bucket}"
        yield f"rails.{region}", "rails"
    for bucket in segregation.key_buckets(policy):
        yield f"admins.{bucket}", f"admin of {bucket}"
        yield f"breakGlass.{bucket}", f"break-glass of {bucket}"
    yield f"breakGlass.{aws.KIT}", "break-glass of the kit"
    for role in policy.approver_roles():
        yield f"approvers.{role}", f"approver {role}"
    yield "gamedays", "game days"
    yield "deployer", "deployer"


def _leaves(tree: object, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            if isinstance(value, Mapping):
                yield from ((f"{name}.{rest}", leaf) for rest, leaf in _leaves(value, path))
            else:
                yield str(name), value


def _shared(wanted: Mapping[str, str], given: Mapping[str, Any], path: str) -> Iterator[Problem]:
    first: dict[str, tuple[str, str]] = {}
    for name, behalf in wanted.items():
        arn = given.get(name)
        if not isinstance(arn, str):
            continue
        other, whose = first.setdefault(arn, (name, behalf))
        if whose != behalf:
            remedy = f"{path}.{other} has it already; give {behalf} a principal of its own"
            yield Problem(path=f"{path}.{name}", found=repr(arn), remedy=remedy)


def _unnameable(policy: Policy) -> Iterator[Problem]:
    if aws.KIT in policy.buckets:
        remedy = "call the bucket otherwise; that name stands for the offline kit among break-glass principals"
        yield Problem(path=f"buckets.{aws.KIT}", found="a bucket", remedy=remedy)
    for principal in segregation.principals(policy):
        if len(principal.name) > _ROLE_NAME_CHARACTERS_MAX:
            remedy = f"shorten the venue's, bucket's or wallet's name: IAM takes {_ROLE_NAME_CHARACTERS_MAX} characters"
            yield Problem(path="policy", found=f"a role called {principal.name}", remedy=remedy)

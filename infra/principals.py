"""The principals that may take on the stack's roles: the ARNs in its configuration, checked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from seawall.conventions import aws
from seawall.errors import Problem
from seawall.keys import access
from seawall.policy import Policy

_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(user|role)/[\w+=,.@/-]+")
_ROLE_NAME_CHARACTERS_MAX = 64
"""IAM and STS quotas, "Role name length"."""
_WHAT = "the ARN of the user or role that takes it on"


@dataclass(frozen=True, kw_only=True)
class Principals:
    """ARNs of the principals.

    Args:
        signers: by region and bucket.
        admins: of keys, by bucket.
        break_glass: by bucket.
        kit: reads the offline kit.
        approvers: by approver role.
        gamedays: runs game days by hand.
        faults: denies signing for a while, in drills.
        audit: looks up who signed.
        rails: pays over the rails, by region.
        treasury: runs the treasury, by region.
        deployer: runs `pulumi`.
    """

    signers: Mapping[str, Mapping[str, str]]
    admins: Mapping[str, str]
    break_glass: Mapping[str, str]
    kit: str
    approvers: Mapping[str, str]
    gamedays: str
    faults: str
    audit: str
    rails: Mapping[str, str]
    treasury: Mapping[str, str]
    deployer: str

    def trusted(self, principal: access.Principal) -> str:
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
        return {
            "kit": self.kit,
            "gameday": self.gamedays,
            "fault": self.faults,
            "audit": self.audit,
            "deployer": self.deployer,
        }[principal.kind]


def read_principals(
    found: object, policy: Policy, *, path: str
) -> tuple[Principals | None, list[Problem]]:
    """The principals in the setting ``found`` at ``path``, or every problem with it."""
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
        faults=found["faults"],
        audit=found["audit"],
        rails=found["rails"],
        treasury=found["treasury"],
        deployer=found["deployer"],
    )
    return principals, []


def _wanted(policy: Policy) -> Iterator[tuple[str, str]]:
    """Where an ARN is needed, and the duty that it has there.

    One principal may have the same duty in two regions, and no two duties.
    """
    for region in access.regions(policy):
        for bucket in access.key_buckets(policy):
            yield f"signers.{region}.{bucket}", f"signer of {bucket}"
        yield f"rails.{region}", "rails"
        yield f"treasury.{region}", "treasury"
    for bucket in access.key_buckets(policy):
        yield f"admins.{bucket}", f"admin of {bucket}"
        yield f"breakGlass.{bucket}", f"break-glass of {bucket}"
    yield f"breakGlass.{aws.KIT}", "break-glass of the kit"
    for role in policy.approver_roles():
        yield f"approvers.{role}", f"approver {role}"
    yield "gamedays", "game days"
    yield "faults", "faults"
    yield "audit", "audit"
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
    for name, duty in wanted.items():
        arn = given.get(name)
        if not isinstance(arn, str):
            continue
        other, other_duty = first.setdefault(arn, (name, duty))
        if other_duty != duty:
            remedy = f"{path}.{other} has it already; give {duty} a principal of its own"
            yield Problem(path=f"{path}.{name}", found=repr(arn), remedy=remedy)


def _unnameable(policy: Policy) -> Iterator[Problem]:
    if aws.KIT in policy.buckets:
        remedy = (
            "call the bucket otherwise; that name stands for the offline kit among break-glass "
            "principals"
        )
        yield Problem(path=f"buckets.{aws.KIT}", found="a bucket", remedy=remedy)
    for principal in access.principals(policy):
        if len(principal.name) > _ROLE_NAME_CHARACTERS_MAX:
            remedy = (
                "shorten the venue's, bucket's or wallet's name: IAM takes "
                f"{_ROLE_NAME_CHARACTERS_MAX} characters"
            )
            yield Problem(path="policy", found=f"a role called {principal.name}", remedy=remedy)

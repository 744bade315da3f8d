"""Who may do what with which key: declared once, as pure functions of the policy.

The stack writes its key policies from :func:`rules_of`, a drill tries every cell of :func:`matrix`
against a live account, and both must agree. What a role may do with a key stands in that key's
policy and nowhere else: for a caller of the same account a key policy that names it suffices (KMS
developer guide, "Key policies in AWS KMS"), within what the role's permission boundary allows.

=============  =========================
============================================================================== kind           one
per                    may =============  =========================
============================================================================== signer         wallet
and region          sign with that wallet's key in that region, and show its public key admin
bucket with a key          read, describe, tag and write the policies of the keys of its bucket
break-glass    bucket with a key          disable and enable the keys of its bucket, and cancel a
deletion approver       approver role              sign with the key of that role, in both regions
kit            venue                      nothing with any key: it reads the offline kit gameday
venue                      nothing with any key: it starts drills deployer       account
provision: what the account's own policies allow, at most :func:`provisioning` =============
=========================
==============================================================================

Nobody may make a grant, because a grant would allow what no policy shows. In a protected stack nobody
may schedule a key's deletion, and nobody but the break-glass role of its bucket may disable, enable
or rescue it. The deployer is no role of the stack; its cells hold for a caller whose identity
policies allow ``kms:*`` except Sign. Whoever may write a key's policy can give away everything
else: that is why PutKeyPolicy pages people.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from seawall.conventions import aws
from seawall.policy import Policy

Kind = Literal["signer", "admin", "break-glass", "approver", "kit", "gameday", "deployer"]

SIGN = ("kms:Sign", "kms:GetPublicKey")
ADMINISTER = (
    "kms:DescribeKey",
    "kms:GetPublicKey",
    "kms:GetKeyPolicy",
    "kms:PutKeyPolicy",
    "kms:ListGrants",
    "kms:RevokeGrant",
    "kms:ListResourceTags",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateKeyDescription",
)
STOP = ("kms:DisableKey", "kms:EnableKey", "kms:CancelKeyDeletion")
BREAK_GLASS = ("kms:DescribeKey", *STOP)
_PROVISION = (
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:UpdateAlias",
    "kms:DescribeKey",
    "kms:GetPublicKey",
    "kms:GetKeyPolicy",
    "kms:PutKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListResourceTags",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateKeyDescription",
    "kms:ReplicateKey",
    "kms:ListGrants",
)
_REMOVE = ("kms:ScheduleKeyDeletion", *STOP)


def provisioning(*, protected: bool) -> tuple[str, ...]:
    """What the account may do with a key by its own policies: never sign.

    Never stop or delete one of a protected stack.
    """
    return _PROVISION if protected else (*_PROVISION, *_REMOVE)


@dataclass(frozen=True, kw_only=True)
class Tried:
    """An action that a drill tries.

    ``changes``: if it is allowed, it changes the key, so a money key is never asked for it.
    """

    action: str
    changes: bool


TRIED: tuple[Tried, ...] = (
    Tried(action="kms:Sign", changes=False),
    Tried(action="kms:GetPublicKey", changes=False),
    Tried(action="kms:DescribeKey", changes=False),
    Tried(action="kms:GetKeyPolicy", changes=False),
    Tried(action="kms:PutKeyPolicy", changes=True),
    Tried(action="kms:TagResource", changes=True),
    Tried(action="kms:UpdateKeyDescription", changes=True),
    Tried(action="kms:DisableKey", changes=True),
    Tried(action="kms:EnableKey", changes=True),
    Tried(action="kms:ScheduleKeyDeletion", changes=True),
    Tried(action="kms:CancelKeyDeletion", changes=True),
    Tried(action="kms:CreateGrant", changes=True),
    Tried(action="kms:UpdateAlias", changes=True),
    Tried(action="kms:ReplicateKey", changes=True),
    Tried(action="kms:UpdatePrimaryRegion", changes=True),
)
"""What a drill tries. Aliases have no policy of their own.

UpdateAlias also asks the identity policies about the alias, so only the deployer may.
UpdatePrimaryRegion is allowed to nobody: both regions sign, and the program says which is primary.
"""


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Somebody who can act.

    ``name`` is the role's (the user's for the deployer); ``approver`` names the role of an
    approver.
    """

    name: str
    kind: Kind
    bucket: str | None = None
    region: str | None = None
    wallet: str | None = None
    approver: str | None = None

    def arn(self, account: str) -> str:
        """Its ARN in ``account``."""
        return f"arn:aws:iam::{account}:{'user' if self.kind == 'deployer' else 'role'}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """A key of the stack: that of a wallet in ``bucket``, or that of an ``approver``.

    It exists in both regions under ``alias``.
    """

    name: str
    alias: str
    bucket: str | None = None
    approver: str | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A statement of a key's policy.

    Allowed are ``who`` and, if so said, the account's own policies; denied are all but ``who``.
    """

    sid: str
    allows: bool
    actions: tuple[str, ...]
    who: tuple[Principal, ...] = ()
    account: bool = False

    def statement(self, account: str) -> dict[str, Any]:
        """As JSON of a key policy in ``account``.

        There a resource of ``*`` means the key itself.
        """
        arns = [principal.arn(account) for principal in self.who]
        if self.allows:
            named = [f"arn:aws:iam::{account}:root"] if self.account else arns
            return {
                "Sid": self.sid,
                "Effect": "Allow",
                "Principal": {"AWS": _one_or_all(named)},
                "Action": list(self.actions),
                "Resource": "*",
            }
        unless = (
            {"Condition": {"ArnNotEquals": {"aws:PrincipalArn": _one_or_all(arns)}}} if arns else {}
        )
        return {
            "Sid": self.sid,
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": list(self.actions),
            "Resource": "*",
            **unless,
        }

    def concerns(self, principal: Principal) -> bool:
        """Whether the statement speaks of ``principal``."""
        if not self.allows:
            return principal not in self.who
        return principal.kind == "deployer" if self.account else principal in self.who


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One square of the matrix: may ``principal`` do ``action`` with ``key`` in ``region``?"""

    principal: Principal
    key: SigningKey
    region: str
    tried: Tried
    allowed: bool


DEPLOYER = Principal(name=aws.DEPLOYER, kind="deployer")


def key_buckets(policy: Policy) -> tuple[str, ...]:
    """Buckets with at least one key in the stack, in the policy's order.

    Each has its own signers, admin and break-glass.
    """
    used = {wallet.bucket for wallet in policy.signing_wallets().values()}
    return tuple(bucket for bucket in policy.buckets if bucket in used)


def regions(policy: Policy) -> tuple[str, str]:
    """Primary, then standby."""
    return policy.regions.primary, policy.regions.standby


def signer(policy: Policy, wallet: str, region: str) -> Principal:
    """The role that signs for ``wallet`` in ``region``."""
    bucket = policy.wallets[wallet].bucket
    name = aws.signer_role(policy.venue.name, wallet, region)
    return Principal(name=name, kind="signer", bucket=bucket, region=region, wallet=wallet)


def admin(policy: Policy, bucket: str) -> Principal:
    """The role that administers the keys of ``bucket``."""
    return Principal(
        name=aws.key_admin_role(policy.venue.name, bucket), kind="admin", bucket=bucket
    )


def break_glass(policy: Policy, bucket: str) -> Principal:
    """The role that stops and restarts the keys of ``bucket``."""
    return Principal(
        name=aws.break_glass_role(policy.venue.name, bucket), kind="break-glass", bucket=bucket
    )


def approver(policy: Policy, role: str) -> Principal:
    """The role that signs as the approver ``role``."""
    return Principal(
        name=aws.approver_role(policy.venue.name, role), kind="approver", approver=role
    )


def kit(policy: Policy) -> Principal:
    """The role that reads the offline kit."""
    return Principal(name=aws.kit_role(policy.venue.name), kind="kit")


def gameday(policy: Policy) -> Principal:
    """The role that runs game days."""
    return Principal(name=aws.gameday_role(policy.venue.name), kind="gameday")


def principals(policy: Policy) -> tuple[Principal, ...]:
    """All roles of the stack that a person or a process takes on.

    The deployer, who makes them, is not among them.
    """
    buckets = key_buckets(policy)
    return (
        *(
            signer(policy, wallet, region)
            for wallet in policy.signing_wallets()
            for region in regions(policy)
        ),
        *(admin(policy, bucket) for bucket in buckets),
        *(break_glass(policy, bucket) for bucket in buckets),
        *(approver(policy, role) for role in policy.approver_roles()),
        kit(policy),
        gameday(policy),
    )


def wallet_key(policy: Policy, wallet: str) -> SigningKey:
    """The key of ``wallet``."""
    alias = aws.key_alias(policy.venue.name, wallet)
    return SigningKey(name=wallet, alias=alias, bucket=policy.wallets[wallet].bucket)


def approver_key(policy: Policy, role: str) -> SigningKey:
    """The key of the approver ``role``."""
    return SigningKey(
        name=f"approver-{role}", alias=aws.approver_alias(policy.venue.name, role), approver=role
    )


def keys(policy: Policy) -> tuple[SigningKey, ...]:
    """All keys of the stack: the wallets', then the approvers'."""
    return (
        *(wallet_key(policy, wallet) for wallet in policy.signing_wallets()),
        *(approver_key(policy, role) for role in policy.approver_roles()),
    )


def rules_of(policy: Policy, key: SigningKey, region: str, *, protected: bool) -> tuple[Rule, ...]:
    """The statements of ``key``'s policy in ``region``; the two regions differ in who signs."""
    if key.bucket is not None:
        signs = signer(policy, key.name, region)
        stops: tuple[Principal, ...] = (break_glass(policy, key.bucket),)
        more: tuple[Rule, ...] = (
            Rule(
                sid="Administer", allows=True, actions=ADMINISTER, who=(admin(policy, key.bucket),)
            ),
            Rule(sid="BreakGlass", allows=True, actions=BREAK_GLASS, who=stops),
        )
    else:
        signs, stops, more = approver(policy, str(key.approver)), (), ()
    return (
        Rule(sid="Provision", allows=True, actions=provisioning(protected=protected), account=True),
        Rule(sid="Sign", allows=True, actions=SIGN, who=(signs,)),
        *more,
        Rule(sid="NobodyGrants", allows=False, actions=("kms:CreateGrant",)),
        *(_deny_destruction(stops) if protected else ()),
    )


def key_policy(
    policy: Policy, key: SigningKey, region: str, *, account: str, protected: bool
) -> dict[str, Any]:
    """The policy document of ``key`` in ``region`` of ``account``.

    A canary with the same document stands for the key in drills.
    """
    rules = rules_of(policy, key, region, protected=protected)
    return {"Version": "2012-10-17", "Statement": [rule.statement(account) for rule in rules]}


def expected(
    policy: Policy,
    *,
    principal: Principal,
    key: SigningKey,
    region: str,
    action: str,
    protected: bool,
) -> bool:
    """Whether ``principal`` may do ``action`` with ``key`` in ``region``.

    An explicit deny wins, and without an allow the answer is no.
    """
    return _may(rules_of(policy, key, region, protected=protected), principal, action)


def matrix(
    policy: Policy, *, protected: bool, who: Sequence[Principal] | None = None
) -> Iterator[Cell]:
    """Every principal x key x region x tried action.

    ``who`` instead of all roles of the stack, to add the deployer.
    """
    for principal in principals(policy) if who is None else who:
        for key in keys(policy):
            for region in regions(policy):
                rules = rules_of(policy, key, region, protected=protected)
                for tried in TRIED:
                    allowed = _may(rules, principal, tried.action)
                    yield Cell(
                        principal=principal, key=key, region=region, tried=tried, allowed=allowed
                    )


def _may(rules: tuple[Rule, ...], principal: Principal, action: str) -> bool:
    said = {rule.allows for rule in rules if action in rule.actions and rule.concerns(principal)}
    return said == {True}


def _deny_destruction(stops: tuple[Principal, ...]) -> tuple[Rule, ...]:
    return (
        Rule(sid="NobodyDeletes", allows=False, actions=("kms:ScheduleKeyDeletion",)),
        Rule(sid="OnlyBreakGlassStops", allows=False, actions=STOP, who=stops),
    )


def _one_or_all(arns: list[str]) -> str | list[str]:
    """One ARN stands alone, as AWS gives it back."""
    return arns[0] if len(arns) == 1 else arns

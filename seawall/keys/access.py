"""Who may do what with which key: declared once, as pure functions of the policy.

The stack writes its key policies from :func:`statements_of`, and the segregation drill tries every
cell of :func:`matrix` against a live account; both must agree.

What a role may do with a key stands in that key's policy and nowhere else. For a caller of the same
account a key policy that names it suffices (KMS developer guide, "Key policies in AWS KMS"), within
what the role's permission boundary allows.

===========  ======================  ==========================================================
kind         one for each            may
===========  ======================  ==========================================================
signer       wallet and region       sign with that wallet's key in that region, and read its
                                     public key
admin        bucket with a key       read, describe, tag and write the policies of the bucket's
                                     keys
break-glass  bucket with a key       disable and enable the bucket's keys, and cancel a deletion
approver     approver role           sign with the key of that role, in both regions
kit          venue                   do nothing with any key: it reads the offline kit
gameday      venue                   do nothing with any key: it starts drills
fault        venue                   do nothing with any key: it denies the signers' roles to sign
audit        venue                   do nothing with any key: it looks up who signed
deployer     account                 provision: what the account's own policies allow, at most
                                     :func:`provisioning`
===========  ======================  ==========================================================

No principal may make a grant, because a grant would allow what no policy shows. In a protected
stack none may schedule a key's deletion, and only the break-glass role of a key's bucket may
disable, enable or rescue it. The deployer is no role of the stack; its cells hold for a caller
whose identity policies allow ``kms:*`` except Sign. A principal that may write a key's policy can
give away everything else: that is why PutKeyPolicy pages people.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from seawall.conventions import aws
from seawall.policy import Policy

Kind = Literal[
    "signer", "admin", "break-glass", "approver", "kit", "gameday", "fault", "audit", "deployer"
]

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
    """Return what the account's own policies may allow with a key.

    Never to sign; in a protected stack neither to stop nor to delete.
    """
    return _PROVISION if protected else (*_PROVISION, *_REMOVE)


@dataclass(frozen=True, kw_only=True)
class TriedAction:
    """An action that a drill tries.

    ``changes``: an allowed call would change the key, so it is never tried on a key with money.
    """

    action: str
    changes: bool


TRIED: tuple[TriedAction, ...] = (
    TriedAction(action="kms:Sign", changes=False),
    TriedAction(action="kms:GetPublicKey", changes=False),
    TriedAction(action="kms:DescribeKey", changes=False),
    TriedAction(action="kms:GetKeyPolicy", changes=False),
    TriedAction(action="kms:PutKeyPolicy", changes=True),
    TriedAction(action="kms:TagResource", changes=True),
    TriedAction(action="kms:UpdateKeyDescription", changes=True),
    TriedAction(action="kms:DisableKey", changes=True),
    TriedAction(action="kms:EnableKey", changes=True),
    TriedAction(action="kms:ScheduleKeyDeletion", changes=True),
    TriedAction(action="kms:CancelKeyDeletion", changes=True),
    TriedAction(action="kms:CreateGrant", changes=True),
    TriedAction(action="kms:UpdateAlias", changes=True),
    TriedAction(action="kms:ReplicateKey", changes=True),
    TriedAction(action="kms:UpdatePrimaryRegion", changes=True),
)
"""What a drill tries.

Aliases have no policy of their own: UpdateAlias also needs an identity policy that allows it on the
alias, so only the deployer may. UpdatePrimaryRegion is allowed to no principal: both regions sign,
and the program says which is primary.
"""


@dataclass(frozen=True, kw_only=True)
class Principal:
    """A role of the stack, or the deployer.

    ``name`` is the name of the IAM role (of the user for the deployer); ``approver`` is the
    policy's role of an approver.
    """

    name: str
    kind: Kind
    bucket: str | None = None
    region: str | None = None
    wallet: str | None = None
    approver: str | None = None

    def arn(self, account: str) -> str:
        """Return its ARN in ``account``."""
        return f"arn:aws:iam::{account}:{'user' if self.kind == 'deployer' else 'role'}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """A key of the stack, of a wallet in ``bucket`` or of an ``approver``.

    It exists in both regions under ``alias``.
    """

    name: str
    alias: str
    bucket: str | None = None
    approver: str | None = None


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A statement of a key's policy.

    It allows ``actions`` to ``who``, or with ``account`` to what the account's own policies allow
    to anyone but roles called like ``beyond``; a denial is for all principals but ``who``.
    """

    sid: str
    allows: bool
    actions: tuple[str, ...]
    who: tuple[Principal, ...] = ()
    account: bool = False
    beyond: str = ""

    def document(self, account: str) -> dict[str, Any]:
        """Render it for a key policy in ``account``.

        There a resource of ``*`` means the key itself.
        """
        arns = [principal.arn(account) for principal in self.who]
        if self.allows:
            named = [f"arn:aws:iam::{account}:root"] if self.account else arns
            ours = f"arn:aws:iam::{account}:role/{self.beyond}"
            others = {"Condition": {"ArnNotLike": {"aws:PrincipalArn": ours}}}
            return {
                "Sid": self.sid,
                "Effect": "Allow",
                "Principal": {"AWS": _one_or_all(named)},
                "Action": list(self.actions),
                "Resource": "*",
                **(others if self.beyond else {}),
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

    def applies_to(self, principal: Principal) -> bool:
        """Tell whether the statement allows or denies ``principal`` its actions."""
        if not self.allows:
            return principal not in self.who
        return principal.kind == "deployer" if self.account else principal in self.who


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of the matrix: whether ``principal`` may do it with ``key`` in ``region``."""

    principal: Principal
    key: SigningKey
    region: str
    tried: TriedAction
    allowed: bool


DEPLOYER = Principal(name=aws.DEPLOYER, kind="deployer")


def key_buckets(policy: Policy) -> tuple[str, ...]:
    """Return the buckets with at least one key in the stack, in the policy's order.

    Each has its own signers, admin and break-glass role.
    """
    used = {wallet.bucket for wallet in policy.signing_wallets().values()}
    return tuple(bucket for bucket in policy.buckets if bucket in used)


def regions(policy: Policy) -> tuple[str, str]:
    """Return the primary region, then the standby."""
    return policy.regions.primary, policy.regions.standby


def signer(policy: Policy, wallet: str, region: str) -> Principal:
    """Return the role that signs for ``wallet`` in ``region``."""
    bucket = policy.wallets[wallet].bucket
    name = aws.signer_role(policy.venue.name, wallet, region)
    return Principal(name=name, kind="signer", bucket=bucket, region=region, wallet=wallet)


def admin(policy: Policy, bucket: str) -> Principal:
    """Return the role that administers the keys of ``bucket``."""
    return Principal(
        name=aws.key_admin_role(policy.venue.name, bucket), kind="admin", bucket=bucket
    )


def break_glass(policy: Policy, bucket: str) -> Principal:
    """Return the role that stops and restarts the keys of ``bucket``."""
    return Principal(
        name=aws.break_glass_role(policy.venue.name, bucket), kind="break-glass", bucket=bucket
    )


def approver(policy: Policy, role: str) -> Principal:
    """Return the role that signs as the approver ``role``."""
    return Principal(
        name=aws.approver_role(policy.venue.name, role), kind="approver", approver=role
    )


def kit(policy: Policy) -> Principal:
    """Return the role that reads the offline kit."""
    return Principal(name=aws.kit_role(policy.venue.name), kind="kit")


def gameday(policy: Policy) -> Principal:
    """Return the role that runs game days."""
    return Principal(name=aws.gameday_role(policy.venue.name), kind="gameday")


def fault(policy: Policy) -> Principal:
    """Return the role that denies the signers' roles to sign for a while."""
    return Principal(name=aws.fault_role(policy.venue.name), kind="fault")


def audit(policy: Policy) -> Principal:
    """Return the role that looks up who signed."""
    return Principal(name=aws.audit_role(policy.venue.name), kind="audit")


def principals(policy: Policy) -> tuple[Principal, ...]:
    """Return all roles of the stack that a person or a process assumes.

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
        fault(policy),
        audit(policy),
    )


def wallet_key(policy: Policy, wallet: str) -> SigningKey:
    """Return the key of ``wallet``."""
    alias = aws.key_alias(policy.venue.name, wallet)
    return SigningKey(name=wallet, alias=alias, bucket=policy.wallets[wallet].bucket)


def approver_key(policy: Policy, role: str) -> SigningKey:
    """Return the key of the approver ``role``."""
    return SigningKey(
        name=f"approver-{role}", alias=aws.approver_alias(policy.venue.name, role), approver=role
    )


def keys(policy: Policy) -> tuple[SigningKey, ...]:
    """Return all keys of the stack: the wallets', then the approvers'."""
    return (
        *(wallet_key(policy, wallet) for wallet in policy.signing_wallets()),
        *(approver_key(policy, role) for role in policy.approver_roles()),
    )


def statements_of(
    policy: Policy, key: SigningKey, region: str, *, protected: bool
) -> tuple[Statement, ...]:
    """Return the statements of ``key``'s policy; the two regions differ in who signs."""
    if key.bucket is not None:
        signs = signer(policy, key.name, region)
        stops: tuple[Principal, ...] = (break_glass(policy, key.bucket),)
        more: tuple[Statement, ...] = (
            Statement(
                sid="Administer", allows=True, actions=ADMINISTER, who=(admin(policy, key.bucket),)
            ),
            Statement(sid="BreakGlass", allows=True, actions=BREAK_GLASS, who=stops),
        )
    else:
        signs, stops, more = approver(policy, str(key.approver)), (), ()
    return (
        Statement(
            sid="Provision",
            allows=True,
            actions=provisioning(protected=protected),
            account=True,
            # What is attached to a role of the stack allows it nothing: whoever may write such a
            # policy, as the fault role may, could else give a signer more than its own key.
            beyond=aws.every_role(policy.venue.name),
        ),
        Statement(sid="Sign", allows=True, actions=SIGN, who=(signs,)),
        *more,
        Statement(sid="NobodyGrants", allows=False, actions=("kms:CreateGrant",)),
        *(_deny_destruction(stops) if protected else ()),
    )


def key_policy(
    policy: Policy, key: SigningKey, region: str, *, account: str, protected: bool
) -> dict[str, Any]:
    """Return the policy document of ``key`` in ``region`` of ``account``.

    Drills give the same document to a canary, on which they try what would change the key.
    """
    statements = statements_of(policy, key, region, protected=protected)
    return {"Version": "2012-10-17", "Statement": [each.document(account) for each in statements]}


def expected(
    policy: Policy,
    *,
    principal: Principal,
    key: SigningKey,
    region: str,
    action: str,
    protected: bool,
) -> bool:
    """Tell whether ``principal`` may do ``action`` with ``key`` in ``region``.

    An explicit deny wins, and without an allow the answer is no.
    """
    return _may(statements_of(policy, key, region, protected=protected), principal, action)


def matrix(
    policy: Policy, *, protected: bool, who: Sequence[Principal] | None = None
) -> Iterator[Cell]:
    """Yield a cell for every principal, key, region and tried action.

    ``who`` replaces the roles of the stack, for example to add the deployer.
    """
    for principal in principals(policy) if who is None else who:
        for key in keys(policy):
            for region in regions(policy):
                statements = statements_of(policy, key, region, protected=protected)
                for tried in TRIED:
                    allowed = _may(statements, principal, tried.action)
                    yield Cell(
                        principal=principal, key=key, region=region, tried=tried, allowed=allowed
                    )


def _may(statements: tuple[Statement, ...], principal: Principal, action: str) -> bool:
    effects = {
        each.allows for each in statements if action in each.actions and each.applies_to(principal)
    }
    return effects == {True}


def _deny_destruction(stops: tuple[Principal, ...]) -> tuple[Statement, ...]:
    return (
        Statement(sid="NobodyDeletes", allows=False, actions=("kms:ScheduleKeyDeletion",)),
        Statement(sid="OnlyBreakGlassStops", allows=False, actions=STOP, who=stops),
    )


def _one_or_all(arns: list[str]) -> str | list[str]:
    """Return a single ARN without a list, as AWS returns it."""
    return arns[0] if len(arns) == 1 else arns

"""Rules for permissions: roles, their trust, policies and boundaries, and wildcards."""

from __future__ import annotations

from collections.abc import Iterable

from seawall.change_review.preview import Change, Preview
from seawall.change_review.rules.keys import POWERS
from seawall.change_review.rules.rule import (
    Rule,
    both,
    changed_once_set,
    gone,
    kinds,
    only,
    removed,
    shown,
    value_at,
)
from seawall.iam import comparison, documents
from seawall.iam.allowed_wildcards import is_allowed

_IAM = "IAM User Guide"
_ROLES = kinds("iam/role:Role", "iam/user:User")
_POLICIES = kinds(
    "iam/policy:Policy",
    "iam/rolePolicy:RolePolicy",
    "iam/userPolicy:UserPolicy",
    "iam/groupPolicy:GroupPolicy",
)
_ATTACHMENTS = kinds(
    "iam/rolePolicyAttachment:RolePolicyAttachment", "iam/userPolicyAttachment:UserPolicyAttachment"
)
_RESOURCE_POLICIES = kinds(
    "kms/key:Key",
    "kms/replicaKey:ReplicaKey",
    "kms/keyPolicy:KeyPolicy",
    "s3/bucketPolicy:BucketPolicy",
    "sns/topicPolicy:TopicPolicy",
    "sns/topic:Topic",
    "sqs/queue:Queue",
    "sqs/queuePolicy:QueuePolicy",
    "secretsmanager/secretPolicy:SecretPolicy",
    "secretsmanager/secret:Secret",
    "backup/vaultPolicy:VaultPolicy",
)
_DESTRUCTIVE = (
    "s3:BypassGovernanceRetention",
    "s3:DeleteObjectVersion",
    "s3:PutBucketObjectLockConfiguration",
    "s3:DeleteBucket",
    "s3:PutBucketPolicy",
    "backup:DeleteRecoveryPoint",
    "backup:DeleteBackupVault",
    "backup:DeleteBackupVaultLockConfiguration",
    "cloudtrail:StopLogging",
    "cloudtrail:DeleteTrail",
    "events:DisableRule",
    "events:DeleteRule",
    "events:RemoveTargets",
    "cloudwatch:DeleteAlarms",
    "cloudwatch:DisableAlarmActions",
    "sns:DeleteTopic",
    "secretsmanager:GetSecretValue",
    "secretsmanager:DeleteSecret",
    "iam:PassRole",
    "iam:PutRolePolicy",
    "iam:AttachRolePolicy",
    "iam:UpdateAssumeRolePolicy",
    "iam:DeleteRolePermissionsBoundary",
    "iam:PutRolePermissionsBoundary",
    "iam:CreatePolicyVersion",
    "ssm:DeleteParameter",
    "sts:AssumeRole",
)
"""Actions that undo what the stack is for; a role that gains one is reviewed by a person."""


def _is_role(change: Change) -> bool:
    return change.kind in _ROLES


def _documents(
    change: Change,
) -> tuple[tuple[documents.Statement, ...], tuple[documents.Statement, ...]]:
    """Read the statements before and after.

    Raises:
        UnreadableError: one of the two documents cannot be judged.
    """
    pair = both(change)
    if pair is None or value_at(pair[0], "policy") == value_at(pair[1], "policy"):
        return (), ()
    before, after = (value_at(side, "policy") for side in pair)
    return documents.read(before), documents.read(after)


def _wider(change: Change, _: Preview) -> list[str]:
    try:
        before, after = _documents(change)
    except documents.UnreadableError as error:
        return [f"the new policy cannot be judged: {error}"]
    lost = comparison.lost_denials(before, after)
    return [
        *lost,
        *(
            f"new: {each}"
            for each in comparison.new_powers(before, after, (*POWERS, *_DESTRUCTIVE))
        ),
    ]


def _powerless(change: Change, _: Preview) -> list[str]:
    """Find a holder that loses the right to sign."""
    try:
        before, after = _documents(change)
    except documents.UnreadableError:
        return []
    return ["it may not sign any more" for _ in comparison.lost_powers(before, after, "kms:Sign")]


def _trusted(change: Change, _: Preview) -> list[str]:
    pair = both(change)
    if pair is None:
        return []
    old, new = (value_at(side, "assumeRolePolicy") for side in pair)
    if old == new or old is None:
        return []
    try:
        before, after = documents.read(old), documents.read(new)
    except documents.UnreadableError as error:
        return [f"the new trust cannot be judged: {error}"]
    actions = ("sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML")
    lost = comparison.lost_denials(before, after)
    return [*lost, *(f"new: {each}" for each in comparison.new_powers(before, after, actions))]


def _everything(change: Change, _: Preview) -> list[str]:
    """Find a wildcard that was not there before, in a new document or in a changed one."""
    if change.after is None:
        return []
    found: list[str] = []
    for path, resources in _texts(change):
        new, old = value_at(change.after, path), value_at(change.before, path)
        if new is None or new == old:
            continue
        try:
            now = comparison.wildcards(documents.read(new), resources=resources)
        except documents.UnreadableError:
            # A new resource; the change of an existing one is judged by the rule for its type.
            continue
        try:
            then = (
                comparison.wildcards(documents.read(old), resources=resources)
                if old is not None
                else []
            )
        except documents.UnreadableError:
            then = []
        known = {each.text for each in then}
        new_texts = {
            each.text
            for each in now
            if each.text not in known
            and not is_allowed(
                kind=change.kind,
                name=change.name,
                statement=each.statement,
                element=each.element,
                value=each.value,
            )
        }
        found += [f"{path}: {each}" for each in sorted(new_texts)]
    return found


def _texts(change: Change) -> Iterable[tuple[str, bool]]:
    """Yield the inputs that hold a document.

    With each: whether the resource `*` in it means more than the resource itself.
    """
    if change.kind in _POLICIES:
        yield "policy", True
    elif change.kind in _ROLES:
        yield "assumeRolePolicy", False
    elif change.kind in _RESOURCE_POLICIES:
        yield "policy", False


def _administrator(change: Change, _: Preview) -> list[str]:
    arn = str(value_at(change.after, "policyArn", ""))
    if (
        change.kind not in _ATTACHMENTS
        or (change.before or {}).get("policyArn") == arn
        or change.after is None
    ):
        return []
    broad = arn.startswith("arn:aws:iam::aws:policy/") and arn.endswith(
        ("AdministratorAccess", "FullAccess", "PowerUserAccess", "PowerUser")
    )
    return [f"policyArn: {shown(arn)}"] if broad else []


RULES: tuple[Rule, ...] = (
    Rule(
        id="boundary-removed",
        kinds=_ROLES,
        checks=(gone("permissionsBoundary"), changed_once_set("permissionsBoundary")),
        touches_money=True,
        consequence="Nothing limits what the role may be given: a principal that may write its "
        "policies may let it sign anywhere.",
        instead="Change the document of the boundary, where a reviewer can read the change; never "
        "attach another boundary.",
        source=f"{_IAM}, Permissions boundaries: the most that identity policies can grant",
    ),
    Rule(
        id="trust-widened",
        kinds=_ROLES,
        checks=(_trusted,),
        touches_money=True,
        consequence="A new principal can assume this role, and do all that it may: sign, "
        "administer or stop keys.",
        instead="Name the principal in the stack's configuration and have the owner of the bucket "
        "approve the override.",
        source=f"{_IAM}, Roles terms and concepts: the trust policy says who may assume the role",
    ),
    Rule(
        id="permissions-widened",
        kinds=_POLICIES,
        checks=(_wider,),
        touches_money=True,
        consequence="The holder can sign, destroy or unprotect what it could not before.",
        instead="Give the smallest action on the one resource, to a role of its own.",
        source=f"{_IAM}, Policy evaluation logic",
    ),
    Rule(
        id="role-removed",
        kinds=_ROLES | _POLICIES | _ATTACHMENTS,
        checks=(
            only(removed(), when=_is_role),
            only(removed(replaced_too=False), when=lambda change: not _is_role(change)),
            changed_once_set("name"),
            _powerless,
        ),
        touches_money=True,
        consequence="Principals that act through it no longer can: a signer does not sign, a "
        "break-glass role stops no key. "
        "A role of the same name made later is another principal to the key policies that named "
        "it.",
        instead="Make the second role, move its users, then remove the first with an override.",
        source=f"{_IAM}, AWS JSON policy elements, Principal: a deleted and recreated role has "
        "another unique id",
    ),
    Rule(
        id="wildcard-introduced",
        kinds=_ROLES | _POLICIES | _RESOURCE_POLICIES,
        checks=(_everything,),
        consequence="The statement covers more than a reviewer can list, and every resource that "
        "is made later.",
        instead="Name the actions and the resource; where AWS defines no resource for an action, "
        "add it to the list with its source.",
        source=f"{_IAM}, Grant least privilege; Service Authorization Reference",
    ),
    Rule(
        id="administrator-attached",
        kinds=_ATTACHMENTS,
        checks=(_administrator,),
        consequence="The holder may do anything in a service, or in the account.",
        instead="Attach a policy of the stack's own that names actions and resources.",
        source="AWS Managed Policy Reference Guide",
    ),
)

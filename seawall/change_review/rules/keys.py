"""Rules for signing keys, their replicas, policies and aliases.

To lose one of these is to lose an address, and the money at it.
"""

from __future__ import annotations

from collections.abc import Callable

from seawall.change_review.exposure import declared_addresses, wallet_of
from seawall.change_review.preview import Change, Preview
from seawall.change_review.rules.rule import (
    Check,
    Rule,
    both,
    changed,
    kinds,
    left,
    lowered,
    moved,
    only,
    removed,
    value_at,
)
from seawall.iam import comparison, documents

KEY = "aws:kms/key:Key"
REPLICA = "aws:kms/replicaKey:ReplicaKey"
_KEYS = frozenset({KEY, REPLICA})
_KMS = "AWS KMS API Reference"
SIGNING = "kms:Sign"
POWERS = (
    SIGNING,
    "kms:PutKeyPolicy",
    "kms:CreateGrant",
    "kms:ScheduleKeyDeletion",
    "kms:DisableKey",
    "kms:UpdatePrimaryRegion",
    "kms:DeleteAlias",
    "kms:UpdateAlias",
    "kms:Decrypt",
    "kms:DeleteImportedKeyMaterial",
)
"""Actions that a key policy must not give to a new principal without an override.

Signing, and the actions that lead to it or to the loss of the key.
"""


def signs(change: Change) -> bool:
    """Tell whether a key signs.

    A replica has the usage of its primary, and in this stack all replicas are of signing keys.
    """
    if change.kind == REPLICA:
        return True
    usages = {
        value_at(side, "keyUsage") for side in (change.before, change.after) if side is not None
    }
    return "SIGN_VERIFY" in usages


def _encrypts(change: Change) -> bool:
    return not signs(change)


def _weaker_policy(change: Change, _: Preview) -> list[str]:
    pair = both(change)
    if pair is None or change.removes:
        return []
    old, new = (value_at(side, "policy") for side in pair)
    if old == new:
        return []
    if new is None:
        return [
            (
                "the policy is gone, and the default policy lets every identity policy of the"
                " account give any right on the key"
            )
        ]
    if old is None:
        return []
    try:
        before, after = documents.read(old), documents.read(new)
    except documents.UnreadableError as error:
        return [f"the new policy cannot be judged: {error}"]
    return [
        *comparison.lost_denials(before, after),
        *(f"new: {each}" for each in comparison.new_powers(before, after, POWERS)),
    ]


def _root_signs(change: Change, _: Preview) -> list[str]:
    """Find a new key that everyone or the account's root may sign with."""
    if change.before is not None:
        return []
    try:
        statements = documents.read(value_at(change.after, "policy", {"Statement": []}))
    except documents.UnreadableError:
        # The policy of a new key is often not known yet; the program judges it once it is.
        return []
    return [
        f"{principal} may sign"
        for statement in statements
        if statement.allows(SIGNING)
        for principal in sorted(statement.principals)
        if principal == "*" or principal.endswith(":root")
    ]


def _signer_excluded(change: Change, _: Preview) -> list[str]:
    pair = both(change)
    if pair is None or change.removes:
        return []
    try:
        before, after = (
            documents.read(value_at(side, "policy", {"Statement": []})) for side in pair
        )
    except documents.UnreadableError:
        return []
    return [
        f"{principal} may not sign any more"
        for principal in comparison.lost_powers(before, after, SIGNING)
    ]


def _grants(change: Change, _: Preview) -> list[str]:
    if change.after is None or change.before == change.after:
        return []
    operations = value_at(change.after, "operations", [])
    risky = (
        [each for each in operations if each in ("Sign", "CreateGrant")]
        if isinstance(operations, list)
        else ["?"]
    )
    who = value_at(change.after, "granteePrincipal", "a principal")
    return [f"{who} is granted {', '.join(risky)}"] if risky else []


def _rotated(change: Change, _: Preview) -> list[str]:
    rotates = value_at(change.after, "enableKeyRotation", default=False)
    return ["enableKeyRotation: true on a signing key"] if rotates is True and signs(change) else []


def _made_again(change: Change, preview: Preview) -> list[str]:
    """Find a new key for a wallet that has an address already.

    The first key is missing in the engine's state.
    """
    if change.op not in {"create", "import"} or not signs(change):
        return []
    addresses = declared_addresses(preview.outputs)
    wallet = wallet_of(change, addresses)
    if wallet not in addresses or wallet != change.name:
        return []
    return [f"{wallet} has the address {addresses[wallet]} already, and would get another one"]


def _for(when: Callable[[Change], bool]) -> tuple[Check, ...]:
    return (
        only(removed(), when=when),
        only(changed("customerMasterKeySpec", default="SYMMETRIC_DEFAULT"), when=when),
        only(changed("keyUsage", default="ENCRYPT_DECRYPT"), when=when),
        only(changed("multiRegion", default=False), when=when),
        only(changed("region", "customKeyStoreId", "xksKeyId"), when=when),
        only(moved, when=when),
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="signing-key-replaced",
        kinds=frozenset({KEY}),
        checks=(*_for(signs), _made_again),
        touches_money=True,
        consequence="The address dies with the key: no one can ever sign for it again, and the "
        "money there cannot be moved.",
        instead="Keep the key. Make a second wallet beside it, move the money by an approved "
        "transfer, retire the first when it is empty; "
        "for a new name add `aliases=` to the resource.",
        source="Pulumi AWS kms.Key: customerMasterKeySpec, keyUsage, multiRegion force a new "
        "resource; "
        f"{_KMS}, ScheduleKeyDeletion: a deleted key cannot be recovered",
    ),
    Rule(
        id="encryption-key-replaced",
        kinds=frozenset({KEY}),
        checks=_for(_encrypts),
        consequence="Everything that was encrypted under the key (evidence, backups, secrets) "
        "becomes unreadable forever.",
        instead="Keep the key; let new data use a second one.",
        source=f"{_KMS}, ScheduleKeyDeletion: data encrypted under a deleted key is unrecoverable",
    ),
    Rule(
        id="replica-dropped",
        kinds=frozenset({REPLICA}),
        checks=(removed(), changed("region", "primaryKeyArn"), moved),
        touches_money=True,
        consequence="The standby region cannot sign for this address: when the primary region is "
        "dark, payouts stop.",
        instead="Make the new replica first, let its signer sign in a drill, then remove the old "
        "one with an override.",
        source="Pulumi AWS kms.ReplicaKey: region and primaryKeyArn force a new resource; "
        "AWS KMS Developer Guide, Multi-Region keys: one replica per region",
    ),
    Rule(
        id="key-disabled",
        kinds=_KEYS,
        checks=(left("isEnabled", True, default=True), left("enabled", True, default=True)),
        touches_money=True,
        consequence="A disabled key signs nothing: payouts from this address stop.",
        instead="Stop the signer at the signer; only the break-glass role disables a key, in an "
        "incident.",
        source=f"{_KMS}, DisableKey",
    ),
    Rule(
        id="deletion-window-shortened",
        kinds=_KEYS,
        checks=(lowered("deletionWindowInDays", default=30),),
        touches_money=True,
        consequence="A deletion by mistake or malice can be cancelled only within the window; "
        "afterwards the address is lost.",
        instead="Leave the window at 30 days, the longest that KMS allows.",
        source=f"{_KMS}, ScheduleKeyDeletion: PendingWindowInDays from 7 to 30, default 30",
    ),
    Rule(
        id="key-policy-weakened",
        kinds=_KEYS | kinds("kms/keyPolicy:KeyPolicy"),
        checks=(
            _weaker_policy,
            _root_signs,
            only(removed(), when=lambda change: change.kind.endswith(":KeyPolicy")),
            left("bypassPolicyLockoutSafetyCheck", False, default=False),
        ),
        touches_money=True,
        consequence="A new principal can sign for this address, or can take steps that lead to "
        "that or to the loss of the key.",
        instead="Name the new principal in the policy of the venue and have the owner of the "
        "bucket approve the override.",
        source="AWS KMS Developer Guide, Key policies: the key policy decides who may use the key, "
        "and an explicit deny wins",
    ),
    Rule(
        id="signer-excluded",
        kinds=_KEYS | kinds("kms/keyPolicy:KeyPolicy"),
        checks=(_signer_excluded,),
        touches_money=True,
        consequence="A signer loses its key: payouts through it stop at the next signature.",
        instead="Allow the new signer first, move the lane to it, then take the right away from "
        "the old one.",
        source="AWS KMS Developer Guide, Key policies: what no statement allows is denied",
    ),
    Rule(
        id="alias-moved",
        kinds=kinds("kms/alias:Alias"),
        checks=(removed(), changed("targetKeyId", "name", "region")),
        touches_money=True,
        consequence="A process that signs by this alias signs with another key, for another "
        "address, or not at all.",
        instead="Leave the alias; give a new key an alias of its own.",
        source=f"{_KMS}, UpdateAlias: associates an existing alias with a different key",
    ),
    Rule(
        id="grant-to-sign",
        kinds=kinds("kms/grant:Grant"),
        checks=(_grants,),
        touches_money=True,
        consequence="A grant gives the right to sign beside the key policy, where no reviewer of "
        "the policy sees it.",
        instead="Name the principal in the key policy; this kit uses no grants.",
        source=f"{_KMS}, CreateGrant",
    ),
    Rule(
        id="rotation-of-a-signing-key",
        kinds=frozenset({KEY}),
        checks=(_rotated,),
        touches_money=True,
        consequence="An asymmetric key cannot be rotated; other key material would be another "
        "address. AWS would refuse in the middle of the update.",
        instead="Remove enableKeyRotation.",
        source=f"{_KMS}, EnableKeyRotation: not for asymmetric KMS keys",
    ),
)

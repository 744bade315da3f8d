"""The table of what a change may not do unseen.

Data with citations, one module per part of the stack.

What enters: one change of a preview. What leaves: phrases that say what it does against which rule.
Whatever the table does not know and would delete or replace is refused as not understood.
"""

from __future__ import annotations

from seawall.change_review.preview import HARMLESS, REMOVING, STACK_KIND, Change, Preview
from seawall.change_review.rules import access, keys, monitors, storage
from seawall.change_review.rules.rule import Rule, changed

__all__ = ["NOT_UNDERSTOOD", "TABLE", "UNPROTECTED", "Rule", "not_understood"]

_PROVIDERS = "pulumi:providers:"
_REMOVABLE = frozenset(
    {
        # nothing expires any more
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2",
        "aws:kms/grant:Grant",  # a power less
    }
)
"""Known to the table, and without harm when they go."""


def _unprotected(change: Change, _: Preview) -> list[str]:
    return ["protect: true -> false"] if change.unprotects else []


UNPROTECTED = Rule(
    id="protection-removed",
    kinds=frozenset(),
    checks=(_unprotected,),
    touches_money=True,
    consequence="The engine would let the next update delete or replace it without a word.",
    instead="Leave `deletion: protected`; take a single resource out of protection with an override, in the change that removes it.",
    source="Pulumi documentation, Resource options: protect",
)

_PROVIDER_MOVED = Rule(
    id="provider-moved",
    kinds=frozenset({"pulumi:providers:aws"}),
    checks=(
        changed(
            "region",
            "profile",
            "assumeRoles",
            "endpoints",
            "allowedAccountIds",
            "accessKey",
            "skipRequestingAccountId",
        ),
    ),
    consequence="Every resource of this provider would be looked for somewhere else, not found there, and made anew: keys, addresses and all.",
    instead="Make a second stack for the other account or region.",
    source="Pulumi AWS Provider: region, profile, assumeRoles, endpoints, allowedAccountIds",
)

TABLE: tuple[Rule, ...] = (
    *keys.RULES,
    *access.RULES,
    *storage.RULES,
    *monitors.RULES,
    UNPROTECTED,
    _PROVIDER_MOVED,
)
_KNOWN = frozenset(kind for rule in TABLE for kind in rule.kinds) | _REMOVABLE

NOT_UNDERSTOOD = Rule(
    id="not-understood",
    kinds=frozenset(),
    checks=(),
    touches_money=True,
    consequence="This table does not know what would be lost, so nobody has said that it may be.",
    instead="Add the type to seawall/change_review/rules with its source, or have a person look and override this one change.",
    source="this kit: what is not known is refused",
)


def not_understood(change: Change) -> list[str]:
    """Why the table cannot judge ``change`` at all, as phrases.

    A component is no resource, its children are judged.
    """
    if change.op not in HARMLESS and change.op not in REMOVING:
        return [f"the operation {change.op} is not known"]
    if not change.removes or not change.custom or change.kind == STACK_KIND:
        return []
    if change.kind in _KNOWN or change.kind.startswith(_PROVIDERS):
        return []
    return [
        f"{change.kind} would be {'replaced' if change.replaces else 'deleted'}, and the table does not know that type"
    ]

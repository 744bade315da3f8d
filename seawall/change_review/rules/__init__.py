"""The table of rules: which changes are refused unless a person overrides; data with citations.

One module for each part of the stack. What enters: one change of a preview. What leaves: phrases
that say which rule it breaks and how. The deletion or replacement of a type that the table does not
know is refused as not understood.
"""

from __future__ import annotations

from seawall.change_review.preview import HARMLESS, REMOVING, STACK_KIND, Change, Preview
from seawall.change_review.rules import access, keys, monitors, storage
from seawall.change_review.rules.rule import Rule, changed

__all__ = ["NOT_UNDERSTOOD", "TABLE", "UNPROTECTED", "Rule", "not_understood"]

_PROVIDERS = "pulumi:providers:"
_REMOVABLE = frozenset(
    {
        # Without a lifecycle configuration nothing expires.
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2",
        # Without the grant a principal has one right less.
        "aws:kms/grant:Grant",
    }
)
"""Types that are known and whose removal does no harm."""


def _unprotected(change: Change, _: Preview) -> list[str]:
    return ["protect: true -> false"] if change.unprotects else []


UNPROTECTED = Rule(
    id="protection-removed",
    kinds=frozenset(),
    checks=(_unprotected,),
    touches_money=True,
    consequence="The engine would let the next update delete or replace it without a refusal.",
    instead="Leave `deletion: protected`; take a single resource out of protection with an "
    "override, in the change that removes it.",
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
    consequence="Every resource of this provider would be read in another place, not found there, "
    "and made anew, including keys and with them addresses.",
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
    consequence="This table does not know what would be lost.",
    instead="Add the type to seawall/change_review/rules with its source, or have a person check "
    "it and override this one change.",
    source="this kit: what is not known is refused",
)


def not_understood(change: Change) -> list[str]:
    """Return why the table cannot judge ``change``, as phrases.

    A component is passed over, since its children are resources and are judged.
    """
    if change.op not in HARMLESS and change.op not in REMOVING:
        return [f"the operation {change.op} is not known"]
    if not change.removes or not change.custom or change.kind == STACK_KIND:
        return []
    if change.kind in _KNOWN or change.kind.startswith(_PROVIDERS):
        return []
    verb = "replaced" if change.replaces else "deleted"
    return [f"{change.kind} would be {verb}, and the table does not know that type"]

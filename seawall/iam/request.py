"""One request, and the policies that bear on it; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from seawall.errors import CallerError

ContextValue = str | tuple[str, ...]


class UnevaluatedElementError(CallerError):
    """A policy uses an element that is not evaluated here; the message names it.

    The request that it bears on is denied.
    """


@dataclass(frozen=True, kw_only=True)
class Principal:
    """The caller: an IAM user, or a session of an IAM role.

    ``arn`` is the user's or the session's own; ``role`` is the role's ARN, None for a user;
    ``unique_id`` is the AIDA or AROA id that AWS shows in a policy whose principal was deleted.
    """

    arn: str
    account: str
    role: str | None = None
    unique_id: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Every ARN of this principal, the most specific first."""
        return (self.arn,) if self.role is None else (self.arn, self.role)


@dataclass(frozen=True)
class ServicePrincipal:
    """An AWS service that calls with no identity of the account, such as ``sns.amazonaws.com``."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request: a principal, an action and a resource.

    ``resource``: an ARN; ``*`` where the action has no resource type; None where it is not known
    which one is meant: then only a statement on ``*`` allows, and every deny of the action applies.
    ``context``: condition keys in lower case with their values, a tuple where AWS calls the key
    multivalued; a key that is not there is absent from the request. ``resource_account`` is the
    resource's owner, the caller's account unless given.
    """

    principal: Principal | ServicePrincipal
    action: str
    resource: str | None
    context: Mapping[str, ContextValue] = field(default_factory=dict)
    resource_account: str | None = None
    unknown_keys: frozenset[str] = frozenset()
    """Condition keys, in lower case, whose value AWS would know and the emulator does not. A
    condition that tests one cannot be evaluated.
    """

    @property
    def crosses_accounts(self) -> bool:
        """Whether the resource belongs to another account than the caller."""
        return isinstance(self.principal, Principal) and self.resource_account not in (
            None,
            self.principal.account,
        )


@dataclass(frozen=True, kw_only=True)
class ResourcePolicy:
    """What is attached to the resource asked for.

    ``documents``: its policy, and for a KMS key its grants as policy documents. ``decisive``:
    identity policies alone cannot allow, as for KMS keys and trust policies.
    """

    documents: tuple[str, ...]
    decisive: bool


@dataclass(frozen=True, kw_only=True)
class Policies:
    """Every policy that bears on a request, as JSON text.

    ``boundary``: the permissions boundary of the user or role, None without one. ``session``: the
    policies passed to AssumeRole, which add up; None if none was passed (an empty tuple allows
    nothing).
    """

    identity: tuple[str, ...] = ()
    boundary: str | None = None
    session: tuple[str, ...] | None = None
    resource: ResourcePolicy | None = None


@dataclass(frozen=True)
class Decision:
    """Whether the request may proceed, and why not, in the words that AWS uses."""

    allowed: bool
    reason: str = ""

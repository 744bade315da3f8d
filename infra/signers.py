"""Segregated signers: the keys of wallets and approvers, and the roles that may use them.

Each bucket has an admin and a break-glass role; each wallet has a key and one signer role in each
region. Who may do what with which key is declared in ``seawall.keys.access``; here it becomes
roles, boundaries and key policies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import iam

from infra.documents import allow, document
from infra.keys import SigningKey, SigningKeyArgs
from infra.principals import Principals
from infra.roles import Boundary, BoundaryArgs, SegregatedRole
from infra.settings import Deletion
from seawall.keys import access
from seawall.keys.access import Principal
from seawall.policy import Policy

_USES: Mapping[access.Kind, tuple[str, ...]] = {
    "signer": access.SIGN,
    "admin": access.ADMINISTER,
    "break-glass": access.BREAK_GLASS,
    "approver": access.SIGN,
}
"""The most that a kind of role may do with any key; each key's policy says who may use it."""


@dataclass(frozen=True, kw_only=True)
class SignersArgs:
    """The inputs of :class:`Signers`.

    Args:
        account: where everything is created.
        tags: bucket and wallet are added to them.
    """

    policy: Policy
    account: str
    principals: Principals
    deletion: Deletion
    tags: Mapping[str, str]


class Signers(pulumi.ComponentResource):
    """All keys of the policy, with the roles that may use them.

    ``signers``, ``approvers`` and ``principals`` are outputs of the stack.
    """

    signers: dict[str, dict[str, Any]]
    approvers: dict[str, dict[str, Any]]
    principals: dict[str, dict[str, Any]]

    def __init__(self, name: str, args: SignersArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("seawall:infra:Signers", name, None, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.principals = {}
        self._boundaries = {kind: self._boundary(kind, actions) for kind, actions in _USES.items()}
        policy = args.policy
        keepers = {
            bucket: [
                self._role(make(policy, bucket)) for make in (access.admin, access.break_glass)
            ]
            for bucket in access.key_buckets(policy)
        }
        self.signers = {
            wallet: self._wallet(wallet, keepers) for wallet in policy.signing_wallets()
        }
        self.approvers = {role: self._approver(role) for role in policy.approver_roles()}
        self.register_outputs(
            {"signers": self.signers, "approvers": self.approvers, "principals": self.principals}
        )

    def _boundary(self, kind: access.Kind, actions: tuple[str, ...]) -> Boundary:
        args = self._args
        keys = [
            f"arn:aws:kms:{region}:{args.account}:key/*" for region in access.regions(args.policy)
        ]
        bounds = BoundaryArgs(
            venue=args.policy.venue.name,
            account=args.account,
            statements=[allow("KeysWhosePolicyAgrees", actions, keys)],
            tags=args.tags,
        )
        return Boundary(kind, bounds, self._child)

    def _role(self, principal: Principal) -> iam.Role:
        args = self._args
        mine = {"bucket": principal.bucket, "wallet": principal.wallet}
        role = SegregatedRole(
            principal=principal,
            account=args.account,
            trusted=args.principals.trusted(principal),
            boundary=self._boundaries[principal.kind],
            tags={
                **args.tags,
                **{name: value for name, value in mine.items() if value is not None},
            },
        )
        self.principals[principal.name] = role.description
        return role.declare(principal.name, self._child)

    def _wallet(self, wallet: str, keepers: Mapping[str, list[iam.Role]]) -> dict[str, Any]:
        policy = self._args.policy
        declared = policy.wallets[wallet]
        who = {region: access.signer(policy, wallet, region) for region in access.regions(policy)}
        roles = [self._role(principal) for principal in who.values()]
        tags = {
            "owner": policy.buckets[declared.bucket].owner,
            "bucket": declared.bucket,
            "wallet": wallet,
        }
        key = self._key(
            access.wallet_key(policy, wallet), [*roles, *keepers[declared.bucket]], tags
        )
        return {
            "bucket": declared.bucket,
            "network": declared.network,
            "class": declared.wallet_class,
            **key,
            "roles": {
                region: principal.arn(self._args.account) for region, principal in who.items()
            },
        }

    def _approver(self, approver: str) -> dict[str, Any]:
        principal = access.approver(self._args.policy, approver)
        role = self._role(principal)
        key = self._key(
            access.approver_key(self._args.policy, approver), [role], {"approver": approver}
        )
        return {**key, "role_arn": principal.arn(self._args.account)}

    def _key(
        self, key: access.SigningKey, roles: list[iam.Role], tags: Mapping[str, str]
    ) -> dict[str, Any]:
        args = self._args

        def written(region: str) -> str:
            protected = args.deletion is Deletion.PROTECTED
            found = access.key_policy(
                args.policy, key, region, account=args.account, protected=protected
            )
            return document(*found["Statement"])

        made = SigningKey(
            key.name,
            SigningKeyArgs(
                alias=key.alias,
                purpose=f"{key.name} of {args.policy.venue.name}",
                policies={region: written(region) for region in access.regions(args.policy)},
                named=roles,
                deletion=args.deletion,
                tags={**args.tags, **tags},
            ),
            self._child,
        )
        return {"key_id": made.key_id, "address": made.address, "alias": key.alias}

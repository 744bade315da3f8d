"""Run the segregation drill on a stack, its principals and, where a venue runs, its signers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from seawall.accounts import declared_account, require_account
from seawall.drill.segregation.actors import Actors
from seawall.drill.segregation.canary import canaries
from seawall.drill.segregation.control import DeclaredKey, SignerDoor, challenge_all, looked_up
from seawall.drill.segregation.door import opened, try_beside
from seawall.drill.segregation.trial import Means, read_facts, try_all
from seawall.errors import ServiceError, UsageError
from seawall.keys import access
from seawall.keys.access import Principal
from seawall.policy import Policy
from seawall.scorecard.one_control import Trial, cells_of


@dataclass(frozen=True, kw_only=True)
class DrilledStack:
    """The stack that is drilled.

    ``outputs`` are the stack's; ``doors`` of signers by region and ``auditor_url`` are the
    venue's, if one runs.
    """

    policy: Policy
    stack: str
    outputs: Mapping[str, Any]
    actors: Actors
    means: Means
    doors: Mapping[str, SignerDoor] = field(default_factory=dict)
    auditor_url: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Raise :class:`UsageError` for outputs of another policy."""
        if self.outputs.get("policy_digest") != self.policy.infrastructure_digest:
            message = "the stack was brought up from another policy than this one"
            raise UsageError(
                message,
                remedy="run `pulumi up` with this policy first, or name the policy of the stack",
            )

    @property
    def account(self) -> str:
        """The account that the policy names for the stack.

        Raises :class:`UsageError` for a stack that it does not name.
        """
        return declared_account(self.policy, self.stack)

    def observed(self, principals: Iterable[Principal]) -> dict[str, str]:
        """The account of each of ``principals``, as AWS says, by name.

        Raises :class:`UsageError` if one leads to another account than the stack's: what it is
        denied there proves nothing here, and what it changes is not ours.
        """
        account, primary = self.account, self.policy.regions.primary
        return {
            each.name: require_account(
                self.actors.sts(each, primary), who=f"the profile {each.name}", account=account
            )
            for each in dict.fromkeys(principals)
        }


def drill_segregation(drilled: DrilledStack, *, report: Callable[[str], None]) -> dict[str, Any]:
    """Try everything; returns the evidence (`seawall.scorecard.one_control`).

    Raises :class:`UsageError` for outputs that lack something and for principals of another
    account, before anything is tried; :class:`ServiceError` if KMS does not serve.
    """
    policy, account, outputs = drilled.policy, drilled.account, drilled.outputs
    wallets = _declared(outputs, "signers", policy.signing_wallets(), str)
    approvers = _declared(
        outputs, "approvers", policy.approver_roles(), lambda role: f"approver-{role}"
    )
    declared_keys = {
        key.name: (declared.key_id, key.alias)
        for key, declared in (
            *((access.wallet_key(policy, wallet), wallets[wallet]) for wallet in wallets),
            *((access.approver_key(policy, role), approvers[role]) for role in approvers),
        )
    }
    protected = outputs.get("deletion") == "protected"
    cells = cells_of(policy, protected=protected)
    principals = {cell.principal.name for cell in cells}
    primary, standby = access.regions(policy)
    report(
        f"{len(principals)} principals x {len(declared_keys)} keys x 2 regions:"
        f" {len(cells):,} cells to try"
    )
    observed = drilled.observed(cell.principal for cell in cells)
    facts = read_facts(drilled.actors, declared_keys, (primary, standby))
    try:
        with canaries(
            drilled.actors,
            venue=policy.venue.name,
            account=account,
            primary=primary,
            standby=standby,
        ) as canary_of:
            trials = try_all(
                cells,
                actors=drilled.actors,
                account=account,
                facts=facts,
                canaries=canary_of,
                means=drilled.means,
                report=report,
            )
            # Where money is at stake, nothing is allowed for a try, however harmless.
            behind: list[Trial] | None = None
            if drilled.means.harm:
                report("the fault role lets every signer do everything, which must change nothing")
                with opened(drilled.actors, policy):
                    behind = try_all(
                        [cell for cell in cells if cell.principal.kind == "signer"],
                        actors=drilled.actors,
                        account=account,
                        facts=facts,
                        canaries=canary_of,
                        means=drilled.means,
                        report=report,
                    )
    except (ClientError, BotoCoreError) as error:
        message = f"the canary or a policy could not be made, changed or removed: {error}"
        raise ServiceError(
            message,
            remedy="let the deployer make, change and schedule the deletion of keys, and the fault"
            " role write inline policies of the signers' roles",
        ) from error
    beside = try_beside(drilled.actors, policy, account)
    report("every key signs a challenge, in both regions")
    challenged = challenge_all(
        drilled.actors,
        policy,
        stack=drilled.stack,
        wallets=wallets,
        approvers=approvers,
        doors=drilled.doors,
    )
    proofs = asyncio.run(looked_up(challenged, drilled.auditor_url))
    return {
        "observed_accounts": observed,
        "protected": protected,
        "dry_run": drilled.means.dry_run,
        "harm": drilled.means.harm,
        "cells": [trial.line() for trial in sorted(trials, key=lambda trial: str(trial.line()))],
        "proofs": [proof.line() for proof in proofs],
        "beside": [each.line() for each in beside],
        "behind": None if behind is None else [trial.line() for trial in behind],
    }


def _declared(
    outputs: Mapping[str, Any], section: str, wanted: Any, name_of: Callable[[str], str]
) -> dict[str, DeclaredKey]:
    found = outputs.get(section)
    missing = [each for each in wanted if not isinstance(found, Mapping) or each not in found]
    if missing or not isinstance(found, Mapping):
        message = f"the stack's outputs lack {section} of {', '.join(missing)}"
        raise UsageError(message, remedy="run `pulumi up`; the policy asks for them")
    return {
        each: DeclaredKey(
            name=name_of(each), key_id=found[each]["key_id"], address=found[each]["address"]
        )
        for each in wanted
    }

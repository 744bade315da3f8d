"""What a segregation drill works on: a deployment, or a stack that has no deployment file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from seawall.accounts import account_of_deployment
from seawall.conventions import environment, signing
from seawall.drill.segregation.actors import ProfileActors
from seawall.drill.segregation.control import SignerDoor
from seawall.drill.segregation.run import DrilledStack
from seawall.drill.segregation.trial import Means
from seawall.errors import UsageError
from seawall.formats.deployment import Deployment
from seawall.formats.documents import read_json
from seawall.formats.venue_records import connect
from seawall.policy import Policy


def stack_outputs(deployment: Deployment) -> dict[str, Any]:
    """The outputs of the deployment's stack. Raises :class:`UsageError` if it names none."""
    if deployment.outputs is None:
        raise UsageError(
            f"{deployment.path} names no outputs of a stack",
            remedy="remove the sandbox with `bin/seawall down` and start another with"
            " `bin/seawall up`",
        )
    return _document(deployment.outputs)


def on_deployment(deployment: Deployment, policy: Policy) -> DrilledStack:
    """A stack that a deployment file describes.

    Where all its money is play money, everything is tried in earnest. Raises :class:`UsageError`
    if the file does not say enough, if it contradicts the policy's account of the stack, or if
    the stack is of another policy.
    """
    account_of_deployment(deployment, policy)
    return DrilledStack(
        policy=policy,
        stack=deployment.stack,
        outputs=stack_outputs(deployment),
        actors=ProfileActors(deployment.principals),
        means=Means(dry_run=not deployment.play_money, harm=deployment.play_money),
        doors={
            region: SignerDoor(url=signer.url, headers=signer.headers("prover"))
            for region, signer in deployment.signers.items()
        },
        auditor_url=None if deployment.venue.records is None else connect(deployment).auditor_url(),
    )


def on_real_stack(policy: Policy, *, stack: str, outputs: Path, venue: Path | None) -> DrilledStack:
    """A stack of the user's, by its outputs and a profile per principal.

    Nothing there is done that is not undone by itself.

    ``venue`` is the venue's configuration, for its signers, which the environment has a credential
    for; the signers' log is read where the environment names a database. Raises
    :class:`UsageError` if the stack is of another policy.
    """
    signers = _document(venue).get("signers", {}) if venue is not None else {}
    return DrilledStack(
        policy=policy,
        stack=stack,
        outputs=_document(outputs),
        actors=ProfileActors(),
        means=Means(dry_run=True, harm=False),
        doors={
            region: SignerDoor(url=str(site["url"]), headers=_headers())
            for region, site in signers.items()
        },
        auditor_url=os.environ.get(environment.DATABASE_VARIABLE),
    )


def _headers() -> dict[str, str]:
    credential = os.environ.get(environment.SIGNER_CREDENTIAL_VARIABLE)
    return signing.authorization(credential) if credential else {}


def _document(path: Path) -> dict[str, Any]:
    found = read_json(path, remedy="write it with `pulumi stack output --json`")
    if not isinstance(found, dict):
        message = f"{path} holds no mapping"
        raise UsageError(message, remedy="write it with `pulumi stack output --json`")
    return found

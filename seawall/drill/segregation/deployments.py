"""Where a segregation drill can be held: a sandbox that runs, or a real stack."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sandbox.bring_up import IDENTITIES, OUTPUTS
from sandbox.identities import Identities
from sandbox.stack_environment import STACK
from sandbox.supervisor import Sandbox
from seawall.conventions import components, environment
from seawall.drill.segregation.actors import ProfileActors, SandboxActors
from seawall.drill.segregation.run import Ground
from seawall.drill.segregation.trial import Means
from seawall.errors import UsageError
from seawall.formats.documents import read_json
from seawall.policy import Policy


def in_sandbox(sandbox: Sandbox, policy: Policy) -> Ground:
    """A sandbox whose stack is up; its money is play money, so everything is tried in earnest.

    Raises :class:`UsageError` if it has none.
    """
    data_dir, targets = sandbox.data_dir, sandbox.targets
    if not (data_dir / OUTPUTS).is_file():
        message = f"the sandbox in {data_dir} has no stack"
        raise UsageError(
            message,
            remedy="remove it with `bin/seawall down` and start another with `bin/seawall up`",
        )
    return Ground(
        policy=policy,
        stack=STACK,
        outputs=_document(data_dir / OUTPUTS),
        actors=SandboxActors(
            Identities.read(data_dir / IDENTITIES),
            endpoint=targets.urls.aws,
            account=policy.accounts[STACK],
            region=policy.regions.primary,
        ),
        means=Means(dry_run=False, harm=True),
        signer_urls={
            region: targets.proxy_url(components.signer_proxy(region))
            for region in (policy.regions.primary, policy.regions.standby)
        },
        auditor_url=sandbox.database_url("auditor"),
    )


def on_real_stack(policy: Policy, *, stack: str, outputs: Path, venue: Path | None) -> Ground:
    """A stack of the user's, by its outputs and a profile per principal.

    Nothing there is done that is not undone by itself.

    ``venue`` is the venue's configuration, for its signers; the signers' log is read where the
    environment names a database.
    """
    signers = _document(venue).get("signers", {}) if venue is not None else {}
    return Ground(
        policy=policy,
        stack=stack,
        outputs=_document(outputs),
        actors=ProfileActors(),
        means=Means(dry_run=True, harm=False),
        signer_urls={region: str(site["url"]) for region, site in signers.items()},
        auditor_url=os.environ.get(environment.DATABASE_VARIABLE),
    )


def _document(path: Path) -> dict[str, Any]:
    found = read_json(path, remedy="write it with `pulumi stack output --json`")
    if not isinstance(found, dict):
        message = f"{path} holds no mapping"
        raise UsageError(message, remedy="write it with `pulumi stack output --json`")
    return found

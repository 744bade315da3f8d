"""``seawall reconcile``: what explains each base unit of a venue's money?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seawall.cli.options import JsonOption, console, emit
from seawall.errors import UsageError

if TYPE_CHECKING:
    from seawall.formats.deployment import Deployment


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command("reconcile")(_reconcile)


def _reconcile(
    *,
    deployment: Annotated[
        Path | None,
        typer.Option(
            "--deployment",
            help="The deployment file (docs/own-venue.md); that of the environment, or of the kept"
            " sandbox, if it is left out.",
            show_default="SEAWALL_DEPLOYMENT",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Explain every base unit that the venue has paid, holds and owes.

    From a cold start: its records are read once, as an auditor; each network from its observers'
    node, at one final block. Each payment is held against its withdrawal, slot, transaction and
    block, each wallet against the ledger. Changes nothing.

    Exit codes: 0 all that the venue lets anybody compare is explained, 1 a difference or a
    contradiction, 2 not known, 3 usage, 4 unfit. See docs/reconciliation.md.
    """
    # start-up of other commands stays quick
    from seawall.policy_file import load_policy  # noqa: PLC0415
    from seawall.reconciliation.run import reconcile  # noqa: PLC0415
    from seawall.reconciliation.views import document, panel  # noqa: PLC0415

    loaded = _loaded(deployment)
    policy = load_policy(loaded.policy)
    found = reconcile(loaded, policy, report=lambda line: print(line, file=sys.stderr))
    if as_json:
        emit(document(found))
    else:
        console().print(panel(found, policy))
    return found.outcome.exit_code


def _loaded(path: Path | None) -> Deployment:
    from seawall.formats.deployment import deployment_of_environment, load_deployment  # noqa: PLC0415
    from seawall.sandbox_program import kept_deployment  # noqa: PLC0415

    named = path or deployment_of_environment()
    if named is not None:
        return load_deployment(named)
    kept = kept_deployment()
    if kept is None:
        raise UsageError(
            "it is not known which venue is meant, and no sandbox is kept",
            remedy="name its file with --deployment",
        )
    return kept

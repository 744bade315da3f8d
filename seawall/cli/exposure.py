"""``seawall exposure``: what each payout route has, now and after one cycle of stress."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from seawall.cli.options import DEFAULT_POLICY, JsonOption, console, emit
from seawall.errors import UsageError

if TYPE_CHECKING:
    from seawall.exposure.views import Shown


def register(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command("exposure")(_exposure)


def _exposure(
    policy: Annotated[
        Path | None, typer.Argument(help="A policy file.", show_default="policies/sandbox.yaml")
    ] = None,
    *,
    deployment: Annotated[
        Path | None,
        typer.Option(
            "--deployment",
            help="Read what this running stack has: its deployment file (docs/own-venue.md), which"
            " names its policy.",
        ),
    ] = None,
    level: Annotated[
        Literal["target", "minimum"] | None,
        typer.Option(
            "--level",
            help="Of a policy: everything is at its declared target, or at its minimum.",
            show_default="target",
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the map as one HTML file as well.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Show what each payout route has, now and after one cycle of stress.

    By network wallet and provider, by bucket, and by what customers may do: what is there, what
    the policy's declared stress takes, what comes back within it, and what is left against the
    minimum. Changes nothing.

    Exit codes: 0 nothing that the policy lets anybody judge is short, 1 something is short of its
    minimum after the cycle, 2 not known, 3 usage. See docs/exposure.md.
    """
    # start-up of other commands stays quick
    from seawall.exposure.views import document, panel  # noqa: PLC0415

    shown = (
        _declared(policy or DEFAULT_POLICY, level or "target")
        if deployment is None
        else _read(deployment, policy=policy, level=level)
    )
    if html is not None:
        from seawall.exposure.page import render  # noqa: PLC0415
        from seawall.formats.atomic import write_whole  # noqa: PLC0415

        if not html.parent.is_dir():
            raise UsageError(f"there is no folder {html.parent}", remedy="make it first")
        write_whole(html, render(shown))
    if as_json:
        emit(document(shown))
    else:
        console().print(panel(shown))
    return shown.outcome.exit_code


def _declared(policy: Path, level: Literal["target", "minimum"]) -> Shown:
    from seawall.exposure.views import Shown  # noqa: PLC0415
    from seawall.feasibility.exposure import as_declared, exposure_of  # noqa: PLC0415
    from seawall.policy_file import load_policy  # noqa: PLC0415

    loaded = load_policy(policy)
    return Shown(
        exposure=exposure_of(loaded, as_declared(loaded, level)),
        stack=None,
        basis=f"nothing is read: everything is at its declared {level}",
        at_s=None,
    )


def _read(path: Path, *, policy: Path | None, level: str | None) -> Shown:
    import time  # noqa: PLC0415

    from seawall.exposure.live import observe  # noqa: PLC0415
    from seawall.exposure.views import Shown, when  # noqa: PLC0415
    from seawall.feasibility.exposure import exposure_of  # noqa: PLC0415
    from seawall.formats.deployment import load_deployment  # noqa: PLC0415
    from seawall.policy_file import load_policy  # noqa: PLC0415

    if policy is not None:
        raise UsageError(
            "a policy and a deployment are both named",
            remedy="leave the policy out: the deployment file says which one is in force",
        )
    if level is not None:
        raise UsageError(
            "--level is of what is declared, and a running stack is read",
            remedy="leave out --level or --deployment",
        )
    deployment = load_deployment(path)
    loaded = load_policy(deployment.policy)
    observed = observe(
        deployment, loaded, now_s=time.time, report=lambda line: print(line, file=sys.stderr)
    )
    assert observed.at_s is not None
    return Shown(
        exposure=exposure_of(loaded, observed),
        stack=deployment.stack,
        basis=f"wallets, providers' funds and who waits were read at {when(observed.at_s)};"
        " minimums, buffers, limits, credit lines, top-ups and what the cycle takes are declared",
        at_s=observed.at_s,
    )

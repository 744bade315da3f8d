"""The commands of ``seawall`` and what their exit codes mean.

0 pass, 1 fail, 2 unknown, 3 usage or policy error, 4 unfit environment. Nothing else leaves this
process, and a traceback never reaches a user: what we did not expect is UNKNOWN and is written to a
file.
"""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from seawall.cli import contract, drills, exposure, infra, listing, readiness, reconcile, runs
from seawall.cli.options import (
    DEFAULT_POLICY,
    ROOT,
    DeploymentOption,
    DrilledPolicyOption,
    JsonOption,
    KeepOption,
    PolicyOption,
    SabotageOption,
    SeedOption,
    console,
    emit,
)
from seawall.errors import ExitCode, PolicyError, SeawallError, UsageError
from seawall.formats.run_directory import UNKNOWN, commit_of

_INTERRUPTED = 130
"""What Typer makes of Ctrl-C."""

_HELP = """
If everyone withdraws at once while a provider fails: do we keep paying, degrade as promised, and
recover in time?

Begin with `seawall gameday`: it starts everything, drills, and ends with a report and a verdict.

Exit codes: 0 pass, 1 fail, 2 unknown, 3 usage or policy error, 4 unfit environment.
"""
_COMMANDS = (
    "gameday",
    "drill",
    "list",
    "readiness",
    "gate",
    "runs",
    "scorecard",
    "check",
    "exposure",
    "contract",
    "reconcile",
    "up",
    "env",
    "down",
    "review",
    "drift",
    "render",
    "doctor",
)
"""The order in which help lists them: as a newcomer needs them."""


class _Commands(TyperGroup):
    """Lists the commands in the order of `_COMMANDS`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all commands; one that is not in `_COMMANDS` comes last."""
        known = {name: place for place, name in enumerate(_COMMANDS)}
        return sorted(super().list_commands(ctx), key=lambda name: known.get(name, len(known)))


_COMPLETION = frozenset({"--install-completion", "--show-completion"})
"""Options that Typer adds."""

app = typer.Typer(
    name="seawall",
    cls=_Commands,
    help=_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(drills.app, name="drill")
app.add_typer(listing.app, name="list")
app.add_typer(runs.app, name="runs")
app.add_typer(contract.app, name="contract")
readiness.register(app)
reconcile.register(app)
exposure.register(app)
infra.register(app)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if wanted:
        commit, dirty = commit_of(ROOT)
        print(f"seawall {commit}{' with local changes' if dirty and commit != UNKNOWN else ''}")
        raise typer.Exit


@app.callback()
def options(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the commit of this checkout and exit.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code and never raises."""
    try:
        result = app(list(arguments), prog_name="seawall", standalone_mode=False)
    except TyperException as error:
        return _refuse(
            arguments, f"{error} (see `seawall --help`, or --help after a command)", ExitCode.USAGE
        )
    except SeawallError as error:
        return _refuse(arguments, str(error), error.exit_code)
    except SystemExit as stop:  # how Typer ends --show-completion
        return stop.code if isinstance(stop.code, int) else ExitCode.PASS
    # the top: an unexpected error is UNKNOWN, never a traceback or a pass
    except Exception as error:  # noqa: BLE001
        with tempfile.NamedTemporaryFile(
            "w", prefix="seawall-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            traceback.print_exc(file=file)
        text = (
            f"{type(error).__name__}: {error}; this is a bug in the kit,"
            f" the details are in {file.name}"
        )
        return _refuse(arguments, text, ExitCode.UNKNOWN)
    if result == _INTERRUPTED:
        return _refuse(arguments, "interrupted; nothing was proven", ExitCode.UNKNOWN)
    if result and not _COMPLETION.isdisjoint(arguments):
        return ExitCode.USAGE  # Typer's 1 for a shell that it does not know would read as FAIL
    return int(result) if isinstance(result, int) else ExitCode.PASS


def _refuse(arguments: Sequence[str], text: str, code: ExitCode) -> ExitCode:
    """Say on standard error why there is no result.

    With ``--json`` also on standard output, for machines.
    """
    print(f"seawall: {text}", file=sys.stderr)
    if "--json" in arguments:
        emit({"error": text, "exit_code": int(code)})
    return code


@app.command()
def doctor(*, as_json: JsonOption = False) -> int:
    """List every external part that the kit needs.

    With its version, where it was found, and what to do if it is missing or too old.
    """
    # start-up of other commands stays quick
    from seawall.setup.doctor import examine, render  # noqa: PLC0415

    parts = examine()
    if as_json:
        emit([vars(part) for part in parts])
    else:
        console().print(render(parts))
    return ExitCode.PASS if all(part.ok for part in parts) else ExitCode.UNFIT


@app.command()
def check(
    policy: Annotated[
        Path, typer.Argument(help="A policy file.", show_default="policies/sandbox.yaml")
    ] = DEFAULT_POLICY,
    *,
    as_json: JsonOption = False,
) -> int:
    """Validate a policy, and show how much room it leaves.

    Every problem at once, each with its path, the value found and the remedy. The flood of each
    drill is planned once, to see whether it can do what the drill expects.
    """
    from seawall.cli.margins import as_document, as_table  # noqa: PLC0415
    from seawall.drill_check import FAULTS, FLOODS, require_drills  # noqa: PLC0415
    from seawall.feasibility import sums_of  # noqa: PLC0415
    from seawall.policy_file import load_policy  # noqa: PLC0415

    try:
        loaded = load_policy(policy)
        require_drills(policy, FAULTS, FLOODS)
    except PolicyError as error:
        if not as_json:
            raise
        emit(
            {
                "policy": str(policy),
                "ok": False,
                "problems": [vars(problem) for problem in error.problems],
            }
        )
        return ExitCode.USAGE
    if as_json:
        emit(
            {
                "policy": str(policy),
                "ok": True,
                "digest": loaded.digest,
                "problems": [],
                "sums": as_document(sums_of(loaded)),
            }
        )
    else:
        print(f"{policy}: good, digest {loaded.digest}")
        console().print(as_table(sums_of(loaded)))
    return ExitCode.PASS


@app.command()
def render(
    *,
    policy: PolicyOption = DEFAULT_POLICY,
    check_only: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 if a file is stale.")
    ] = False,
) -> int:
    """Render what follows from a policy into generated/.

    Alert rules, their tests, alert routing, the list of expected resources, and experiments.
    """
    import subprocess  # noqa: PLC0415

    options = ["--policy", str(policy), *(["--check"] if check_only else [])]
    codes = [
        subprocess.run(
            [sys.executable, "-P", "-m", module, *options], cwd=ROOT, check=False
        ).returncode
        for module in ("monitors.render", "infra.render", "chaos.render")
    ]
    return next((code for code in codes if code), ExitCode.PASS)


@app.command()
def gameday(
    *,
    policy: DrilledPolicyOption = None,
    deployment: DeploymentOption = None,
    name: Annotated[
        str | None,
        typer.Option("--gameday", help="Which of the policy's game days; the first by default."),
    ] = None,
    seed: SeedOption = None,
    sabotage: SabotageOption = None,
    keep: KeepOption = False,
    as_json: JsonOption = False,
) -> int:
    """Run the drills of a game day, one after another on one deployment.

    The first game day of the shipped policy is a bank run while a signing region is dark. Each
    drill ends with a report and a verdict; the exit code is that of the worst.
    """
    from seawall.drill.gameday import make_request, run_gameday  # noqa: PLC0415

    request = make_request(
        root=ROOT,
        policy_path=DEFAULT_POLICY if policy is None and deployment is None else policy,
        deployment=deployment,
        name=name,
        seed=seed,
        sabotage=sabotage,
        keep=keep,
    )
    return run_gameday(request, as_json=as_json)


@app.command()
def up(
    *,
    policy: PolicyOption = DEFAULT_POLICY,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the customers.")] = 1,
) -> int:
    """Start a sandbox with stack and venue, and leave it running."""
    from seawall.drill.gameday import bring_up, make_request  # noqa: PLC0415

    return bring_up(
        make_request(root=ROOT, policy_path=policy, name=None, seed=seed, sabotage=None, keep=True)
    )


@app.command()
def down() -> int:
    """Remove the sandbox that `up` or `gameday --keep` left."""
    from seawall.sandbox_program import end_kept  # noqa: PLC0415

    print(end_kept())
    return ExitCode.PASS


@app.command()
def env() -> int:
    """Print the environment for working on the kept sandbox by hand.

    For pulumi, chaos, locust, promtool and aws.

    Use it as: eval "$(bin/seawall env)".
    """
    from seawall.sandbox_program import kept_exports  # noqa: PLC0415

    print(kept_exports(), end="")
    return ExitCode.PASS


@app.command()
def scorecard(
    run: Annotated[Path, typer.Argument(help="A run directory.", show_default="runs/latest")] = ROOT
    / "runs"
    / "latest",
    *,
    as_json: JsonOption = False,
) -> int:
    """Judge a run directory again, from its files alone.

    Writes its verdict, scorecard and report.
    """
    from seawall.scorecard import terminal_summary, write  # noqa: PLC0415

    if not run.is_dir():
        message = f"there is no run directory {run}"
        raise UsageError(message, remedy="run `seawall gameday` first, or name one under runs/")
    verdict = write(run)
    if as_json:
        emit(json.loads((run / "verdict.json").read_text(encoding="utf-8")))
    else:
        console().print(terminal_summary(verdict, run))
    return verdict.exit_code

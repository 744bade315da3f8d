"""``seawall drill``: one control at a time."""

from __future__ import annotations

from typing import Annotated

import typer

from seawall.cli.options import DEFAULT_POLICY, ROOT, JsonOption, PolicyOption, console, emit

app = typer.Typer(
    help="Drill one control at a time, each on a sandbox of its own; exit codes as everywhere: 0 pass, 1 fail, 2 unknown.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("noisy-neighbour")
def noisy_neighbour(
    *,
    policy: PolicyOption = DEFAULT_POLICY,
    seed: Annotated[int | None, typer.Option(min=0, help="Replay a run: the same arrivals.")] = None,
    sabotage: Annotated[
        str | None, typer.Option(help="Switch the control off (bulkhead): the drill must then FAIL.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Flood one bucket's signer beyond the account's signing quota: another bucket must go on signing in time."""
    from seawall.drills.run import drill_neighbour  # noqa: PLC0415  (start-up of other commands stays quick)

    result, path = drill_neighbour(root=ROOT, policy_path=policy, seed=seed, sabotage=sabotage)
    if as_json:
        emit(result.document())
    else:
        console().print(result.panel(path))
    return result.outcome.exit_code

"""``seawall drill``: drills of the policy by name, and drills of one control."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

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
)
from seawall.conventions.sabotage import SABOTAGE_BULKHEAD
from seawall.errors import UsageError

_DECLARED = "declared"


class _Drills(TyperGroup):
    """Takes any other name as that of a drill which the policy declares."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command for ``args``; for drills by name, the one that runs them."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            return super().resolve_command(ctx, [_DECLARED, *args])
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Drills,
    help="Run drills that the policy declares, by name: seawall drill NAME... [OPTIONS].\n\n"
    "`seawall list drills` names them, `seawall drill declared --help` lists the options. The"
    " commands below drill one control each.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command(_DECLARED)
def declared(
    names: Annotated[list[str], typer.Argument(help="Drills of the policy, in their order.")],
    *,
    policy: DrilledPolicyOption = None,
    deployment: DeploymentOption = None,
    seed: SeedOption = None,
    sabotage: SabotageOption = None,
    keep: KeepOption = False,
    as_json: JsonOption = False,
) -> int:
    """Run drills of the policy by name, one after another on one sandbox or a stack that runs.

    The word `declared` can be left out.
    """
    # start-up of other commands stays quick
    from seawall.drill.gameday import make_request, run_gameday  # noqa: PLC0415

    request = make_request(
        root=ROOT,
        policy_path=DEFAULT_POLICY if policy is None and deployment is None else policy,
        deployment=deployment,
        name=None,
        drills=names,
        seed=seed,
        sabotage=sabotage,
        keep=keep,
    )
    return run_gameday(request, as_json=as_json)


@app.command("noisy-neighbour")
def noisy_neighbour(
    *,
    policy: PolicyOption = DEFAULT_POLICY,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Replay a run: the same arrivals.")
    ] = None,
    sabotage: Annotated[
        str | None,
        typer.Option(
            help="Switch this control off; the drill must then FAIL.", metavar=SABOTAGE_BULKHEAD
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Flood one bucket's signer beyond the account's signing quota.

    Another bucket must go on signing in time.
    """
    # start-up of other commands stays quick
    from seawall.drill.single import drill_neighbour  # noqa: PLC0415

    results = drill_neighbour(root=ROOT, policy_path=policy, seed=seed, sabotage=sabotage)
    return results.show(as_json=as_json)


@app.command()
def segregation(
    *,
    policy: PolicyOption = DEFAULT_POLICY,
    stack: Annotated[
        str | None,
        typer.Option(help="A real stack, by its name in the policy; without it a sandbox is used."),
    ] = None,
    outputs: Annotated[
        Path | None, typer.Option(help="What `pulumi stack output --json` says of that stack.")
    ] = None,
    venue: Annotated[
        Path | None,
        typer.Option(
            help="The venue's configuration, for its signers: each key then answers through them."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Every principal tries every action on every key.

    In both regions; then every key answers a challenge. The answers must be the policy's, cell by
    cell. On a real stack each principal is an AWS profile called like its role; signatures are dry
    runs there, and what could stop a key is tried on a canary with the key's own policy.
    """
    from seawall.drill.single import drill_segregation_in_sandbox, drill_segregation_on_stack  # noqa: PLC0415

    if stack is None:
        if outputs is not None or venue is not None:
            message = "--outputs and --venue describe a real stack, but none is named"
            raise UsageError(
                message, remedy="add --stack NAME, or leave them out to drill in a sandbox"
            )
        results = drill_segregation_in_sandbox(root=ROOT, policy_path=policy)
    elif outputs is None:
        message = f"the outputs of {stack} are not given"
        raise UsageError(
            message, remedy="add --outputs FILE, written with `pulumi stack output --json`"
        )
    else:
        results = drill_segregation_on_stack(
            root=ROOT, policy_path=policy, stack=stack, outputs=outputs, venue=venue
        )
    return results.show(as_json=as_json)

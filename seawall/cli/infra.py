"""Commands about planned and unplanned changes of the infrastructure."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from seawall.cli.options import ROOT, JsonOption, emit
from seawall.errors import UsageError

_Stack = Annotated[
    str | None, typer.Option("--stack", help="The stack; the one selected by default.")
]
_ConfigFile = Annotated[
    Path | None,
    typer.Option("--config-file", help="The stack's configuration, if it is not in infra/stacks."),
]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(review)
    app.command(name="guard", hidden=True)(_guard)
    app.command()(drift)


def review(
    *,
    preview: Annotated[
        str | None,
        typer.Option(
            help="Output of `pulumi preview --json --show-sames`; - for standard input."
            " Made here by default."
        ),
    ] = None,
    stack: _Stack = None,
    config_file: _ConfigFile = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy", help="The policy; the one that the stack is declared from by default."
        ),
    ] = None,
    policy_before: Annotated[
        Path | None,
        typer.Option(
            help="The policy in force until now, if the change brings another:"
            " what stands behind a wallet."
        ),
    ] = None,
    override: Annotated[Path | None, typer.Option(help="An override as a YAML file.")] = None,
    justification: Annotated[str | None, typer.Option(help="An override here: why.")] = None,
    who: Annotated[str | None, typer.Option(help="An override here: who decides.")] = None,
    expires: Annotated[
        str | None, typer.Option(help="An override here: until when; a time, or a span such as 4h.")
    ] = None,
    cover: Annotated[
        list[str] | None, typer.Option(help="An override here: URN or RULE@URN; repeat it.")
    ] = None,
    journal: Annotated[Path | None, typer.Option(help="Where overrides are written down.")] = None,
    status_url: Annotated[
        str | None, typer.Option(help="Base URL of the venue, for its tier.")
    ] = None,
    no_venue: Annotated[
        bool, typer.Option("--no-venue", help="No venue runs on this stack: there is no tier.")
    ] = False,
    incident: Annotated[
        Path | None, typer.Option(help="Marker that is there while an incident is open.")
    ] = None,
    rpc: Annotated[
        list[str] | None, typer.Option(help="NETWORK=URL to read balances from; repeat it.")
    ] = None,
    venue: Annotated[
        Path | None, typer.Option(help="venue.json of the venue, for contracts and tokens.")
    ] = None,
    as_json: JsonOption = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the view for a pull request.")
    ] = False,
) -> int:
    """Judge a planned change before anybody applies it.

    Refuse what would lose an address, a replica, evidence or a monitor.

    Exit codes: 0 allowed, 1 refused, 2 not known, 3 usage, 4 unfit. See
    docs/runbooks/infrastructure-change.md.
    """
    # start-up of other commands stays quick
    from seawall.change_review.override import make_override, read_override  # noqa: PLC0415
    from seawall.change_review.run import ReviewRequest, review_change  # noqa: PLC0415
    from seawall.change_review.view import document, lines, markdown  # noqa: PLC0415
    from seawall.formats.documents import read_text  # noqa: PLC0415

    now = datetime.now(tz=UTC)
    options = {
        "--justification": justification,
        "--who": who,
        "--expires": expires,
        "--cover": cover,
    }
    given = [name for name, value in options.items() if value]
    decided = None
    if override is not None and given:
        message = f"an override is given twice: --override and {given[0]}"
        raise UsageError(message, remedy="give one")
    if override is not None:
        decided = read_override(read_text(override), source=str(override), now=now)
    elif justification and who and expires and cover:
        decided = make_override(
            who=who, justification=justification, expires=expires, covers=cover, now=now
        )
    elif given:
        message = (
            f"an override needs {', '.join(name for name in options if name not in given)}, too"
        )
        raise UsageError(message, remedy="say who lets what pass, why, and until when")

    judgement = review_change(
        ReviewRequest(
            root=ROOT,
            now=now,
            preview=preview,
            stack=stack,
            config_file=config_file,
            policy=policy,
            policy_before=policy_before,
            override=decided,
            journal=journal,
            incident=incident,
            status_url=status_url,
            no_venue=no_venue,
            rpc=_endpoints(rpc or []),
            venue=venue,
        )
    )
    if as_json:
        emit(document(judgement))
    elif as_markdown:
        print(markdown(judgement), end="")
    else:
        print("\n".join(lines(judgement)))
    return judgement.outcome.exit_code


@wraps(review)
def _guard(**options: Any) -> int:
    """Do what `review` does, under the name that pull-request gates still call."""
    print("`seawall guard` is now `seawall review`", file=sys.stderr)
    return review(**options)


def drift(
    *, stack: _Stack = None, config_file: _ConfigFile = None, as_json: JsonOption = False
) -> int:
    """Name every property that differs from its declaration.

    Compares what the stack declared with what the cloud has now; changes nothing.

    Exit codes: 0 no drift, 1 drift, 2 it could not be compared, 3 usage, 4 unfit.
    """
    from seawall.change_review.drift import find_drift  # noqa: PLC0415
    from seawall.change_review.engine import engine_here  # noqa: PLC0415

    found = find_drift(engine_here(ROOT, stack=stack, config_file=config_file))
    if as_json:
        emit(found.document())
    else:
        print("\n".join(found.lines()))
    return found.exit_code


def _endpoints(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        network, equals, url = pair.partition("=")
        if not equals or not network or not url.startswith(("http://", "https://")):
            # What was typed is not repeated: keys of providers stand in such addresses.
            message = "a value of --rpc is no NETWORK=URL"
            raise UsageError(message, remedy="write it like aster=https://rpc.example")
        found[network] = url
    return found

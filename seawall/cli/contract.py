"""``seawall contract``: whether a venue does what its adapter says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from seawall.cli.options import JsonOption, console, emit
from seawall.errors import ExitCode, ServiceError, UsageError

if TYPE_CHECKING:
    from seawall.contract_verify import OperationResult
    from seawall.formats.deployment import Deployment
    from seawall.policy import Policy

app = typer.Typer(
    help="Check how a venue speaks to the kit.", no_args_is_help=True, rich_markup_mode=None
)

_STYLES = {"works": "green", "broken": "bold red"}


@app.callback()
def contract() -> None:
    """Take the name of the command that follows."""


@app.command()
def verify(
    deployment: Annotated[
        Path | None,
        typer.Option(
            "--deployment",
            help="The deployment file; that of the environment if it is left out.",
            show_default="SEAWALL_DEPLOYMENT",
        ),
    ] = None,
    *,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Make no withdrawal, and move no money.")
    ] = False,
    to: Annotated[
        str | None,
        typer.Option(
            help="Address that the withdrawal is paid to.",
            show_default="a new one that nobody has the key to",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Try every operation that the venue offers, as a customer would.

    It MAKES ONE SMALL WITHDRAWAL, of the smallest sum that is worth a unit of account, in the name
    of the third customer of the deployment's list, and sends it again to see that it is paid once;
    with --read-only it makes none.

    Exit code 0: all that the venue offers works; 1: something does not, or withdrawals could not be
    tried; 3: the deployment file or
    the adapter is wrong; 4: the venue cannot be reached.
    """
    # start-up of other commands stays quick
    from seawall.deployment_check import ALWAYS  # noqa: PLC0415
    from seawall.drill.stack import alone_on  # noqa: PLC0415
    from seawall.formats.deployment import deployment_of_environment as named  # noqa: PLC0415
    from seawall.formats.deployment import load_deployment  # noqa: PLC0415
    from seawall.policy_file import load_policy  # noqa: PLC0415

    path = deployment or named()
    if path is None:
        raise UsageError(
            "it is not known which venue is meant", remedy="name its file with --deployment"
        )
    loaded = load_deployment(path)
    if loaded.kind == "production" and not read_only:
        loaded.permit()
    policy = load_policy(loaded.policy)
    # First, because what is wrong with the file must be found before money is moved.
    sections = {"evidence": _evidence(loaded, policy), "drills": _drills(loaded, policy)}
    with alone_on(loaded):  # its withdrawal would be part of a drill's evidence
        results = asyncio.run(_verified(loaded, policy, to=to, read_only=read_only))
    broken = any(
        tried.result == "broken"
        or (tried.operation in ALWAYS and tried.result == "not tried" and not read_only)
        for tried in results
    )
    if as_json:
        emit(
            {
                "deployment": str(path),
                "speaks": loaded.venue.speaks,
                "read_only": read_only,
                "ok": not broken,
                "operations": [vars(tried) for tried in results],
                **sections,
            }
        )
    else:
        print(f"{loaded.stack} at {loaded.urls.api} speaks {loaded.venue.speaks}")
        console().print(_table(results))
        for title, rows in sections.items():
            console().print(_rows(title, rows))
    return ExitCode.FAIL if broken else ExitCode.PASS


async def _verified(
    deployment: Deployment, policy: Policy, *, to: str | None, read_only: bool
) -> list[OperationResult]:
    """Raises :class:`UsageError`, and :class:`ServiceError` if nothing can be reached."""
    import httpx  # noqa: PLC0415

    from seawall.contract_verify import ANSWER_S_MAX, Verification, nobodys_address  # noqa: PLC0415
    from seawall.formats.customers import OF_EXPERIMENTS, read_accounts  # noqa: PLC0415
    from seawall.formats.drill_contract import VenueClient, load_adapter  # noqa: PLC0415

    if deployment.customers is None:
        raise UsageError(
            f"{deployment.path} names no customers",
            remedy="name a list with customers in whose names a drill may act",
        )
    account = read_accounts(deployment.customers, first=OF_EXPERIMENTS)[-1]
    adapter = load_adapter(deployment.venue.speaks, policy=policy)
    _reach(deployment.urls.api)
    async with httpx.AsyncClient(
        base_url=deployment.urls.api, timeout=ANSWER_S_MAX, trust_env=False
    ) as http:
        return await Verification(
            client=VenueClient(http, adapter),
            policy=policy,
            account=account,
            destination=to or nobodys_address(),
            read_only=read_only,
        ).run()


def _reach(url: str) -> None:
    """Raises :class:`ServiceError` if nothing takes connections at ``url``."""
    from seawall.deployment_check import unreachable  # noqa: PLC0415

    why = unreachable(url)
    if why is not None:
        raise ServiceError(
            f"the venue cannot be reached at {url}: {why}",
            remedy="see urls.api of the deployment file",
        )


def _evidence(deployment: Deployment, policy: Policy) -> list[dict[str, Any]]:
    """Each kind of evidence, and whether the deployment offers it, or on which networks alone."""
    from seawall.conventions.evidence import EVERY_PORT  # noqa: PLC0415
    from seawall.evidence.ports import chains_of, counted_of, offers_of  # noqa: PLC0415

    found = dict.fromkeys(EVERY_PORT, "no")
    found |= dict.fromkeys(offers_of(deployment, policy), "yes")
    counted = counted_of(deployment)
    if counted and not {*chains_of(deployment)} <= {*counted}:
        found["key_counts"] = f"on {', '.join(counted)} alone"
    return [{"kind": port, "offered": offered} for port, offered in found.items()]


def _drills(deployment: Deployment, policy: Policy) -> list[dict[str, Any]]:
    """Each drill of the policy: whether it can be carried out, and what it could claim."""
    from seawall.deployment_check import possible_drills  # noqa: PLC0415

    return [
        {
            "drill": each.drill,
            "can_pass": "yes" if each.can_pass else "no",
            "claims": f"{each.claimed} of {each.asked}",
            "missing": "; ".join([*each.problems, *(f"evidence: {port}" for port in each.undone)]),
        }
        for each in possible_drills(deployment, policy)
    ]


def _table(results: Sequence[OperationResult]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("operation", "result", "why"):
        table.add_column(heading, overflow="fold")
    for tried in results:
        table.add_row(
            tried.operation, tried.result, escape(tried.reason), style=_STYLES.get(tried.result)
        )
    return table


def _rows(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    for heading in rows[0] if rows else ():
        table.add_column(str(heading).replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(value)) for value in row.values()))
    return table

"""``python -m venue.operator``: the operator api, its operators, and decisions without it.

``serve`` is the api. ``enroll`` and ``revoke`` say who may use it, as the database's owner.
``held`` and ``decide`` work on the database itself, for the night in which the api does not.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
from functools import partial
from pathlib import Path
from typing import cast
from uuid import UUID

from seawall.conventions.components import OPERATOR_PROCESS
from seawall.conventions.environment import DATABASE_VARIABLE
from seawall.errors import SeawallError
from seawall.formats.venue_config import database_url, load_config
from venue.database import Connection, connect, open_pool
from venue.operator.access import RIGHTS, Right, enroll, revoke
from venue.operator.app import OperatorApi
from venue.operator.held import Held, decide, held
from venue.process import run, serve_http

_DATABASE_CONNECTIONS = 4


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m venue.operator",
        description="The operator api, and what can be done without it. "
        f"{DATABASE_VARIABLE} gives the database: as the role seawall_operator, and for enroll and "
        "revoke as its owner.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="serve the operator api until SIGTERM")
    serving.add_argument("--config", type=Path, required=True, help="the venue's configuration")
    serving.add_argument("--port", type=int, required=True, help="on loopback")
    enrolling = commands.add_parser("enroll", help="make an operator; prints the token, once")
    enrolling.add_argument("name")
    enrolling.add_argument(
        "--may", required=True, help=f"rights, with commas between them: {', '.join(RIGHTS)}"
    )
    enrolling.add_argument("--key", help="address of the key with which they approve")
    revoking = commands.add_parser("revoke", help="take an operator's token back, for good")
    revoking.add_argument("name")
    listing = commands.add_parser("held", help="list what is held, oldest first")
    listing.add_argument("--json", action="store_true", help="one JSON list, amounts in base units")
    deciding = commands.add_parser("decide", help="decide about one withdrawal")
    deciding.add_argument("withdrawal", type=UUID, help="its id")
    way = deciding.add_mutually_exclusive_group(required=True)
    way.add_argument("--void", action="store_true", help="give the amount back to its customer")
    way.add_argument("--pay", action="store_true", help="pay it anew, under a new number")
    deciding.add_argument("--destination", help="with --pay: pay this address instead")
    deciding.add_argument("--actor", required=True, help="who decides")
    deciding.add_argument("--because", required=True, help="why, as a sentence")
    return parser.parse_args()


def _line(each: Held) -> str:
    decided = (
        "nobody has decided"
        if each.resolution is None
        else f"{each.decision} ({each.resolution}), by {each.actor}"
        + (f": {each.found}" if each.found else "")
    )
    return (
        f"{each.id}  {each.amount} base units of {each.asset} on {each.network} to"
        f" {each.destination}\n"
        f"    {each.held_because}, requested {each.age_s:.0f} s ago, in {each.tx_hash}; {decided}"
    )


async def _list(connection: Connection, *, as_json: bool) -> None:
    found = await held(connection)
    if as_json:
        rows = [dataclasses.asdict(each) | {"id": str(each.id)} for each in found]
        print(json.dumps(rows, default=str, indent=1))
        return
    for each in found:
        print(_line(each))
    print(f"{len(found)} held")


async def _serve(config: Path, port: int, stop: asyncio.Event) -> None:
    site = load_config(config)
    pool = await open_pool(database_url(), name=OPERATOR_PROCESS, size=_DATABASE_CONNECTIONS)
    try:
        api = OperatorApi(pool, site.load_policy(), site)
        await serve_http(api.application(), port=port, stop=stop)
    finally:
        pool.terminate()


async def _main(arguments: argparse.Namespace) -> None:
    connection = await connect(database_url(), name="operator")
    try:
        if arguments.command == "enroll":
            may = frozenset(cast("list[Right]", arguments.may.split(",")))
            print(await enroll(connection, arguments.name, may=may, key=arguments.key))
            return
        if arguments.command == "revoke":
            await revoke(connection, arguments.name)
            print(f"{arguments.name} may do nothing any more")
            return
        if arguments.command == "held":
            await _list(connection, as_json=arguments.json)
            return
        number = await decide(
            connection,
            arguments.withdrawal,
            "void" if arguments.void else "pay",
            destination=arguments.destination,
            actor=arguments.actor,
            justification=arguments.because,
        )
        print(
            f"decision {number} is on record; it is carried out once the number of the withdrawal"
            " is cancelled on the chain and that is final"
        )
    finally:
        await connection.close()


if __name__ == "__main__":
    asked = _parse()
    if asked.command == "serve":
        run(partial(_serve, asked.config, asked.port))
    try:
        asyncio.run(_main(asked))
    except SeawallError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)

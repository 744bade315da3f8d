"""``python -m venue.operator held | decide``: what is held, and what is to become of it."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
from uuid import UUID

from seawall.conventions.environment import DATABASE_VARIABLE
from seawall.errors import SeawallError
from seawall.formats.venue_config import database_url
from venue.database import Connection, connect
from venue.operator.held import Held, decide, held


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m venue.operator",
        description="Held withdrawals: list them, or decide about one. "
        f"{DATABASE_VARIABLE} gives the database as the role seawall_operator.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
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


async def _main(arguments: argparse.Namespace) -> None:
    connection = await connect(database_url(), name="operator")
    try:
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
    try:
        asyncio.run(_main(_parse()))
    except SeawallError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)

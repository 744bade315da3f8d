"""``python -m venue.genesis --config FILE ...``: create a venue in an empty database, then end."""

import asyncio
from pathlib import Path

from seawall.formats.venue_config import config_from_arguments, database_url
from venue.database import connect
from venue.genesis.customers import read_customers
from venue.genesis.found import found_venue, next_nonces
from venue.genesis.roles import read_roles
from venue.process import run


async def _main(_stop: asyncio.Event) -> None:
    policy = config.load_policy()
    customers = read_customers(Path(arguments.customers))
    roles = read_roles(Path(arguments.roles))
    nonces = await next_nonces(config, policy)
    connection = await connect(database_url(), name="genesis", bounded=False)
    try:
        await found_venue(
            connection,
            config=config,
            policy=policy,
            customers=customers,
            nonces=nonces,
            roles=roles,
        )
    finally:
        await connection.close()


if __name__ == "__main__":
    config, arguments = config_from_arguments(
        "Create the venue in an empty database.",
        customers="opening balances, customers.csv",
        roles="database URL of each role, roles.json; readable by its owner alone",
    )
    run(_main)

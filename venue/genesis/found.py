"""Create a venue: schema, lanes, floats, mode, customers, opening postings, in one transaction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seawall.controls.rebalancing import routes
from seawall.conventions.components import SIDES
from seawall.errors import UsageError
from seawall.ethereum.rpc import AsyncRpcClient
from venue.genesis.customers import OpeningBalance, check_backing, targets
from venue.genesis.roles import create_roles
from venue.ledger.chart import Book, books, escrow_routes, payout_routes, rail_routes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from seawall.formats.venue_config import VenueConfig
    from seawall.policy import Policy
    from venue.database import Connection

_AT = {side: f"at_{side}" for side in SIDES}
_SCHEMA = Path(__file__).parent.parent / "schema.sql"

# Every customer gets an account for every asset of every network: the api never has to open one.
_CUSTOMERS = """
    insert into customers (id, api_key_sha256)
    select distinct customer_id, api_key_sha256 from opening"""
_CUSTOMER_ACCOUNTS = """
    insert into accounts (bucket, network, asset, kind, customer_id)
    select c.bucket, c.network, c.asset, 'customer', k.id
    from unnest($1::text[], $2::text[], $3::text[]) as c (bucket, network, asset)
    cross join customers k order by k.id"""
_HOUSE_ACCOUNTS = """
    insert into accounts (bucket, network, asset, kind, of_escrow)
    select bucket, network, asset, kind, bucket is not distinct from $5
    from unnest($1::text[], $2::text[], $3::text[], $4::text[])
         as t (bucket, network, asset, kind)"""
_BALANCES = """
    insert into balances (account_id, available)
    select a.id, coalesce(o.amount, 0) from accounts a
    left join opening o on (o.customer_id, o.network, o.asset) = (a.customer_id, a.network, a.asset)
    where a.kind = 'customer'"""
_FUND = """
    with posted as (insert into postings (kind) values ('fund') returning id)
    insert into entries (posting_id, account_id, amount)
    select p.id, a.id, -o.amount from posted p cross join opening o
    join accounts a on (a.customer_id, a.network, a.asset) = (o.customer_id, o.network, o.asset)
                   and a.kind = 'customer'
    where (a.bucket, a.network, a.asset) = ($1::text, $2::text, $3::text)
    union all
    select p.id, a.id, h.amount
    from posted p cross join unnest($4::text[], $5::numeric[]) as h (kind, amount)
    join accounts a on (a.bucket, a.network, a.asset, a.kind) = ($1, $2, $3, h.kind)
    where h.amount <> 0"""
_AVAILABLE = """
    insert into balances (account_id, available)
    select id, $4::numeric from accounts where (bucket, network, asset, kind) = ($1, $2, $3, $5)"""
_ESCROW_WALLET = "insert into escrow_wallets (wallet) select unnest($1::text[])"
_LANE = """
    insert into lanes (chain_id, address, network, wallet, signer_region, next_nonce)
    values ($1, $2, $3, $4, $5, $6)"""
_OPENING = """
    create temporary table opening (
        customer_id bigint, api_key_sha256 bytea, network text, asset text, amount numeric(78, 0),
        unique (customer_id, network, asset)) on commit drop"""
_FILL_OPENING = """
    insert into opening
    select * from unnest($1::bigint[], $2::bytea[], $3::text[], $4::text[], $5::numeric[])"""
_PROVIDER = "insert into rail_providers (rail, side, name) values ($1, $2, $3)"
_FUNDS = "insert into rail_funds (rail, side, asset, available) values ($1, $2, $3, $4)"
_FLOAT = "insert into floats (wallet, network, asset, available) values ($1, $2, $3, $4)"


async def next_nonces(config: VenueConfig, policy: Policy) -> dict[str, int]:
    """The next nonce on chain by wallet, for every wallet that has a lane.

    Raises :class:`ServiceError`.
    """
    found: dict[str, int] = {}
    for network, route in payout_routes(policy).items():
        endpoint = config.networks[network].rpc
        async with AsyncRpcClient(network, (endpoint.primary, endpoint.standby)) as rpc:
            for wallet in route.lanes:
                found[wallet] = await rpc.nonce(_address(config, policy, wallet))
    return found


async def found_venue(
    connection: Connection,
    *,
    config: VenueConfig,
    policy: Policy,
    customers: Sequence[OpeningBalance],
    nonces: Mapping[str, int],
    roles: Mapping[str, str],
) -> None:
    """Create the venue in an empty database, completely or not at all.

    Args:
        connection: The owner's.
        config: Where networks and signers are.
        policy: The policy in force.
        customers: Opening balances.
        nonces: Next nonce by wallet, as :func:`next_nonces` reads them.
        roles: Database URL by role.

    Raises :class:`UsageError` if the database is not empty, or if the customers' balances do not
    equal the policy's targets.
    """
    check_backing(policy, customers)
    async with connection.transaction():
        if await connection.fetchval("select to_regclass('public.mode') is not null"):
            raise UsageError("this database holds a venue already", remedy="name an empty database")
        await create_roles(connection, roles)
        await connection.execute(_SCHEMA.read_text(encoding="utf-8"))
        await connection.execute(
            "insert into mode (epoch, tier, reason) values (1, 'normal', 'The venue was founded.')"
        )
        await _lanes(connection, config, policy, nonces)
        await _open_accounts(connection, policy, customers)
        await _fund(connection, policy)
        await _fund_rails(connection, config, policy)
    await connection.execute("analyze")


def _address(config: VenueConfig, policy: Policy, wallet: str) -> str:
    return config.signers[policy.regions.primary].keys[wallet].address.lower()


async def _lanes(
    connection: Connection, config: VenueConfig, policy: Policy, nonces: Mapping[str, int]
) -> None:
    for network, route in payout_routes(policy).items():
        for wallet in route.lanes:
            address = _address(config, policy, wallet)
            chain_id = policy.networks[network].chain_id
            await connection.execute(
                _LANE, chain_id, address, network, wallet, policy.regions.primary, nonces[wallet]
            )
        for asset, holding in policy.wallets[route.hot].holdings.items():
            await connection.execute(
                _FLOAT, route.hot, network, asset, policy.base_units(asset, holding.target)
            )


async def _open_accounts(
    connection: Connection, policy: Policy, customers: Iterable[OpeningBalance]
) -> None:
    await connection.execute(_OPENING)
    rows = [
        (row.customer_id, row.api_key_sha256, row.network, row.asset, row.amount)
        for row in customers
    ]
    await connection.execute(_FILL_OPENING, *map(list, zip(*rows, strict=True)))
    await connection.execute("analyze opening")
    await connection.execute(_CUSTOMERS)
    paying = [
        (route.bucket, network, asset)
        for network, route in payout_routes(policy).items()
        for asset in policy.networks[network].assets
    ]
    await connection.execute(_CUSTOMER_ACCOUNTS, *map(list, zip(*paying, strict=True)))
    accounts: set[tuple[str, str, str, str]] = {
        (wallet.bucket, wallet.network, asset, wallet.wallet_class)
        for wallet in policy.wallets.values()
        for asset in wallet.holdings
    }
    accounts |= {(*triple, kind) for triple in paying for kind in ("reserved", "clearing")}
    accounts |= {
        (book.bucket, book.network, asset, kind)
        for book, kind in _counterparts(policy)
        for asset in targets(policy, book.bucket, book.network)
    }
    accounts |= {
        (policy.wallets[route.source].bucket, route.from_network, route.asset, "in_transit")
        for route in routes(policy)
    }
    accounts |= {(bucket, network, asset, "unidentified") for bucket, network, asset, _ in accounts}
    for network, route in escrow_routes(policy).items():
        accounts |= {(route.bucket, network, asset, "own") for asset in route.assets}
        accounts |= {(route.escrow, network, asset, "escrow") for asset in route.assets}
    market = policy.marketplace
    await connection.execute(
        _HOUSE_ACCOUNTS,
        *map(list, zip(*sorted(accounts), strict=True)),
        None if market is None else market.escrow,
    )
    if market is not None:
        names = [n for n, wallet in policy.wallets.items() if wallet.bucket == market.escrow]
        await connection.execute(_ESCROW_WALLET, names)
    await connection.execute("analyze accounts")
    await connection.execute(_BALANCES)


async def _fund_rails(connection: Connection, config: VenueConfig, policy: Policy) -> None:
    """Open the accounts of each rail that is connected, with what lies at its two providers."""
    for name, route in rail_routes(policy).items():
        if name not in config.rails:
            continue
        for side in SIDES:
            await connection.execute(_PROVIDER, name, side, getattr(policy.rails[name], side))
        for asset, amount in route.funding.items():
            kinds = ["reserved", "clearing", "own", *_AT.values()]
            opened = [[value] * len(kinds) for value in (route.bucket, name, asset)]
            await connection.execute(_HOUSE_ACCOUNTS, *opened, kinds, None)
            held = dict.fromkeys(_AT.values(), amount) | {"own": -amount * len(_AT)}
            await _post_funding(connection, route.bucket, name, asset, held)
            for side in SIDES:
                await connection.execute(_FUNDS, name, side, asset, amount)


def _counterparts(policy: Policy) -> list[tuple[Book, str]]:
    """Every book that holds the venue's own money, with the kind of account that balances it."""
    routes = payout_routes(policy)
    paying = {route.book_key for route in routes.values()}
    houses = {(network, route.house) for network, route in routes.items()}
    return [
        (book, "inventory" if book.key in houses else "own")
        for book in books(policy)
        if book.key not in paying
    ]


async def _fund(connection: Connection, policy: Policy) -> None:
    for network, route in payout_routes(policy).items():
        for asset, held in targets(policy, route.bucket, network).items():
            await _post_funding(connection, route.bucket, network, asset, held)
    escrows = {(network, route.escrow) for network, route in escrow_routes(policy).items()}
    for book, kind in _counterparts(policy):
        for asset, held in targets(policy, book.bucket, book.network).items():
            total = sum(held.values())
            await _post_funding(connection, book.bucket, book.network, asset, held | {kind: -total})
            # What it is traded or escrowed from, where a constraint is to refuse too much of it.
            if kind == "inventory" or book.key in escrows:
                place = (book.bucket, book.network, asset)
                await connection.execute(_AVAILABLE, *place, total, kind)


async def _post_funding(
    connection: Connection, bucket: str, network: str, asset: str, held: Mapping[str, int]
) -> None:
    if not any(held.values()):
        return
    await connection.execute(_FUND, bucket, network, asset, list(held), list(held.values()))

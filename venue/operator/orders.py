"""Orders of operators: that nothing is paid, or which tier is in force. Each ends by itself.

An order is a row, so whoever acts on it reads it: claims of payouts read halts, the mode controller
reads orders of tiers. It is journalled before it is made, and cannot be changed, only ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias, cast

from seawall.conventions.components import OPERATOR_PROCESS
from seawall.conventions.database import FLOW_CHANNEL, MODE_LOCK
from seawall.errors import UsageError
from seawall.policy import TIERS, Policy, Tier
from venue.database import Connection
from venue.ledger.journal import append

OrderKind: TypeAlias = Literal["halt", "at_least", "exactly"]
LASTS_S_MAX = 24 * 3_600
"""An order that is still wanted after a day is worth another look."""
OVERRIDE_LASTS_S_MAX = 3_600
"""A tier that the triggers do not call for protects nobody; an hour is for a false alarm."""
_LOCK_WAITS_MS = 700
"""As long as all attempts of a flip; claims take some milliseconds."""

_BOUND = "select set_config('lock_timeout', $1::text, true)"
_LOCK = "select pg_advisory_xact_lock($1)"
_MAKE = """
    insert into orders (kind, network, tier, operator, justification, ends_at)
    values ($1, $2, $3, $4, $5, clock_timestamp() + $6 * interval '1 s')
    returning id, ends_at"""
_END = """
    insert into order_endings (order_id, operator, justification)
    select id, $2, $3 from orders_in_force where id = $1
    on conflict do nothing returning order_id"""
_IN_FORCE = """
    select id, kind, network, tier, operator, justification, ends_at, at from orders_in_force
    order by id"""


@dataclass(frozen=True, kw_only=True)
class Order:
    """An order in force; ``network`` None is all of them, ``tier`` None is a halt's."""

    id: int
    kind: OrderKind
    network: str | None
    tier: Tier | None
    operator: str
    justification: str
    ends_at: datetime
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """An order to be made; it lasts ``lasts_s`` seconds unless it is ended."""

    kind: OrderKind
    lasts_s: int
    justification: str
    network: str | None = None
    tier: Tier | None = None

    def check(self, policy: Policy) -> None:
        """Raises :class:`UsageError` for an order that makes no sense under ``policy``."""
        longest_s = OVERRIDE_LASTS_S_MAX if self.kind == "exactly" else LASTS_S_MAX
        if not 0 < self.lasts_s <= longest_s:
            raise UsageError(
                f"an order of {self.lasts_s} s cannot be made",
                remedy=f"let it last for 1 to {longest_s} s; it can be made again",
            )
        if not self.justification.strip():
            raise UsageError("an order needs a justification", remedy="say why, in a sentence")
        if (self.kind == "halt") != (self.tier is None):
            raise UsageError(
                "a halt names no tier, and every other order one",
                remedy=f"tiers: {', '.join(TIERS)}",
            )
        if self.network is not None and self.kind != "halt":
            raise UsageError("a tier is of the whole venue", remedy="name no network")
        known = [*policy.networks, *policy.paying_rails()]
        if self.network is not None and self.network not in known:
            raise UsageError(
                f"there is no network {self.network}",
                remedy=f"name one of {', '.join(known)}, or none for all",
            )


async def make(connection: Connection, wanted: Wanted, *, operator: str) -> int:
    """Put an order on record; its number.

    The lock of the mode is taken as a flip takes it: claims in flight are waited for, and none
    commits after this that had not read the order.

    Raises LockNotAvailableError if claims are in flight for longer than a flip would wait.
    """
    async with connection.transaction():
        await connection.execute(_BOUND, str(_LOCK_WAITS_MS))
        await connection.execute(_LOCK, MODE_LOCK)
        body = {"order": wanted.kind, "network": wanted.network, "tier": wanted.tier}
        await append(
            connection,
            writer=OPERATOR_PROCESS,
            kind="order",
            justification=wanted.justification.strip(),
            body={**body, "operator": operator, "lasts_s": wanted.lasts_s},
        )
        row = await connection.fetchrow(
            _MAKE,
            wanted.kind,
            wanted.network,
            wanted.tier,
            operator,
            wanted.justification.strip(),
            wanted.lasts_s,
        )
        await connection.execute("select pg_notify($1, '')", FLOW_CHANNEL)
    assert row is not None
    return int(row["id"])


async def end(connection: Connection, order: int, *, operator: str, justification: str) -> None:
    """End an order before its time.

    Raises :class:`UsageError` if there is no such order in force.
    """
    if not justification.strip():
        raise UsageError("to end an order needs a justification", remedy="say why, in a sentence")
    async with connection.transaction():
        await append(
            connection,
            writer=OPERATOR_PROCESS,
            kind="order ended",
            justification=justification.strip(),
            body={"order": order, "operator": operator},
        )
        if await connection.fetchval(_END, order, operator, justification.strip()) is None:
            raise UsageError(f"no order {order} is in force", remedy="list the orders in force")
        await connection.execute("select pg_notify($1, '')", FLOW_CHANNEL)


async def in_force(connection: Any) -> Sequence[Order]:
    """The orders in force, oldest first; ``connection`` is one connection or a pool."""
    rows = await connection.fetch(_IN_FORCE)
    return [Order(**cast("dict[str, Any]", dict(row))) for row in rows]

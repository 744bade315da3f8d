"""A flip: the exclusive lock alone in its statement, then mode, its log and the journal, committed
together.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from seawall.controls.modes import Decision, ModeState
from seawall.conventions.database import MODE_LOCK
from seawall.errors import InternalError
from venue.ledger.journal import append

if TYPE_CHECKING:
    from seawall.indicators import Sample
    from venue.database import Connection

WRITER = "guard"
_READ = "select epoch, tier, (extract(epoch from since) * 1000000)::bigint as since_us from mode"
_TAKE = "select pg_advisory_xact_lock($1)"
_CHANGE = """
    update mode set epoch = epoch + 1, tier = $1, reason = $2, since = clock_timestamp() where epoch = $3
    returning epoch, (extract(epoch from since) * 1000000)::bigint as since_us"""
_LOG = """
    insert into mode_log (epoch, previous, tier, reason, trigger_name, indicators, sample_flow_id, sampled_at)
    values ($1, $2, $3, $4, $5, $6::jsonb, $7, $8)"""


@dataclass(frozen=True, kw_only=True)
class InForce:
    """The committed mode as the guard knows it; nobody else writes it."""

    epoch: int
    state: ModeState


async def mode_in_force(connection: Connection) -> InForce:
    """What is committed now. Raises :class:`InternalError` if genesis has not run."""
    row = await connection.fetchrow(_READ)
    if row is None:
        raise InternalError("the venue has no mode row: genesis has not run")
    return InForce(epoch=row["epoch"], state=ModeState(tier=row["tier"], since_us=row["since_us"]))


async def flip(
    connection: Connection, in_force: InForce, decision: Decision, sample: Sample
) -> InForce:
    """Commit ``decision``.

    Waits for claims in flight, and none commits under the old epoch afterwards.

    Raises :class:`InternalError` if another guard has flipped meanwhile: there may be one only.
    """
    levels = {name: str(level) for name, level in sample.levels.items()}
    sampled_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=sample.at_us)
    async with connection.transaction():
        await connection.execute(_TAKE, MODE_LOCK)
        body: dict[str, str | int | None] = {str(name): level for name, level in levels.items()}
        body |= {"epoch": in_force.epoch + 1, "previous": in_force.state.tier}
        body |= {"tier": decision.tier, "trigger": decision.trigger}
        await append(
            connection, writer=WRITER, kind="flip", justification=decision.reason, body=body
        )
        row = await connection.fetchrow(_CHANGE, decision.tier, decision.reason, in_force.epoch)
        if row is None:
            raise InternalError(
                f"epoch {in_force.epoch} is no longer in force: a second guard is at work"
            )
        await connection.execute(
            _LOG,
            row["epoch"],
            in_force.state.tier,
            decision.tier,
            decision.reason,
            decision.trigger,
            json.dumps(levels),
            sample.newest_flow_id,
            sampled_at,
        )
    return InForce(
        epoch=row["epoch"], state=ModeState(tier=decision.tier, since_us=row["since_us"])
    )

"""What leads a settler to each of its crash points, on real parts.

Every step that a settler takes has a situation: what must be so around it, and what is done before
each process that is to die there. Steps that few runs take need more of it than a withdrawal.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.testing.anvil import mined
from tests.testing.dying_venue import Bench, Site, Situation, closed_address
from tests.testing.settler_harness import STRANGER, ask_sweep, overfill
from venue.contracts.calls import packed, set_paused
from venue.crash_points import Step

_TIERS = itertools.cycle(["protected", "stressed"])
_LARGE = 5_000 * 10**6


async def _pays(site: Site) -> None:
    await site.reserve(site.native, "USDX", "USDX")
    await site.up()


async def _starts(site: Site) -> None:
    await site.stop()
    await _pays(site)


async def _stops(site: Site) -> None:
    await _pays(site)
    await site.until_ready()
    assert site.process is not None
    site.process.terminate()


@asynccontextmanager
async def _stopped(bench: Bench) -> AsyncIterator[None]:
    """No settler runs: one that does looks for top-ups all the time, and finds none."""
    await bench.each(Site.stop)
    yield


async def _tops_up(site: Site) -> None:
    await site.ask_top_up()
    await site.up()


async def _gives_back(site: Site) -> None:
    under_way = await site.venue.owner.fetchval(
        "select array_agg(asset) from topups where network = $1 and state <> 'posted'", site.network
    )
    asset = next(each for each in ("USDX", site.native) if each not in (under_way or ()))
    await overfill(site.venue, site.network, asset)
    await ask_sweep(site.venue, site.network, asset)
    await site.up()


@asynccontextmanager
async def _dark(bench: Bench) -> AsyncIterator[None]:
    """The primary region signs nothing."""
    await bench.until_primary_signs()
    provider = bench.venue.providers[bench.venue.policy.regions.primary]
    provider.dark = True
    try:
        yield
    finally:
        provider.dark = False


@asynccontextmanager
async def _primary_signs(bench: Bench) -> AsyncIterator[None]:
    await bench.until_primary_signs()
    try:
        yield
    finally:
        bench.venue.providers[bench.venue.policy.regions.primary].dark = False


async def _moves(site: Site) -> None:
    """The region that signs goes dark, or the primary one is there again."""
    venue, primary = site.venue, site.venue.policy.regions.primary
    region = await venue.owner.fetchval(
        "select max(signer_region) from lanes where network = $1", site.network
    )
    venue.providers[primary].dark = region == primary
    await _pays(site)


@asynccontextmanager
async def _held(bench: Bench) -> AsyncIterator[None]:
    """Each network holds two withdrawals that their destinations refused; none at the end."""

    async def hold(site: Site) -> None:
        await site.up()
        await site.reserve(site.native)
        for _ in range(2):
            await site.reserve(site.native, destination=await closed_address(site))
        await site.until(
            "select count(*) = 2 from withdrawals where network = $1 and state = 'unknown'"
        )

    await bench.each(hold)
    yield
    for site in bench.sites:
        while await site.cancel_held():
            pass


async def _cancels(site: Site) -> None:
    await site.cancel_held()
    await site.up()


@asynccontextmanager
async def _later_generation(bench: Bench) -> AsyncIterator[None]:
    """The ledger pays a later generation, as after a restore; no settler runs."""
    await bench.each(Site.stop)
    owner = bench.venue.owner
    async with owner.transaction():
        number = 1 + await owner.fetchval("select max(generation) from generations")
        await owner.execute("insert into generations values ($1, 'as after a restore')", number)
        await owner.execute(
            f"alter table withdrawals alter column seq restart with {packed(number, 1)}"
        )
    yield


@asynccontextmanager
async def _claimed(bench: Bench) -> AsyncIterator[None]:
    """On each network a slot was claimed and shown to no signer, and its settler has died."""

    async def claim(site: Site) -> None:
        async def attempt() -> None:
            await site.reserve("USDX", large=_LARGE)
            await _pays(site)

        await site.dies("claim payouts", "after", attempt, deaths=1)

    await bench.each(claim)
    yield
    await bench.venue.set_mode("normal")


async def _flips(site: Site) -> None:
    """The mode is another one before any signer is asked."""
    await site.venue.set_mode(next(_TIERS))
    await site.up()


@asynccontextmanager
async def _dear(bench: Bench) -> AsyncIterator[None]:
    """Fees come down at the end."""
    yield
    for site in bench.sites:
        site.base_fee_wei = 10
    await asyncio.sleep(1)
    for site in bench.sites:
        site.base_fee_wei = None


async def _left_behind(site: Site) -> None:
    """What was sent is in the pool, and no block takes it for its fees."""
    if not await site.dearest_fee_wei():
        site.makes_blocks = False
        await _pays(site)
        await site.until(
            """select exists (select 1 from slots s join lanes l using (chain_id, address)
                              where l.network = $1 and s.state = 'broadcast')"""
        )
    site.base_fee_wei = 2 * await site.dearest_fee_wei()
    site.makes_blocks = True
    await site.up()


async def _issuer(site: Site, *, paused: bool) -> None:
    """The issuer pauses USDX, or lets it move again; returns once a block has that."""
    token = site.venue.config.networks[site.network].tokens["USDX"]
    call = {"from": STRANGER, "to": token, "data": "0x" + set_paused(paused=paused).hex()}
    await mined(site.rpc, call)


async def _moves_again(site: Site) -> None:
    """An asset that moved for nobody does so again."""
    rests = "select exists (select 1 from asset_pauses where network = $1)"
    if not await site.venue.owner.fetchval(rests, site.network):
        await _issuer(site, paused=True)
        await site.reserve("USDX", "USDX")
        await site.up()
        await site.until(rests)
    await _issuer(site, paused=False)
    await site.up()


_PAYS = Situation(attempt=_pays)
_STARTS = Situation(attempt=_starts)
_CANCELS = Situation(attempt=_cancels, around=_held)
_OPENS = Situation(attempt=_pays, around=_later_generation)
_LEFT_BEHIND = Situation(attempt=_left_behind, around=_dear)
SITUATIONS: dict[Step, Situation] = {
    "take the lease": _STARTS,
    "renew the lease": _PAYS,
    "take the lanes": _STARTS,
    "move the lanes": Situation(attempt=_moves, around=_primary_signs, one_by_one=True),
    "count a failed signature": Situation(attempt=_pays, around=_dark),
    "claim payouts": _PAYS,
    "claim a top-up": Situation(attempt=_tops_up, around=_stopped),
    "claim a sweep": Situation(attempt=_gives_back, around=_stopped),
    "claim a cancellation": _CANCELS,
    "claim a generation": _OPENS,
    "record a generation": _OPENS,
    "admit again": Situation(attempt=_flips, around=_claimed),
    "store the bytes": _PAYS,
    "record a replacement": _LEFT_BEHIND,
    "store a replacement": _LEFT_BEHIND,
    "send": _PAYS,
    "record the broadcast": _PAYS,
    "record the block": _PAYS,
    "send again": _LEFT_BEHIND,
    "post": _PAYS,
    "post a cancellation": _CANCELS,
    "resume an asset": Situation(attempt=_moves_again),
    "leave the lease": Situation(attempt=_stops),
}
"""By step of a settler."""

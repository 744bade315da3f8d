"""The signers' own database: it is asked before anything is signed, and it forgets nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import create_autospec

import asyncpg
import pytest

from tests.integration.test_signer import Desk, desk, open_slot, open_slots, paying, request_for
from tests.testing.venue_harness import Founded
from venue.database import open_pool
from venue.signer.protocol import SigningRefusedError
from venue.signer.service import SigningService

__all__ = ["desk"]
pytestmark = pytest.mark.integration


@contextmanager
def _without_log(desk: Desk) -> Iterator[SigningService]:
    """The service of region one, cut off from the sign log."""
    service = desk.services["one"]
    nowhere = create_autospec(asyncpg.Pool, instance=True)
    nowhere.fetchrow.side_effect = nowhere.fetchval.side_effect = ConnectionRefusedError("none")
    yield replace(service, log=replace(service.log, log=nowhere))


async def test_what_was_offered_to_a_signer_keeps_its_use(desk: Desk, founded: Founded) -> None:
    """The settler may use an open nonce for something else, but not once a signer may know of it.

    Even if that signer was cut off before it could record anything.
    """
    settler = await open_pool(founded.database.settler, name="settler", size=1)
    other_use = "update slots set data = '\\x00', digest = sha256('other')"
    unmarked = "update slots set offered_epoch = null"
    with pytest.raises(Exception, match="permission denied"):
        await settler.execute(unmarked)
    with _without_log(desk) as service, pytest.raises(SigningRefusedError) as caught:
        await service.sign(request_for(desk.address))
    assert caught.value.code == "log_unavailable"
    with pytest.raises(Exception, match="keeps its use"):
        await settler.execute(other_use)
    await desk.owner.execute(unmarked)
    await settler.execute(other_use)
    await settler.close()


async def test_without_the_sign_log_nothing_is_signed(desk: Desk) -> None:
    """Not even a probe, so that the settler does not come back to such a region."""
    with _without_log(desk) as service:
        for ask in (service.sign(request_for(desk.address)), service.probe()):
            with pytest.raises(SigningRefusedError) as caught:
                await ask
            assert caught.value.code == "log_unavailable"
        await service.look_at_log()
        assert service.metrics.unreachable.labels("one")._value.get() == 1
    assert desk.providers["one"].asked == 0
    await desk.services["one"].look_at_log()
    assert desk.services["one"].metrics.unreachable.labels("one")._value.get() == 0


async def test_a_request_that_was_cut_off_between_the_databases_is_signed_in_any_mode(
    desk: Desk,
) -> None:
    """Its slot is marked, so nobody can admit it to another mode with another use."""
    with _without_log(desk) as service, pytest.raises(SigningRefusedError):
        await service.sign(request_for(desk.address))
    await desk.owner.execute("update mode set epoch = epoch + 1, tier = 'protected'")
    await desk.raise_epoch()
    signed = await desk.services["two"].sign(request_for(desk.address, epoch=2))
    assert signed.region == "two"


async def test_a_restored_ledger_does_not_have_another_intent_signed(desk: Desk) -> None:
    """The venue forgets that it ever used the nonce; its signers do not.

    Without the signature of the first, or with it; in the other region, too. The first intent still
    has its signature, for whoever asks for it under the epoch of now.
    """
    first, second = await open_slots(desk, paying(6), paying(4, seq=2))
    signed = await desk.services["one"].sign(first)
    await desk.services["one"].log.record(second)
    await desk.owner.execute("delete from slots")
    await desk.raise_epoch()
    for kept in (first, second):
        other = request_for(desk.address, nonce=kept.nonce, data=paying(1, seq=7), epoch=2)
        await open_slot(desk.owner, other)
        for region in ("one", "two"):
            with pytest.raises(SigningRefusedError) as caught:
                await desk.services[region].sign(other)
            assert caught.value.code == "digest_conflict"
    assert desk.providers["one"].asked == 1
    assert desk.providers["two"].asked == 0
    assert await desk.log.fetchval("select sum(amount) from signed_amounts") == 10
    again = request_for(desk.address, nonce=1, data=paying(6), epoch=2)
    assert await desk.services["two"].sign(again) == signed


async def test_what_fits_into_no_window_is_not_offered(desk: Desk) -> None:
    """Or the settler could not take it out of its slot, and the nonce would wait for ever."""
    (huge,) = await open_slots(desk, paying(11))
    with pytest.raises(SigningRefusedError, match="would have 11 base units") as caught:
        await desk.services["one"].sign(huge)
    assert caught.value.code == "over_cap"
    assert await desk.owner.fetchval("select bool_and(offered_epoch is null) from slots")


async def test_the_sign_log_forgets_nothing_even_for_its_owner(desk: Desk) -> None:
    """Rows stay, and the bytes that were signed first."""
    await desk.services["one"].sign((await open_slots(desk, paying(6)))[0])
    for statement, why in (
        ("delete from sign_log", "append only"),
        ("truncate sign_log cascade", "append only"),
        ("update signed_amounts set amount = 0", "append only"),
        ("update sign_log set raw = 'b'", "keeps the bytes"),
        ("update sign_log set raw = null, tx_hash = null", "keeps the bytes"),
    ):
        with pytest.raises(Exception, match=why):
            await desk.log.execute(statement)

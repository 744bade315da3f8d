"""Safeguards of who pays over rails that are removed one by one, as ablations.py does of others."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from unittest import mock

from seawall.errors import ServiceError
from tests.simulation.ablations import Ablation, Patch
from tests.simulation.faults import Faults
from venue.rails import statements
from venue.rails.claims import CHANGE_FUNDS
from venue.rails.provider import Provider
from venue.rails.statements import Statements
from venue.rails.worker import RailWorker

_GiveUp = Callable[[Any, Any], Awaitable[None]]


def _on_silence(give_up: _GiveUp, *, once_left: bool) -> Patch:
    """What was asked of the primary and is not answered is given up at once."""

    @contextlib.contextmanager
    def patched() -> Iterator[None]:
        ask = RailWorker._instruct

        async def instruct(self: RailWorker, provider: Provider, each: Any) -> Any:
            answer = await ask(self, provider, each)
            gone = isinstance(answer, ServiceError) and (self.routing.left or not once_left)
            if gone and provider.side == "primary":
                async with self.pool.acquire() as connection, connection.transaction():
                    known = await connection.fetchrow(
                        statements._INSTRUCTION, each.instruction.client_id
                    )
                    if known is not None and known["state"] == "recorded":
                        place = (known["rail"], known["side"], known["asset"])
                        await connection.execute(statements._MOVE, known["id"], "cancelled")
                        await connection.execute(CHANGE_FUNDS, *place, known["amount"])
                        await give_up(connection, known["withdrawal_id"])
            return answer

        with mock.patch.object(RailWorker, "_instruct", instruct):
            yield

    return patched


async def _to_the_other(connection: Any, withdrawal: Any) -> None:
    await connection.fetchval(statements._RELEASE, withdrawal)


async def _to_the_customer(connection: Any, withdrawal: Any) -> None:
    await connection.fetchval(statements._GIVE_BACK, withdrawal, "nobody answers")


def _never_in_doubt() -> contextlib.AbstractContextManager[Any]:
    return mock.patch.object(RailWorker, "_doubt", return_value=None)


@contextlib.contextmanager
def _whatever_comes_next() -> Iterator[None]:
    """A statement is not looked at from the last line that was read."""

    async def check(self: Statements, provider: Provider) -> Any:
        after = await self.pool.fetchval(statements._LAST, provider.rail, provider.side)
        return await provider.statement(after=after)

    with mock.patch.object(Statements, "check", check):
        yield


def _posted_when_accepted() -> contextlib.AbstractContextManager[Any]:
    return mock.patch.dict(statements._STEPS, {("recorded", "accepted"): "settle"})


@contextlib.contextmanager
def _asked_once() -> Iterator[None]:
    due = RailWorker._due

    def first(self: RailWorker, recorded: Any) -> Any:
        found = due(self, recorded)
        forever = {each.instruction.client_id: float("inf") for each in found}
        self._rests_until_s.update(forever)
        return found

    with mock.patch.object(RailWorker, "_due", first):
        yield


RAIL_ABLATIONS = (
    Ablation(
        guards="a withdrawal changes its provider only when the first one has used its id up",
        without=frozenset({"instruction as stated", "what is unexplained waits"}),
        patch=_on_silence(_to_the_other, once_left=True),
        faults=Faults(rail_dark=0.4, rail_unheard=0.15, rail_hangs=0.15),
        caught_by=("I3",),
        rails=True,
    ),
    Ablation(
        guards="silence is no refusal",
        without=frozenset({"instruction as stated", "withdrawal follows its instruction"}),
        patch=_on_silence(_to_the_customer, once_left=False),
        faults=Faults(rail_unheard=0.15, rail_hangs=0.15),
        caught_by=("I5",),
        rails=True,
    ),
    Ablation(
        guards="a provider that was silent is asked for nothing before its statement goes on",
        patch=_never_in_doubt,
        faults=Faults(rail_forgets=1.0, rail_late=0.3, rail_unheard=0.15),
        caught_by=("I3",),
        rails=True,
        seeds_max=1_000,
        nightly=True,
    ),
    Ablation(
        guards="a statement goes on from the last line that was read",
        patch=_whatever_comes_next,
        faults=Faults(rail_forgets=1.0),
        caught_by=("I3",),
        rails=True,
        seeds_max=200,
    ),
    Ablation(
        guards="what is posted is settled",
        without=frozenset({"withdrawal follows its instruction"}),
        patch=_posted_when_accepted,
        faults=Faults(rail_returned=0.4),
        caught_by=("I4",),
        rails=True,
    ),
    Ablation(
        guards="what is in doubt is asked for again",
        patch=_asked_once,
        faults=Faults(rail_lost=0.15),
        caught_by=("I12",),
        rails=True,
    ),
    Ablation(
        guards="a claim over a rail holds the mode lock",
        without=frozenset({"mode lock"}),
        faults=Faults(flips=2.5, slow_database=0.3),
        caught_by=("I9",),
        rails=True,
        seeds_max=200,
    ),
    Ablation(
        guards="a claim lowers what may be instructed",
        without=frozenset({"funds lowered"}),
        faults=Faults(),
        caught_by=("I10",),
        rails=True,
    ),
    Ablation(
        guards="one process at a time reads a provider's statement",
        without=frozenset({"one reader at a time"}),
        faults=Faults(slow_database=0.05),
        caught_by=("own error",),
        rails=True,
    ),
    Ablation(
        guards="a restored ledger uses up what may be on its way before it pays",
        without=frozenset({"ids used up"}),
        faults=Faults(rail_restored=1.0, rail_hangs=0.15, rail_dark=0.25, rail_unheard=0.3),
        caught_by=("I3",),
        rails=True,
        seeds_max=300,
    ),
    Ablation(
        guards="who reads the mark of another ledger stops",
        without=frozenset({"mark of another ledger", "what is unexplained waits"}),
        faults=Faults(rail_restored=1.0, rail_dark=0.25, rail_poor=0.15),
        caught_by=("I3",),
        rails=True,
        seeds_max=300,
        nightly=True,
    ),
)

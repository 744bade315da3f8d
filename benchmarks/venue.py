"""A venue for benchmarks: a settler's surroundings, with commits on two disks and small blocks."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.database import running_server
from benchmarks.figures import Figure
from tests.testing.anvil import anvil_starter
from tests.testing.settler_harness import Venue, venue_bench

BLOCK_GAS = 30_000_000
"""Of each block; there is one a second."""
NETWORK, ASSET, AMOUNT = "aster", "USDX", 1_000_000


async def at_a_venue(what: Callable[[Venue], Awaitable[list[Figure]]]) -> list[Figure]:
    """The figures of ``what``, which gets a venue of its own."""
    with tempfile.TemporaryDirectory(prefix="seawall-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        server = stack.enter_context(running_server(folder, second_disk=True))

        start = anvil_starter(stack, block_gas=BLOCK_GAS)
        async with venue_bench(server.new_database("venue"), folder, start) as venue:
            return await what(venue)

"""What a restore sends of what was signed: what is on no record, and all before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from tests.testing.nodes import CONTRACT
from venue.restore.losses import Recorded
from venue.restore.signed import Logged, send_signed

USED = 5
"""Nonces that the chain has used."""
LANE = Recorded(
    address="0x" + "aa" * 20, contract=CONTRACT, chain_id=1, next_nonce=USED, in_flight={}
)


@dataclass
class Log:
    """A sign log with these rows: nonce, digest, and signed bytes, the dearest ones last."""

    rows: Sequence[tuple[int, bytes, list[bytes]]]

    async def fetch(self, _query: str, _chain: int, _address: str, since: int) -> list[Any]:
        """The rows from a nonce on."""
        names = ("nonce", "digest", "raws")
        return [dict(zip(names, row, strict=True)) for row in self.rows if row[0] >= since]


@dataclass
class Node:
    """A node that takes whatever it is sent."""

    sent: list[bytes] = field(default_factory=list)

    async def nonce(self, _address: str) -> int:
        """The next nonce on the chain."""
        return USED

    async def broadcast(self, raw: bytes) -> None:
        """Note it."""
        self.sent.append(raw)


async def sent_of(
    rows: Sequence[tuple[int, bytes, list[bytes]]], digests: dict[int, bytes]
) -> tuple[Logged, list[bytes]]:
    """What is found of ``rows``, and sent."""
    node = Node()
    found = await send_signed(cast("Any", Log(rows)), cast("Any", node), LANE, digests)
    return found, node.sent


async def test_what_is_on_record_as_it_was_signed_is_left_to_the_settler() -> None:
    """It asks for the signature and has it, or for the first one."""
    found, sent = await sent_of(
        [(4, b"old", [b"4"]), (5, b"a", [b"5"]), (6, b"b", [])], {5: b"a", 6: b"b", 7: b"c"}
    )
    assert found == Logged(sent_below=USED, recorded=[5, 6], stuck=None)
    assert sent == []


async def test_what_is_on_no_record_is_sent_with_all_before_it_by_its_highest_fees() -> None:
    """Or for something else on record; what comes after it is as it was signed."""
    found, sent = await sent_of(
        [(5, b"a", [b"5"]), (6, b"b", [b"6", b"6 dearer"]), (7, b"c", [b"7"])],
        {5: b"a", 6: b"other", 7: b"c"},
    )
    assert found == Logged(sent_below=7, recorded=[7], stuck=None)
    assert sent == [b"5", b"6 dearer"]
    found, sent = await sent_of([(5, b"a", [b"5"])], {})
    assert found == Logged(sent_below=6, recorded=[], stuck=None)
    assert sent == [b"5"]


@pytest.mark.parametrize(
    "rows",
    [
        [(5, b"a", [b"5"]), (6, b"b", [])],
        [(5, b"a", [b"5"]), (7, b"c", [b"7"])],
        [(5, b"a", [b"5"]), (6, b"b", []), (7, b"c", [b"7"])],
    ],
)
async def test_a_nonce_that_was_never_signed_stops_what_is_on_no_record(
    rows: Sequence[tuple[int, bytes, list[bytes]]],
) -> None:
    """Whether it was recorded itself, or only a later one was."""
    found, sent = await sent_of(rows, {5: b"a"})
    assert found.sent_below == 6
    assert found.stuck is not None
    assert found.stuck.startswith("nonce 6 of ")
    assert sent == [b"5"]

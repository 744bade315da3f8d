"""The choice of withdrawals for a slot."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import pytest

from venue.settler.batches import Candidate, select_batch, split_batch


def wd(
    seq: int, amount: int, *, asset: str = "USDX", size: Literal["small", "large"] = "small"
) -> Candidate:
    """A reserved withdrawal."""
    return Candidate(
        id=UUID(int=seq), seq=seq, asset=asset, amount=amount, size=size, destination="0x"
    )


@pytest.mark.parametrize(
    ("candidates", "floats", "floors", "chosen"),
    [
        pytest.param(
            [wd(2, 5), wd(1, 5)], {"USDX": 10}, {}, [1, 2], id="in the order of acceptance"
        ),
        pytest.param(
            [wd(1, 5, size="large"), wd(2, 5)], {"USDX": 99}, {}, [2, 1], id="small ones first"
        ),
        pytest.param(
            [wd(1, 5), wd(2, 5)], {"USDX": 10}, {"USDX": 1}, [1], id="not below the floor"
        ),
        pytest.param([wd(1, 10)], {"USDX": 10}, {}, [1], id="down to the floor exactly"),
        pytest.param(
            [wd(1, 11), wd(2, 1)],
            {"USDX": 10},
            {},
            [],
            id="no withdrawal overtakes one that must wait",
        ),
        pytest.param(
            [wd(1, 11), wd(2, 1, asset="AST")],
            {"USDX": 10, "AST": 1},
            {},
            [2],
            id="other assets go on",
        ),
        pytest.param(
            [wd(1, 1, asset="DOGE")],
            {"USDX": 10},
            {},
            [],
            id="an asset without a float is not paid",
        ),
        pytest.param(
            [wd(n, 1) for n in range(9)],
            {"USDX": 99},
            {},
            [0, 1, 2, 3],
            id="as many as fit a batch",
        ),
        pytest.param(
            [wd(1, 4)], {"USDX": 10}, {"USDX": 20}, [], id="a float below its floor pays nothing"
        ),
    ],
)
def test_a_batch_pays_small_ones_first_in_order_and_leaves_the_floor(
    candidates: list[Candidate], floats: dict[str, int], floors: dict[str, int], chosen: list[int]
) -> None:
    """One row per rule; a batch holds four."""
    batch = select_batch(candidates, floats=floats, floors=floors, room=floats, limit=4)

    assert [each.seq for each in batch] == chosen


@pytest.mark.parametrize(
    ("room", "chosen"),
    [
        pytest.param({"USDX": 10, "AST": 10}, [1, 3, 2], id="all that fits"),
        pytest.param({"USDX": 9, "AST": 10}, [1, 3], id="small ones have the room first"),
        pytest.param({"USDX": 4, "AST": 10}, [3], id="an asset waits for its window alone"),
        pytest.param({"AST": 10}, [3], id="an asset without a cap is not paid"),
        pytest.param({"USDX": -1, "AST": 10}, [3], id="more signed than the cap has become"),
    ],
)
def test_a_batch_fits_into_what_the_signer_would_sign(
    room: dict[str, int], chosen: list[int]
) -> None:
    """However much the wallet holds."""
    batch = select_batch(
        [wd(1, 5), wd(2, 5, size="large"), wd(3, 5, asset="AST")],
        floats={"USDX": 99, "AST": 99},
        floors={},
        room=room,
        limit=4,
    )
    assert [each.seq for each in batch] == chosen


def test_of_a_batch_that_fits_into_no_window_the_rest_waits_again() -> None:
    """By size, as the mode has it, and by what all of it moves together."""
    batch = [
        wd(1, 6),
        wd(2, 6),
        wd(3, 4),
        wd(4, 1, size="large"),
        wd(5, 1, asset="AST"),
        wd(6, 1, asset="DOGE"),
    ]
    kept, deferred = split_batch(batch, sizes=("small",), caps={"USDX": 10, "AST": 1})
    assert [each.seq for each in kept] == [1, 3, 5]
    assert [each.seq for each in deferred] == [2, 4, 6]

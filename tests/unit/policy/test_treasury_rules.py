"""One row per rule of the treasury: break it, and exactly that place is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testing.breaking import problems
from tests.testing.policies import put, tree, write


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        pytest.param("sweep_above", "0.99", "0.99 of the maximum", id="what a wallet may hold"),
        pytest.param("sweep_of_cap", "0.51", "share the window", id="the room of customers"),
        pytest.param("sweep_of_cap", "0", "write more than 0", id="nothing"),
    ],
)
def test_a_sweep_that_takes_the_wrong_part_is_refused(
    tmp_path: Path, place: str, value: str, said: str
) -> None:
    changed = tree()
    put(changed, f"treasury.{place}", value)

    found = problems(write(tmp_path, changed))

    assert found.keys() == {f"treasury.{place}"}
    assert said in found[f"treasury.{place}"]

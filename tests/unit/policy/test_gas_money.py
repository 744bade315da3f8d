"""What a policy may say of gas money: a key that has little left is refilled, and by something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seawall.errors import PolicyError
from tests.testing.policies import load, policy, tree

SOUND = {"minimum": "1", "target": "2", "window": "24h", "cap": "2"}


@pytest.mark.parametrize(
    ("network", "changes", "place", "said"),
    [
        ("cedar", {}, "treasury.gas.cedar", "name a network"),
        ("aster", {"minimum": "2"}, "treasury.gas.aster.target", "more than the minimum"),
        ("aster", {"target": "3"}, "treasury.gas.aster.cap", "the target or more"),
        ("aster", {"window": "1500ms"}, "treasury.gas.aster.window", "whole seconds"),
    ],
)
def test_a_refill_that_would_bring_nothing_is_refused(
    tmp_path: Path, network: str, changes: dict[str, Any], place: str, said: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        load(tmp_path, tree({"treasury.gas": {network: SOUND | changes}}))
    assert [problem.path for problem in caught.value.problems] == [place]
    assert said in caught.value.problems[0].remedy


def test_amounts_are_exact_and_windows_are_scaled(tmp_path: Path) -> None:
    """A policy that says nothing has keys that people fill, as before."""
    found = load(tmp_path, tree({"treasury.gas": {"aster": SOUND}})).treasury.gas["aster"]
    assert (str(found.minimum), str(found.target), found.window) == ("1", "2", 24 * 3_600_000)
    assert policy().treasury.gas == {}

"""Who is to blame for payments that moved nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.controls.asset_pauses import (
    FAILURES_MAX,
    PAUSE_S,
    PAUSE_S_MAX,
    Blame,
    Tried,
    blame,
    pause_s,
)


def tried(seq: int, to: str, *, asset: str = "USDX", failures: int = 1) -> Tried:
    """A payment that failed."""
    return Tried(seq=seq, asset=asset, destination=to, failures=failures)


def test_where_others_were_paid_the_destination_is_at_fault() -> None:
    """It is held at its first failure, and the asset is known to work."""
    assert blame([tried(1, "a")], moved=["USDX"], known={}) == Blame(
        refused=(1,), working=("USDX",)
    )


def test_what_moved_in_another_asset_says_nothing() -> None:
    """The failed one waits."""
    found = blame([tried(1, "a")], moved=["AST"], known={})
    assert found == Blame(waiting=(1,), broken={"USDX": ("a",)}, working=("AST",))


def test_a_destination_that_fails_alone_is_held_in_the_end() -> None:
    """Nobody else was tried, so nothing says whose fault it is; but the queue must not grow old."""
    known: tuple[str, ...] = ()
    for failures in range(1, FAILURES_MAX):
        found = blame([tried(1, "a", failures=failures)], moved=[], known={"USDX": known})
        assert found.waiting == (1,)
        known = found.broken["USDX"]
    found = blame([tried(1, "a", failures=FAILURES_MAX)], moved=[], known={"USDX": known})
    assert (found.given_up, found.waiting) == ((1,), ())


def test_an_asset_that_reaches_nobody_drains_nothing_into_unknown() -> None:
    """However often its payments are tried, they keep their places."""
    many = [tried(n, f"d{n}", failures=1_000) for n in range(200)]
    found = blame(many, moved=[], known={})
    assert (len(found.waiting), found.refused, found.given_up) == (200, (), ())
    assert len(found.broken["USDX"]) == 3


def test_destinations_of_earlier_tries_count() -> None:
    """A try has three payments at most, and each may be the only one left in the queue."""
    found = blame([tried(3, "c", failures=99)], moved=[], known={"USDX": ("a", "b")})
    assert found.waiting == (3,)


@pytest.mark.parametrize(
    ("failures", "wanted"), [(1, PAUSE_S), (2, 2 * PAUSE_S), (99, PAUSE_S_MAX)]
)
def test_a_pause_doubles_up_to_its_limit(failures: int, wanted: float) -> None:
    """So a working asset is noticed within the limit."""
    assert pause_s(failures) == wanted


@given(
    st.lists(
        st.tuples(st.sampled_from("abcde"), st.sampled_from(["USDX", "AST"]), st.integers(1, 9)),
        max_size=12,
    ),
    st.sets(st.sampled_from(["USDX", "AST"])),
)
def test_each_failed_payment_gets_one_verdict(
    rows: list[tuple[str, str, int]], moved: set[str]
) -> None:
    """None is lost, none is in two places, and an asset is not both broken and working."""
    failed = [
        tried(seq, to, asset=asset, failures=failures)
        for seq, (to, asset, failures) in enumerate(rows)
    ]
    found = blame(failed, moved=moved, known={})
    assert sorted((*found.refused, *found.given_up, *found.waiting)) == list(range(len(rows)))
    assert not found.broken.keys() & set(found.working)

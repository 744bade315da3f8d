"""What stops top-ups: the silence of the mode controller, ignorance, and what a wallet lacks."""

from __future__ import annotations

import pytest

from venue.treasury.topups import Health

ROUTE = ("hot", "reserve")
EVEN = {(wallet, asset): 0 for wallet in ("hot", "reserve", "cold") for asset in ("AST", "USDX")}


@pytest.mark.parametrize(
    ("lacking", "stopped"),
    [
        pytest.param(("hot", "AST"), {"AST": "hot lacks 7"}, id="the hot wallet"),
        pytest.param(("reserve", "AST"), {"AST": "reserve lacks 7"}, id="its reserve"),
        pytest.param(("reserve", "USDX"), {"USDX": "reserve lacks 7"}, id="the other asset"),
        pytest.param(("cold", "AST"), {}, id="a wallet that no top-up touches"),
        pytest.param(None, {}, id="none"),
    ],
)
def test_a_deficit_stops_the_top_ups_that_it_concerns(
    lacking: tuple[str, str] | None, stopped: dict[str, str]
) -> None:
    """Those of its asset, from or to the wallet that lacks it."""
    deficits = EVEN if lacking is None else EVEN | {lacking: 7}
    health = Health(lease_age_ms=10, deficits=deficits)

    found = {asset: health.obstacle(ROUTE, asset) for asset in ("AST", "USDX")}

    assert {asset: why.partition(" base")[0] for asset, why in found.items() if why} == stopped


@pytest.mark.parametrize("deficits", [None, {("hot", "AST"): 0}], ids=["nothing", "half of it"])
def test_what_is_not_known_stops_top_ups(deficits: dict[tuple[str, str], int] | None) -> None:
    """No comparison, or one without one of the two wallets, is no agreement."""
    why = Health(lease_age_ms=10, deficits=deficits).obstacle(ROUTE, "AST")

    assert why is not None
    assert why.endswith("has not been compared with the chain lately")


@pytest.mark.parametrize("lease_age_ms", [None, 60_000])
def test_without_a_heartbeat_nothing_moves(lease_age_ms: int | None) -> None:
    """Whatever the wallets hold."""
    health = Health(lease_age_ms=lease_age_ms, deficits=EVEN)

    assert health.obstacle(ROUTE, "AST") == "the mode controller is silent"

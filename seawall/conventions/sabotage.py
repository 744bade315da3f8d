"""Controls that can be switched off by name, so that a drill can be shown to fail without them."""

from __future__ import annotations

import os

from seawall.conventions.environment import SABOTAGE_VARIABLE

SABOTAGE_FAILOVER = "failover"
SABOTAGE_RPC_FAILOVER = "rpc-failover"
SABOTAGE_RAIL_FAILOVER = "rail-failover"
SABOTAGE_MODE_CONTROLLER = "mode-controller"
SABOTAGE_ASSET_REST = "asset-rest"
SABOTAGE_CUSTOMER_LIMITS = "customer-limits"
SABOTAGE_WAL_STREAM = "wal-stream"
SABOTAGE_BULKHEAD = "bulkhead"
GAMEDAY_SABOTAGES = (
    SABOTAGE_FAILOVER,
    SABOTAGE_RPC_FAILOVER,
    SABOTAGE_RAIL_FAILOVER,
    SABOTAGE_MODE_CONTROLLER,
    SABOTAGE_ASSET_REST,
    SABOTAGE_CUSTOMER_LIMITS,
    SABOTAGE_WAL_STREAM,
)
"""Controls that declared drills cover; those drills must FAIL without them."""
SABOTAGES = (*GAMEDAY_SABOTAGES, SABOTAGE_BULKHEAD)
FORMER_SPELLINGS = {"guard": SABOTAGE_MODE_CONTROLLER}
"""Names from before a control was renamed; the command line still takes them."""


def sabotaged(control: str) -> bool:
    """Whether ``control`` is switched off for this process; only the control itself may ask."""
    return control in os.environ.get(SABOTAGE_VARIABLE, "").split(",")

"""Terms of a carrier between the two reserves of customers, as a policy writes them."""

from __future__ import annotations

from typing import Any

PAIR = ["customer-aster-reserve", "customer-birch-reserve"]
_LEVELS = {"base_fee_gwei_max": "100", "pending_max": 5_000}
TERMS: dict[str, Any] = {
    "carrier": "causeway",
    "endpoint": "https://api.causeway.example/v1",
    "assets": {"USDX": {"between": PAIR, "amount_min": "50000"}},
    "from_above": "1",
    "to_below": "0.75",
    "lead_time": "4h",
    "credential_age_max": "90d",
    "health": {
        "congestion": {"aster": _LEVELS, "birch": _LEVELS},
        "oracle": {"deviation_max": "0.05", "price_age_max": "9s"},
    },
}

"""Names of metrics, their labels and the alerts on them; units last."""

from __future__ import annotations

import re
from typing import Final

RESERVED_VALUE = "seawall_reserved_value_micro_total"  # counter; api; labels network, asset, size
VOIDED_VALUE = "seawall_voided_value_micro_total"  # counter; api; labels network, asset, size
REQUESTS = "seawall_api_requests_total"  # counter; api; labels operation, outcome
# counter; api; labels side: primary | standby, why: stale | far
PRICES_REFUSED = "seawall_prices_refused_total"
INTAKE_SECONDS = "seawall_intake_seconds"  # histogram; api
TICKETS = "seawall_support_tickets_total"  # counter; api
HOT_TARGET_VALUE = "seawall_hot_target_value_micro"  # gauge; api: drawdown is measured against it
SCRAPED = "up"
"""Prometheus's own: 1 for a target that it scraped, 0 for one that did not answer."""
TIER = "seawall_tier"  # gauge; mode controller: 0 normal, 1 stressed, 2 protected
MODE_EPOCH = "seawall_mode_epoch"  # gauge; mode controller
INDICATOR = "seawall_indicator"  # gauge; mode controller; label indicator
INDICATOR_LABEL = "indicator"
"""Also the dimension of the CloudWatch metric of this name."""
MODE_CONTROLLER_HEARTBEAT = (
    "seawall_mode_controller_heartbeat_timestamp_seconds"  # gauge; mode controller
)
QUEUE_AGE = "seawall_queue_age_seconds"  # gauge; treasury; label scope: all | guaranteed
QUEUE_DEPTH = "seawall_queue_depth"  # gauge; treasury; label scope: all | guaranteed
GUARANTEED_DEPTH = f'{QUEUE_DEPTH}{{scope="guaranteed"}}'
HOT_BALANCE = "seawall_hot_balance_value_micro"  # gauge; treasury; labels network, asset
# gauge; treasury; labels network, asset: what hot wallets hold above what is swept from
HOT_EXCESS = "seawall_hot_excess_value_micro"
# gauge; treasury; labels network, bucket, wallet, asset: what the chain lacks
LEDGER_DEFICIT = "seawall_ledger_deficit_base_units"
# gauge; treasury; labels network, bucket, asset: what is owed to senders who are not known
UNIDENTIFIED = "seawall_unidentified_base_units"
# gauge; treasury; labels network, asset: held withdrawals that nobody has decided about
HELD = "seawall_withdrawals_held"
# gauge; treasury; labels network, asset: 1 while no payment of the asset moves
ASSET_RESTS = "seawall_asset_rests"
# gauge; treasury; labels network, wallet: full payouts for which the key of a lane has gas money
GAS_LEFT = "seawall_gas_left_payouts"
# gauge; treasury; labels network, wallet: what the fast lane moved and nobody reviewed in time
REVIEWS_OVERDUE = "seawall_reviews_overdue"
# gauge; treasury; labels network, asset: age of the cold transfer that has not arrived yet
COLD_AGE = "seawall_cold_transfer_age_seconds"
# gauge; treasury; labels network, asset: cold transfers that are held until people have looked
COLD_HELD = "seawall_cold_transfers_held"
# gauge; treasury; labels network, asset: 1 while the last one was refused or has expired, and no
# other one is asked for yet
COLD_REFUSED = "seawall_cold_transfer_refused"
# gauge; treasury; labels network, asset, why: window | incident | paused | silent (of the
# custodian) | venue; 1 for what keeps the cold transfer that is wanted from going on
COLD_BLOCKED = "seawall_cold_transfer_blocked"
# gauge; treasury; label asset: age of the movement between networks that has not arrived yet
REBALANCE_AGE = "seawall_rebalance_age_seconds"
# gauge; treasury; label asset: movements between networks that are held until people have looked
REBALANCE_HELD = "seawall_rebalances_held"
# gauge; treasury; label asset: 1 while the last one was refused or has expired, and no other one is
# asked for yet
REBALANCE_REFUSED = "seawall_rebalance_refused"
# gauge; treasury; labels asset, check: congestion | custody (of the carrier) | oracle | mode |
# books; 1 while that is not green and keeps the movement that is wanted from going on
REBALANCE_BLOCKED = "seawall_rebalance_blocked"
# gauge; treasury; label asset: what left a network and is not in another one yet
IN_TRANSIT = "seawall_in_transit_base_units"
LEDGER_SUM = "seawall_ledger_sum_base_units"  # gauge; treasury; labels network, asset
TOP_UPS = "seawall_top_ups_total"  # counter; treasury; labels network, asset
# counter; signer; labels region, outcome: signed | replayed | refused | throttled | unavailable
# (the provider) | unread (the venue's records) | unlogged (the sign log) | capped (by its velocity
# caps)
SIGN_REQUESTS = "seawall_sign_requests_total"
# counter; signer; label region: requests of callers that are not known, or may not ask for that
SIGNER_STRANGERS = "seawall_signer_strangers_total"
# gauge; signer; label region: 1 while the sign log does not answer
SIGN_LOG_UNREACHABLE = "seawall_sign_log_unreachable"
SIGN_SECONDS = "seawall_sign_seconds"  # histogram; signer; label region
# gauge; settler; labels network, wallet, region: 1 for the route in force
SIGNING_ROUTE = "seawall_signing_route"
PAYOUTS_FINAL = "seawall_payouts_final_total"  # counter; settler; labels network, asset
# counter; settler; labels network, side: primary | standby, outcome: answered | silent (which is
# also an endpoint that refuses to serve or talks nonsense)
RPC_REQUESTS = "seawall_rpc_requests_total"
# gauge; settler; labels network, wallet: 1 while the chain knows of the lane what we do not
LANE_DISPUTED = "seawall_lane_disputed"
# gauge; settler; labels network, wallet: 1 while fees are too low and may not be raised any more
LANE_STUCK = "seawall_lane_stuck"
# gauge; rails; labels rail, side: 1 for the provider that withdrawals are instructed to
RAIL_IN_FORCE = "seawall_rail_in_force"
# counter; rails; labels rail, side, outcome: answered | silent (which is also a provider that fails
# or talks nonsense)
RAIL_REQUESTS = "seawall_rail_requests_total"
# counter; rails; label rail: errors that ended the work of a rail, which then began anew
RAIL_FAILURES = "seawall_rail_failures_total"
# gauge; rails; label rail: age of the oldest withdrawal that the tier guarantees and no provider
# has accepted
RAIL_QUEUE_AGE = "seawall_rail_queue_age_seconds"
# gauge; rails; labels rail, side: age of the oldest instruction that may have been sent, or not
RAIL_DOUBT_AGE = "seawall_rail_doubt_age_seconds"
# gauge; rails; labels rail, side: what a provider says and nothing on record explains
RAIL_UNEXPLAINED = "seawall_rail_unexplained"
# gauge; rails; labels rail, side: age of the oldest instruction that its provider has accepted, and
# neither settled nor returned
RAIL_SETTLE_AGE = "seawall_rail_settle_age_seconds"
# gauge; rails; labels rail, side: 1 while a provider's statement lacks what was read in it before
RAIL_SHORTENED = "seawall_rail_statement_shortened"
# gauge; rails; labels rail, side: instructions that a provider has refused for want of money
RAIL_NO_FUNDS = "seawall_rail_no_funds"
# gauge; rails; labels rail, side, asset: what may still be instructed there
RAIL_FUNDS = "seawall_rail_funds_value_micro"
# gauge; wal-stream: until when the second disk has all that the server had on its own
WAL_RECEIVED = "seawall_wal_received_timestamp_seconds"
SLOTS_IN_FLIGHT = "seawall_slots_in_flight"  # gauge; settler; labels network, wallet
TICKET: Final = "info"
"""Severity of an alert that wakes nobody."""
ALERT_SIGNING_DARK = "SeawallSigningDark"
ALERT_VENUE_METRICS_ABSENT = "SeawallVenueMetricsAbsent"
ALERT_TIER_PROTECTED = "SeawallTierProtected"
ALERT_LEDGER_DEFICIT = "SeawallLedgerDeficit"
ALERT_UNIDENTIFIED = "SeawallUnidentifiedMoney"
ALERT_HELD = "SeawallWithdrawalsHeld"
ALERT_LANE_DISPUTED = "SeawallLaneDisputed"
ALERT_SIGNER_CAPPED = "SeawallSignerCapped"
ALERT_SIGNER_STRANGER = "SeawallSignerStranger"
ALERT_SIGN_LOG_UNREACHABLE = "SeawallSignLogUnreachable"
ALERT_LANE_STUCK = "SeawallLaneStuck"
ALERT_GAS_LOW = "SeawallGasLow"
ALERT_ASSET_RESTS = "SeawallAssetRests"
ALERT_REVIEW_MISSED = "SeawallReviewMissed"
ALERT_RAIL_IN_DOUBT = "SeawallRailInDoubt"
ALERT_RAIL_QUEUE = "SeawallRailQueue"
ALERT_RAIL_UNEXPLAINED = "SeawallRailUnexplained"
ALERT_RAIL_FAILED = "SeawallRailFailed"
ALERT_RAIL_UNSETTLED = "SeawallRailUnsettled"
ALERT_RAIL_SHORTENED = "SeawallRailStatementShortened"
ALERT_RAIL_NO_FUNDS = "SeawallRailNoFunds"
ALERT_WAL_BEHIND = "SeawallWalBehind"
ALERT_HOT_EXCESS = "SeawallHotExcess"
ALERT_COLD_LATE = "SeawallColdTransferLate"
ALERT_COLD_HELD = "SeawallColdTransferHeld"
ALERT_COLD_REFUSED = "SeawallColdTransferRefused"
ALERT_REBALANCE_LATE = "SeawallRebalanceLate"
ALERT_REBALANCE_HELD = "SeawallRebalanceHeld"
ALERT_REBALANCE_REFUSED = "SeawallRebalanceRefused"
ANYBODY_RAISES: Final = (ALERT_UNIDENTIFIED, ALERT_HELD, ALERT_HOT_EXCESS)
"""Tickets that a stranger or a customer can cause alone: they must fail nobody's drill."""


_SELECTOR = r'[a-zA-Z_:][\w:]*(\{[^{}"]*("(\\.|[^"\\])*"[^{}"]*)*\})?'


def is_known(metric: str) -> bool:
    """Whether the kit has a metric, or a selection of one, that is written so."""
    names = {each for each in globals().values() if isinstance(each, str)}
    return metric in names and (metric.startswith("seawall_") or metric == SCRAPED)


def is_selector(expression: str) -> bool:
    """Whether PromQL is a plain selector, of whose series recorded samples can be asked for.

    A name, label matchers, or both: ``up``, ``up{job="venue"}``.
    """
    return re.fullmatch(_SELECTOR, expression) is not None


def trigger_alert(trigger: str) -> str:
    """``run-on-the-bank`` -> ``SeawallRunOnTheBank``: the alert of a policy trigger."""
    return "Seawall" + "".join(part.capitalize() for part in trigger.split("-"))

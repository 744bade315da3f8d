"""Every name that two parts must spell alike: metrics, labels, alerts, ledger kinds, processes, proxies, sabotage switches."""

from __future__ import annotations

import os

PREFIX = "seawall"

# --- environment -------------------------------------------------------------------------------------------------
RUN_ID_VARIABLE = "SEAWALL_RUN_ID"
"""Every process of a sandbox carries it; teardown finds strays by it."""
DATABASE_VARIABLE = "SEAWALL_DATABASE_URL"
"""PostgreSQL URL of a venue process's own role, or of the owner for genesis; no process is told another's."""
SABOTAGE_VARIABLE = "SEAWALL_SABOTAGE"
"""Names the controls that are switched off; read by those controls alone."""
TARGETS_VARIABLE = "SEAWALL_TARGETS"
"""Path of targets.json: where faults and probes find the running stack."""
POLICY_VARIABLE = "SEAWALL_POLICY"
"""Path of the policy file in force."""
RUNNER_VARIABLE = "SEAWALL_RUNNER_PID"
"""Process whose death must end lease renewal; unset under a plain `chaos run`."""
T_ZERO_VARIABLE = "SEAWALL_T_ZERO"
"""Unix time of the first planned arrival of a game day's calm; unset under a plain `chaos run`, which acts at once."""

SABOTAGE_FAILOVER = "failover"
SABOTAGE_GUARD = "guard"
SABOTAGE_BULKHEAD = "bulkhead"
SABOTAGES = (SABOTAGE_FAILOVER, SABOTAGE_GUARD, SABOTAGE_BULKHEAD)
GAMEDAY_SABOTAGES = (SABOTAGE_FAILOVER, SABOTAGE_GUARD)
"""Controls that a game day covers; it must FAIL without them."""


def sabotaged(control: str) -> bool:
    """Whether ``control`` is switched off for this process; only the control itself may ask."""
    return control in os.environ.get(SABOTAGE_VARIABLE, "").split(",")


# --- ledger --------------------------------------------------------------------------------------------------------
MODE_LOCK = 0x5EA0001
"""Advisory lock that claims share and a flip takes alone (design section 5, ring 0)."""
FLOW_CHANNEL = "seawall_flow"
"""NOTIFY channel that wakes the guard."""
WITHDRAWAL_CHANNEL = "seawall_withdrawal"
"""NOTIFY channel that wakes the settlers."""

# --- metrics (unit last) --------------------------------------------------------------------------------------------
RESERVED_VALUE = "seawall_reserved_value_micro_total"  # counter; api; labels network, asset, size
REQUESTS = "seawall_api_requests_total"  # counter; api; labels operation, outcome
INTAKE_SECONDS = "seawall_intake_seconds"  # histogram; api
TICKETS = "seawall_support_tickets_total"  # counter; api; labels kind
HOT_TARGET_VALUE = "seawall_hot_target_value_micro"  # gauge; api: the yardstick of drawdown
TIER = "seawall_tier"  # gauge; guard: 0 normal, 1 stressed, 2 protected
MODE_EPOCH = "seawall_mode_epoch"  # gauge; guard
INDICATOR = "seawall_indicator"  # gauge; guard; label indicator
GUARD_BEAT = "seawall_guard_beat_timestamp_seconds"  # gauge; guard
QUEUE_AGE = "seawall_queue_age_seconds"  # gauge; treasury; label scope: all | guaranteed
QUEUE_DEPTH = "seawall_queue_depth"  # gauge; treasury; label scope: all | guaranteed
HOT_BALANCE = "seawall_hot_balance_value_micro"  # gauge; treasury; labels network, asset
LEDGER_DRIFT = "seawall_ledger_drift_base_units"  # gauge; treasury; labels network, asset
LEDGER_SUM = "seawall_ledger_sum_base_units"  # gauge; treasury; labels network, asset
TOP_UPS = "seawall_top_ups_total"  # counter; treasury; labels network, asset
SIGN_REQUESTS = (
    "seawall_sign_requests_total"  # counter; signer; labels region, outcome: signed | replayed | refused | unavailable
)
SIGN_SECONDS = "seawall_sign_seconds"  # histogram; signer; label region
SIGNING_ROUTE = "seawall_signing_route"  # gauge; settler; labels network, wallet, region: 1 for the route in force
PAYOUTS_FINAL = "seawall_payouts_final_total"  # counter; settler; labels network, asset
SLOTS_IN_FLIGHT = "seawall_slots_in_flight"  # gauge; settler; labels network, wallet

# --- alerts ----------------------------------------------------------------------------------------------------------
ALERT_SIGNING_DARK = "SeawallSigningDark"
ALERT_VENUE_METRICS_ABSENT = "SeawallVenueMetricsAbsent"
ALERT_TIER_PROTECTED = "SeawallTierProtected"
ALERT_LEDGER_DRIFT = "SeawallLedgerDrift"


def trigger_alert(trigger: str) -> str:
    """``run-on-the-bank`` -> ``SeawallRunOnTheBank``: the alert that witnesses a policy trigger."""
    return "Seawall" + "".join(part.capitalize() for part in trigger.split("-"))


# --- proxies (Toxiproxy) -----------------------------------------------------------------------------------------------
def kms_proxy(region: str) -> str:
    """Proxy in front of the KMS endpoint of ``region``; `kms.<region>`."""
    return f"kms.{region}"


def signer_proxy(region: str) -> str:
    """Proxy in front of the signer of ``region``."""
    return f"signer.{region}"


def rpc_proxy(network: str, which: str) -> str:
    """Proxy in front of an RPC endpoint; ``which`` is primary or standby."""
    return f"rpc.{network}.{which}"


def exchange_proxy(which: str) -> str:
    """Proxy in front of the exchange; ``which`` is primary or standby."""
    return f"exchange.{which}"


API_PROXY = "api"
POSTGRES_PROXY = "postgres"
PAGER_PROXY = "pager"


# --- processes and resources -------------------------------------------------------------------------------------------
API_PROCESS = "venue-api"
GUARD_PROCESS = "venue-guard"
TREASURY_PROCESS = "venue-treasury"


def settler_process(network: str) -> str:
    """Name of the settler of ``network``."""
    return f"settler-{network}"


def signer_process(region: str) -> str:
    """Name of the signer of ``region``."""
    return f"signer-{region}"


def key_alias(venue: str, wallet: str) -> str:
    """KMS alias of a wallet's key."""
    return f"alias/{PREFIX}/{venue}/{wallet}"


def signer_role(venue: str, wallet: str, region: str) -> str:
    """IAM role that may sign with one wallet's key in one region, and do nothing else."""
    return f"{PREFIX}-{venue}-signer-{wallet}-{region}"


def key_admin_role(venue: str, bucket: str) -> str:
    """IAM role that administers the keys of one bucket and signs with none."""
    return f"{PREFIX}-{venue}-key-admin-{bucket}"


def break_glass_role(venue: str, bucket: str) -> str:
    """IAM role that may stop and restart the keys of one bucket in an emergency, and signs with none."""
    return f"{PREFIX}-{venue}-break-glass-{bucket}"


def boundary(venue: str, kind: str) -> str:
    """Managed policy that bounds every role of one kind."""
    return f"{PREFIX}-{venue}-boundary-{kind}"


def kit_role(venue: str) -> str:
    """IAM role that alone may read the offline kit."""
    return f"{PREFIX}-{venue}-break-glass-kit"


def approver_role(venue: str, role: str) -> str:
    """IAM role that signs with the key of one approver."""
    return f"{PREFIX}-{venue}-approver-{role}"


def approver_alias(venue: str, role: str) -> str:
    """KMS alias of an approver's key."""
    return f"alias/{PREFIX}/{venue}/approver/{role}"


def gameday_role(venue: str) -> str:
    """IAM role of the runner of game days; it reaches tagged targets only."""
    return f"{PREFIX}-{venue}-gameday"


def kill_switch(venue: str) -> str:
    """SSM parameter that stops every game day: a runner starts and goes on only while it says ``armed``."""
    return f"/{PREFIX}/{venue}/gameday/kill-switch"


def severity_topic(venue: str, severity: str) -> str:
    """SNS topic of one severity."""
    return f"{PREFIX}-{venue}-{severity}"


def cloudwatch_alarm(venue: str, trigger: str) -> str:
    """CloudWatch alarm that witnesses a policy trigger."""
    return f"{PREFIX}-{venue}-{trigger}"


def evidence_bucket(venue: str, account: str) -> str:
    """Bucket that keeps the evidence of drills; the account makes the name unique in the world."""
    return f"{PREFIX}-{venue}-evidence-{account}"


CLOUDWATCH_NAMESPACE = "Seawall"
DEPLOYER = "deployer"
"""IAM user that provisions the stack; its existence starts enforcement in the sandbox."""


def signer_user(bucket: str, region: str) -> str:
    """IAM user of a bucket's signer in a region of the sandbox; it may only assume the signer roles of that bucket and region."""
    return f"signer-{bucket}-{region}"


def admin_user(bucket: str) -> str:
    """IAM user of the sandbox who may assume the key admin role of ``bucket``."""
    return f"key-admin-{bucket}"


def break_glass_user(bucket: str) -> str:
    """IAM user of the sandbox who may assume the break-glass role of ``bucket``."""
    return f"break-glass-{bucket}"


def approver_user(role: str) -> str:
    """IAM user of the sandbox who may assume the approver role of ``role``."""
    return f"approver-{role}"


def rails_user(region: str) -> str:
    """IAM user of the sandbox who pays over the rails in ``region``: it reads their credentials there and uses their queues."""
    return f"rails-{region}"


KIT = "kit"
"""Under which the stack's setting of break-glass principals names who reads the offline kit, beside the buckets."""
KIT_USER = "kit-reader"
"""IAM user of the sandbox who may assume the role that reads the offline kit."""
GAMEDAY_USER = "gameday"
"""IAM user of the sandbox who may assume the role of the runner of game days."""

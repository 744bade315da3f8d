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

CHANGE_JOURNAL_VARIABLE = "SEAWALL_CHANGE_JOURNAL"
"""Path of the journal that `seawall guard` writes overrides to; a sandbox has its own."""
INCIDENT_VARIABLE = "SEAWALL_INCIDENT"
"""Path of the marker that is there while an incident is open: JSON with at least `summary`; a sandbox has its own."""
INCIDENT_FILE = "incident.json"
"""Name of that marker in a sandbox's data directory."""

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
INDICATOR_LABEL = "indicator"
"""Also the dimension of the CloudWatch metric of this name."""
GUARD_BEAT = "seawall_guard_beat_timestamp_seconds"  # gauge; guard
QUEUE_AGE = "seawall_queue_age_seconds"  # gauge; treasury; label scope: all | guaranteed
QUEUE_DEPTH = "seawall_queue_depth"  # gauge; treasury; label scope: all | guaranteed
HOT_BALANCE = "seawall_hot_balance_value_micro"  # gauge; treasury; labels network, asset
LEDGER_DRIFT = "seawall_ledger_drift_base_units"  # gauge; treasury; labels network, bucket, asset
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


# --- standby rails, copies and drills of the stack ---------------------------------------------------------------------
SIDES = ("primary", "standby")
"""The two sides of a rail or of a served name."""
RAIL_DIRECTIONS = ("instructions", "answers")
"""What waits in the queues of an asynchronous rail: what we ask for, and what comes of it."""
CREDENTIAL_AGE = "credential_age_seconds"
"""CloudWatch metric: seconds since the credentials of a rail's side were last put, in the region that they lie in; dimensions rail, side."""
KILL_SWITCH_ARMED = "armed"
"""The only value of the kill switch that lets a drill run."""
KILL_SWITCH_STOPPED = "stopped"
GAMEDAY_TAG = "seawall:gameday"
"""Tag of what a game day may touch; its value is ``target``."""
GAMEDAY_TARGET = "target"
BACKUP_TAG = "seawall:backup"
"""Tag of what AWS Backup copies; its value is the venue's name."""
GENERATED_VARIABLE = "SEAWALL_GENERATED"
"""Folder with what was rendered from the policy in force; unset it is generated/<policy>."""
KILL_SWITCH_VARIABLE = "SEAWALL_KILL_SWITCH"
"""A further kill switch that a runner obeys, as JSON like that of targets.json: the one of the stack that scheduled it."""
RULES_FILE, AMP_ROUTING_FILE = "rules.yml", "amp_alertmanager.yml"
"""Names of the rendered files that the stack uploads."""
REGION_PLACE = "region"
"""Place in AMP_ROUTING_FILE, as string.Template knows it, that the stack fills in with a region."""
RULE_NAMESPACE = "seawall"
"""Namespace of the rule groups in Amazon Managed Prometheus."""
DIGEST_LIST = "SHA256SUMS"
KIT_DIGEST = "sha256"
"""Metadata of each object of the kit: the SHA-256 of its text, in hex."""
"""Object of the offline kit that lists the digest of every other one, as sha256sum(1) writes and checks it."""


def topic_place(severity: str) -> str:
    """Place in AMP_ROUTING_FILE that the stack fills in with the ARN of a severity's topic."""
    return f"topic_{severity}"


def rendered_from(digest: str) -> str:
    """Line at the head of a rendered file: the digest of the policy that it says the same as."""
    return f"# policy digest: {digest}"


def rail_parameter(venue: str, rail: str) -> str:
    """SSM parameter with everything that a client of a rail needs to fail over by itself: one JSON document."""
    return f"/{PREFIX}/{venue}/rails/{rail}"


def rail_secret(venue: str, rail: str, side: str) -> str:
    """Secret with the credentials of one side of a rail; the same name in both regions."""
    return f"{PREFIX}/{venue}/rails/{rail}/{side}"


def rail_queue(venue: str, rail: str, direction: str) -> str:
    """SQS queue of an asynchronous rail; ``direction`` is one of RAIL_DIRECTIONS."""
    return f"{PREFIX}-{venue}-{rail}-{direction}"


def dead_letter_queue(queue: str) -> str:
    """SQS queue that takes what could not be processed from ``queue``."""
    return f"{queue}-dead"


def paging_alias(venue: str) -> str:
    """KMS alias of the key that encrypts a region's topics."""
    return f"alias/{PREFIX}/{venue}/paging"


def kit_alias(venue: str) -> str:
    """KMS alias of the key that encrypts a region's copy of the offline kit."""
    return f"alias/{PREFIX}/{venue}/kit"


def kit_bucket(venue: str, region: str, account: str) -> str:
    """Bucket with a region's copy of the offline kit."""
    return f"{PREFIX}-{venue}-kit-{region}-{account}"


def backup_bucket(venue: str, region: str, account: str) -> str:
    """Bucket with a region's copy of the database's backups."""
    return f"{PREFIX}-{venue}-backups-{region}-{account}"


def backup_vault(venue: str) -> str:
    """AWS Backup vault; the same name in both regions."""
    return f"{PREFIX}-{venue}"


def prometheus_workspace(venue: str) -> str:
    """Alias of the Amazon Managed Prometheus workspace; the same in both regions."""
    return f"{PREFIX}-{venue}"


def gameday_group(venue: str) -> str:
    """EventBridge Scheduler group of the game days, and family of their task."""
    return f"{PREFIX}-{venue}-gamedays"


def service_role(venue: str, service: str) -> str:
    """IAM role that an AWS service works under for the stack: replication, backup, gameday-scheduler."""
    return f"{PREFIX}-{venue}-{service}"


def credential_alarm(venue: str, rail: str, side: str) -> str:
    """CloudWatch alarm on the age of the credentials of one side of a rail; the same name in both regions."""
    return f"{PREFIX}-{venue}-rail-{rail}-{side}-credential-age"


def queue_alarm(queue: str, what: str) -> str:
    """CloudWatch alarm on ``what`` of a rail's queue: dead-letters or age."""
    return f"{queue}-{what}"


def served_alarm(venue: str, name: str, side: str) -> str:
    """CloudWatch alarm on the health of one side of a name that we serve."""
    return f"{PREFIX}-{venue}-served-{name}-{side}"


def deployed_parameter(venue: str) -> str:
    """SSM parameter that says which policy is deployed; written last, after everything else."""
    return f"/{PREFIX}/{venue}/deployed"


def trail(venue: str) -> str:
    """CloudTrail trail of the account, the rules that page for changes of keys, and the queues that keep what they saw."""
    return f"{PREFIX}-{venue}-key-changes"


def trail_bucket(venue: str, account: str) -> str:
    """Bucket of the trail's log files."""
    return f"{PREFIX}-{venue}-trail-{account}"


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

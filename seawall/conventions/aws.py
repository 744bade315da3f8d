"""Names of AWS resources, tags and IAM users."""

from __future__ import annotations

PREFIX = "seawall"


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
    """IAM role that may stop and restart the keys of one bucket, and signs with none."""
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


def fault_role(venue: str) -> str:
    """IAM role that denies the signers' roles to sign for a while, and does nothing else."""
    return f"{PREFIX}-{venue}-fault"


def audit_role(venue: str) -> str:
    """IAM role that looks up who signed, in AWS's own log, and does nothing else."""
    return f"{PREFIX}-{venue}-audit"


def every_signer_role(venue: str) -> str:
    """Pattern of the names of the signers' roles, of all wallets and regions."""
    return f"{PREFIX}-{venue}-signer-*"


def every_role(venue: str) -> str:
    """Pattern of the names of the stack's own roles."""
    return f"{PREFIX}-{venue}-*"


def kill_switch(venue: str) -> str:
    """SSM parameter that stops every game day unless its value is ``armed``."""
    return f"/{PREFIX}/{venue}/gameday/kill-switch"


def severity_topic(venue: str, severity: str) -> str:
    """SNS topic of one severity."""
    return f"{PREFIX}-{venue}-{severity}"


def cloudwatch_alarm(venue: str, trigger: str) -> str:
    """CloudWatch alarm of a policy trigger."""
    return f"{PREFIX}-{venue}-{trigger}"


RAIL_DIRECTIONS = ("instructions", "answers")
"""What the queues of an asynchronous rail hold: our orders, and the provider's answers."""
CREDENTIAL_AGE = "credential_age_seconds"
"""CloudWatch metric: seconds since credentials were last written.

It is in the region of the credentials; dimensions rail and side, or keeper (custodian or carrier).
"""
KILL_SWITCH_ARMED = "armed"
"""The only value of the kill switch that lets a drill run."""
KILL_SWITCH_STOPPED = "stopped"
GAMEDAY_TAG = "seawall:gameday"
"""Tag of what a game day may touch; its value is ``target``."""
GAMEDAY_TARGET = "target"
BACKUP_TAG = "seawall:backup"
"""Tag of what AWS Backup copies; its value is the venue's name."""
DIGEST_LIST = "SHA256SUMS"
"""Object of the offline kit: the digests of all others, in the format of sha256sum(1)."""
KIT_DIGEST = "sha256"
"""Metadata key of each object of the offline kit: the SHA-256 of its text, in hex."""


def rail_parameter(venue: str, rail: str) -> str:
    """SSM parameter with what a client of a rail needs to fail over: one JSON document."""
    return f"/{PREFIX}/{venue}/rails/{rail}"


def rail_secret(venue: str, rail: str, side: str) -> str:
    """Secret with the credentials of one side of a rail; the same name in both regions."""
    return f"{PREFIX}/{venue}/rails/{rail}/{side}"


CUSTODIAN, CARRIER = "custodian", "carrier"
"""Who moves the venue's money between its own wallets, in the names of their secrets."""


def keeper_secret(venue: str, who: str) -> str:
    """Secret with the credentials of the custodian or carrier; the same name in both regions."""
    return f"{PREFIX}/{venue}/keepers/{who}"


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
    """IAM role of an AWS service for the stack: replication, backup or gameday-scheduler."""
    return f"{PREFIX}-{venue}-{service}"


def credential_alarm(venue: str, rail: str, side: str) -> str:
    """CloudWatch alarm on the age of the credentials of one side of a rail.

    The same name in both regions.
    """
    return f"{PREFIX}-{venue}-rail-{rail}-{side}-credential-age"


def keeper_alarm(venue: str, who: str) -> str:
    """CloudWatch alarm on the age of the credentials of the custodian or carrier.

    The same name in both regions.
    """
    return f"{PREFIX}-{venue}-{who}-credential-age"


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
    """CloudTrail trail of the account.

    Also the name of the rules that page for changes of keys, and of the queues that keep them.
    """
    return f"{PREFIX}-{venue}-key-changes"


def trail_bucket(venue: str, account: str) -> str:
    """Bucket of the trail's log files."""
    return f"{PREFIX}-{venue}-trail-{account}"


def evidence_bucket(venue: str, account: str) -> str:
    """Bucket that keeps the evidence of drills; the account makes the name globally unique."""
    return f"{PREFIX}-{venue}-evidence-{account}"


CLOUDWATCH_NAMESPACE = "Seawall"
DEPLOYER = "deployer"
"""IAM user that provisions the stack; its existence starts enforcement in the sandbox."""


def signer_user(bucket: str, region: str) -> str:
    """IAM user of a bucket's signer in a region of the sandbox.

    It may only assume the signer roles of that bucket and region.
    """
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
    """IAM user of the sandbox who pays over the rails in ``region``.

    It reads their credentials there and uses their queues.
    """
    return f"rails-{region}"


def treasury_user(region: str) -> str:
    """IAM user of the sandbox who runs the treasury in ``region``.

    It reads the credentials with custodian and carrier there.
    """
    return f"treasury-{region}"


KIT = "kit"
"""Key in the stack's setting of break-glass principals for those who read the offline kit.

The other keys are names of buckets.
"""
BACKUP_USER = "backup-writer"
"""IAM user of the sandbox who keeps the database's backups in their bucket, and reads them."""
KIT_USER = "kit-reader"
"""IAM user of the sandbox who may assume the role that reads the offline kit."""
FAULT_USER = "fault-injector"
"""IAM user of the sandbox who may assume the role that denies signing for a while."""
AUDIT_USER = "auditor"
"""IAM user of the sandbox who may assume the role that looks up who signed."""
GAMEDAY_USER = "gameday"
"""IAM user of the sandbox who may assume the role of the runner of game days."""

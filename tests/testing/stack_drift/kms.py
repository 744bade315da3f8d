"""Changes outside the stack in KMS."""

from __future__ import annotations

from tests.testing.stack_drift.change import Account, Change, Removal, Resource, stray

KEY, REPLICA, ALIAS = "aws:kms/key:Key", "aws:kms/replicaKey:ReplicaKey", "aws:kms/alias:Alias"


def describe(account: Account, key: Resource) -> str:
    account.of(key, "kms").update_key_description(KeyId=key.id, Description="theirs")
    return "theirs"


def tag(account: Account, key: Resource) -> str:
    account.of(key, "kms").tag_resource(
        KeyId=key.id, Tags=[{"TagKey": "owner", "TagValue": "mallory"}]
    )
    return "mallory"


def put_policy(account: Account, key: Resource) -> str:
    kms = account.of(key, "kms")
    policy = kms.get_key_policy(KeyId=key.id, PolicyName="default")["Policy"]
    kms.put_key_policy(KeyId=key.id, PolicyName="default", Policy=stray(policy))
    return "Stray"


def stop_rotation(account: Account, key: Resource) -> bool:
    account.of(key, "kms").disable_key_rotation(KeyId=key.id)
    return False


def disable(account: Account, key: Resource) -> bool:
    account.of(key, "kms").disable_key(KeyId=key.id)
    return False


def make_primary(account: Account, replica: Resource) -> str:
    """Make the replica the primary, as the runbook of a lost region says, outside the program."""
    primary = str(replica.outputs["primaryKeyArn"])
    account.client("kms", primary.split(":")[3]).update_primary_region(
        KeyId=primary, PrimaryRegion=replica.region
    )
    return str(replica.outputs["arn"])


def make_replica_again(account: Account, replica: Resource) -> None:
    """An `up` would make the replica anew, which is there."""
    before = str(replica.outputs["primaryKeyArn"]).split(":")[3]
    account.of(replica, "kms").update_primary_region(KeyId=replica.id, PrimaryRegion=before)


def point_elsewhere(account: Account, alias: Resource) -> str:
    kms = account.of(alias, "kms")
    there = kms.describe_key(KeyId=alias.id)["KeyMetadata"]
    other = kms.create_key(KeySpec=there["KeySpec"], KeyUsage=there["KeyUsage"])["KeyMetadata"][
        "KeyId"
    ]
    kms.update_alias(AliasName=alias.id, TargetKeyId=other)
    return str(other)


def schedule_deletion(account: Account, key: Resource) -> None:
    account.of(key, "kms").schedule_key_deletion(KeyId=key.id, PendingWindowInDays=7)


CHANGES = (
    *(
        Change(kind=kind, leaf=leaf, how=how)
        for kind in (KEY, REPLICA)
        for leaf, how in {"description": describe, "tags": tag, "policy": put_policy}.items()
    ),
    Change(
        kind=KEY,
        leaf="enableKeyRotation",
        how=stop_rotation,
        able=lambda key: bool(key.inputs["enableKeyRotation"]),
    ),
    Change(kind=KEY, leaf="isEnabled", how=disable),
    Change(kind=REPLICA, leaf="enabled", how=disable),
    Change(kind=REPLICA, leaf="primaryKeyArn", how=make_primary, back=make_replica_again),
    Change(kind=ALIAS, leaf="targetKeyId", how=point_elsewhere),
)
REMOVALS = (
    Removal(kind=REPLICA, how=schedule_deletion),
    Removal(kind=KEY, how=schedule_deletion),
    Removal(
        kind=ALIAS,
        how=lambda account, alias: account.of(alias, "kms").delete_alias(AliasName=alias.id),
    ),
)

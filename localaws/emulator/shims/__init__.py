"""Where moto is too kind, one module per kindness; each cites what AWS does instead.

| module | what it puts right |
|---|---|
| ``digests`` | ``MessageType=DIGEST`` signs the digest itself |
| ``key_state`` | a key that is disabled or about to be deleted does not sign |
| ``replicas`` | a replica key has its own policy, description, tags and aliases |
| ``leftovers`` | tags end with the alarm that carries them, names with the backup plan |
| ``primaries`` | a multi-Region key changes its primary Region |
| ``quotas`` | elliptic-curve operations are throttled |
| ``deliveries`` | topics and queues let in whom their policies name |
| ``event_rules`` | rules of EventBridge deliver to topics and queues |
| ``trails`` | basic and advanced event selectors replace each other |
| ``alarms`` | CloudWatch alarms (also on queues: ``queue_metrics``) change state and tell their topics; composite alarms exist |
| ``trail_events`` | key-management calls are events while a trail logs them |
| ``dry_run`` | ``DryRun`` tells whether a call would succeed, and does nothing |
| ``iam`` | policies decide, all kinds of them, bound to the resource asked for |
| ``rotation`` | only symmetric keys rotate, with a period |
| ``object_lock`` | a retention binds |
| ``bucket_settings`` | lifecycle and replication are told as they were given |
| ``replication`` | S3 copies what is put, as the rule's role may |
| ``queues`` | attributes that are not named stay; a dead-letter queue chooses its sources |
| ``secret_settings`` | descriptions can be emptied, replicas have keys of their own |
| ``parameters`` | a value matches the pattern; a tier does not go down |
| ``health_checks`` | an alarm stays with its check; what is reset is gone |
| ``record_sets`` | a record is one name, type and set; a deletion names what is there |
| ``backups`` | backup plans have selections and updates, vaults have policies |
| ``log_groups`` | log groups change their key |
| ``prometheus`` | managed Prometheus keeps keys and Alertmanager definitions, and refuses wrong ones |
| ``schedules`` | schedule groups are made once |
"""

from functools import cache

from localaws.emulator.authorization import enforcement
from localaws.emulator.shims import (
    alarms,
    backups,
    bucket_settings,
    deliveries,
    digests,
    dry_run,
    event_rules,
    health_checks,
    key_state,
    leftovers,
    log_groups,
    object_lock,
    parameters,
    primaries,
    prometheus,
    queues,
    quotas,
    record_sets,
    replicas,
    replication,
    rotation,
    schedules,
    secret_settings,
    trail_events,
    trails,
)
from localaws.emulator.shims import thread_safe as steady


@cache
def install() -> None:
    """Put every shim in place, for this process and for good; a second call does nothing."""
    steady.install()
    digests.install()
    key_state.install()
    replicas.install()
    dry_run.install()
    leftovers.install()
    enforcement.install()
    primaries.install()
    quotas.install()
    deliveries.install()
    event_rules.install()
    trails.install()
    trail_events.install()
    rotation.install()
    object_lock.install()
    bucket_settings.install()
    replication.install()
    queues.install()
    secret_settings.install()
    parameters.install()
    alarms.install()
    health_checks.install()
    record_sets.install()
    schedules.install()
    prometheus.install()
    log_groups.install()
    backups.install()


__all__ = ["install"]

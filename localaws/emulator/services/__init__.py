"""Corrects moto, one module per AWS service; each cites what AWS does and what moto does instead.

| module | what it puts right |
|---|---|
| ``kms`` | ``MessageType=DIGEST``, key states, replicas, primaries, ``DryRun``, quota, rotation |
| ``s3`` | a retention binds; lifecycle and replication stay as given; S3 copies what is put |
| ``cloudwatch``, ``alarm_states`` | alarms change state and notify; composite alarms exist |
| ``cloudtrail`` | key-management calls are events while a trail logs them |
| ``event_history`` | uses and changes of keys can be looked up, late and by the page |
| ``eventbridge`` | rules deliver to topics and queues |
| ``sns`` | topics let in the services that their policies name, and never fail the caller |
| ``sqs`` | attributes stay as set; queues let in the services that their policies name |
| ``route53`` | a check keeps its alarm; a record is one name, type and set |
| ``secretsmanager`` | descriptions can be emptied, replicas have keys of their own |
| ``ssm`` | a value matches its pattern; a tier does not go down |
| ``backup`` | plans have selections and updates, vaults have policies |
| ``logs`` | log groups change their key |
| ``amp`` | managed Prometheus keeps keys and Alertmanager definitions, refuses wrong ones |
| ``scheduler`` | schedule groups are made once |

IAM and STS are in ``localaws.emulator.authorization``: policies of all kinds decide each request.
"""

from functools import cache

from localaws.emulator import thread_safe
from localaws.emulator.authorization import enforcement
from localaws.emulator.services import (
    amp,
    backup,
    cloudtrail,
    cloudwatch,
    event_history,
    eventbridge,
    kms,
    logs,
    route53,
    s3,
    scheduler,
    secretsmanager,
    sns,
    sqs,
    ssm,
)

_SERVICES = (
    kms,
    sqs,
    sns,
    eventbridge,
    cloudtrail,
    event_history,
    cloudwatch,
    s3,
    secretsmanager,
    ssm,
    route53,
    scheduler,
    amp,
    logs,
    backup,
)


@cache
def install() -> None:
    """Change moto in this process, for good; a second call does nothing."""
    thread_safe.install()
    enforcement.install()
    for service in _SERVICES:
        service.install()


__all__ = ["install"]

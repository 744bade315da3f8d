"""What stands by, as the Pulumi program declares it for the sandbox's policy, on the engine's own mocks."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.backup import backing_up, days, schedule_of
from infra.gamedays import problem_of
from infra.gamedays.gamedays import region_of
from infra.kit import contents_of
from infra.kit.contents import contacts, digest_list
from infra.monitoring import addressed, rendered
from infra.rails.failover import failover_of
from seawall import conventions
from seawall.controls.breaker import BreakerSettings
from seawall.errors import UsageError
from seawall.policy import Policy, load_policy

ROOT = Path(__file__).resolve().parents[3]
POLICY = ROOT / "policies" / "sandbox.yaml"
REGIONS = ("us-east-1", "us-west-2")
ACCOUNT = "123456789012"
DEPLOYER = f"arn:aws:iam::{ACCOUNT}:user/deployer"


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One resource as the program declared it."""

    type: str
    name: str
    inputs: dict[str, Any]
    protect: bool


@cache
def declared(*, guarded: bool) -> tuple[Declared, ...]:
    file = yaml.safe_load((ROOT / "infra" / "stacks" / "Pulumi.sandbox.yaml").read_text(encoding="utf-8"))
    config = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in file["config"].items()
        if name.startswith("seawall:")
    }
    config["seawall:deletion"] = "guarded" if guarded else "disposable"
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.infra.declaration", json.dumps(config), "sandbox"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), conventions.POLICY_VARIABLE: str(POLICY)},
        stdout=subprocess.PIPE,
        check=True,
    )
    return tuple(Declared(**resource) for resource in json.loads(done.stdout.splitlines()[-1]))


def of(kind: str, *, guarded: bool = False) -> dict[str, dict[str, Any]]:
    """Inputs by logical name."""
    return {each.name: each.inputs for each in declared(guarded=guarded) if each.type == kind}


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy(POLICY)


def statements(text: str) -> dict[str, dict[str, Any]]:
    return {statement["Sid"]: statement for statement in json.loads(text)["Statement"]}


def test_each_side_of_each_rail_has_a_secret_in_both_regions_and_nobody_but_the_rails_workload_reads_it(
    policy: Policy,
) -> None:
    secrets = of("aws:secretsmanager/secret:Secret")
    wanted = {
        f"{rail}-{side}-{region}" for rail in policy.rails for side in ("primary", "standby") for region in REGIONS
    }
    assert set(secrets) == wanted
    for name, secret in secrets.items():
        reader = f"arn:aws:iam::{ACCOUNT}:user/rails-{secret['region']}"
        said = statements(secret["policy"])
        assert said["Read"]["Principal"] == {"AWS": reader}, name
        assert said["NobodyElseReads"]["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": reader}}


def test_no_value_of_a_secret_is_ever_declared() -> None:
    assert not of("aws:secretsmanager/secretVersion:SecretVersion")


def test_credentials_that_grow_too_old_or_are_not_watched_are_told_once_their_age_is_published(policy: Policy) -> None:
    alarms = of("aws:cloudwatch/metricAlarm:MetricAlarm")
    for rail, promised in policy.rails.items():
        for region in REGIONS:
            alarm = alarms[f"{rail}-standby-age-{region}"]
            assert alarm["threshold"] == promised.credential_age_max / 1_000
            assert (alarm["metricName"], alarm["dimensions"]) == (
                conventions.CREDENTIAL_AGE,
                {"rail": rail, "side": "standby"},
            )
            assert alarm["treatMissingData"] == "breaching"
            assert alarm["actionsEnabled"] is False  # the sandbox publishes nothing
            assert alarm["alarmActions"] == [f"arn:{region}:warning-{region}"]


def test_a_rail_that_answers_later_has_queues_with_a_place_for_what_fails_and_an_alarm_on_it(policy: Policy) -> None:
    queues = of("aws:sqs/queue:Queue")
    later = [rail for rail, promised in policy.rails.items() if promised.asynchronous]
    assert later == ["fiat"]
    assert len(queues) == 2 * 2 * 2
    for region in REGIONS:
        queue, dead = queues[f"fiat-instructions-{region}"], queues[f"fiat-instructions-dead-{region}"]
        assert (
            json.loads(queue["redrivePolicy"])["deadLetterTargetArn"] == f"arn:{region}:fiat-instructions-dead-{region}"
        )
        source = f"arn:aws:sqs:{region}:{ACCOUNT}:{queue['name']}"
        assert json.loads(dead["redriveAllowPolicy"]) == {"redrivePermission": "byQueue", "sourceQueueArns": [source]}
        assert queue["sqsManagedSseEnabled"] is dead["sqsManagedSseEnabled"] is True
        alarm = of("aws:cloudwatch/metricAlarm:MetricAlarm")[f"fiat-instructions-dead-depth-{region}"]
        assert (alarm["threshold"], alarm["dimensions"]) == (1, {"QueueName": dead["name"]})


def test_what_a_client_needs_to_fail_over_lies_in_its_own_region(policy: Policy) -> None:
    parameters = of("aws:ssm/parameter:Parameter")
    for rail in policy.rails:
        for region in REGIONS:
            told = json.loads(parameters[f"{rail}-{region}"]["insecureValue"])
            assert parameters[f"{rail}-{region}"]["region"] == region
            assert told["credentials"]["standby"] == f"arn:{region}:{rail}-standby-{region}"
            assert told["sides"]["standby"]["endpoint"] == policy.rails[rail].endpoints.standby


def test_a_region_prefers_its_own_side_of_a_network_and_gives_a_provider_up_within_the_target(policy: Policy) -> None:
    assert failover_of(policy, "aster", region="us-east-1")["order"] == ["primary", "standby"]
    assert failover_of(policy, "aster", region="us-west-2")["order"] == ["standby", "primary"]
    assert failover_of(policy, "exchange", region="us-west-2")["order"] == ["primary", "standby"]
    told = failover_of(policy, "exchange", region="us-east-1")
    attempts = told["breaker"]["failures_to_open"] + 1
    assert told["breaker"]["failures_to_open"] == BreakerSettings().failures_to_open
    assert 0 < told["timeout_ms"] * attempts <= policy.targets.failover_max


def test_names_that_we_serve_move_to_their_standby_and_no_other_name_does(policy: Policy) -> None:
    records, checks = of("aws:route53/record:Record"), of("aws:route53/healthCheck:HealthCheck")
    assert (
        set(records) == set(checks) == {f"{name}-{side}" for name in policy.served for side in ("primary", "standby")}
    )
    for name, served in policy.served.items():
        kinds = {side: records[f"{name}-{side}"]["failoverRoutingPolicies"] for side in ("primary", "standby")}
        assert kinds == {"primary": [{"type": "PRIMARY"}], "standby": [{"type": "SECONDARY"}]}
        assert records[f"{name}-standby"]["records"] == [served.standby]
        assert records[f"{name}-primary"]["ttl"] * 1_000 <= served.ttl + 999
        assert checks[f"{name}-primary"]["fqdn"] == served.primary
        alarm = of("aws:cloudwatch/metricAlarm:MetricAlarm")[f"{name}-primary-health"]
        assert (alarm["region"], alarm["namespace"]) == ("us-east-1", "AWS/Route53")


def test_each_region_pages_by_itself_and_only_for_this_account(policy: Policy) -> None:
    topics = of("aws:sns/topic:Topic")
    assert set(topics) == {f"{severity}-{region}" for severity in ("info", "warning", "critical") for region in REGIONS}
    for region in REGIONS:
        topic = topics[f"critical-{region}"]
        assert topic["kmsMasterKeyId"] == f"arn:{region}:paging-{region}"
        said = json.loads(topic["policy"])["Statement"]
        assert {each["Principal"]["Service"] for each in said} == {
            "cloudwatch.amazonaws.com",
            "events.amazonaws.com",
            "aps.amazonaws.com",
        }
        assert all(each["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT} for each in said)
        paged = {role for trigger in policy.triggers if trigger.severity == "critical" for role in trigger.pages}
        subscribed = {
            name
            for name in of("aws:sns/topicSubscription:TopicSubscription")
            if name.startswith("critical-") and name.endswith(region)
        }
        assert subscribed == {f"critical-{role}-{region}" for role in paged}
        assert {f"{trigger.name}-{region}" for trigger in policy.triggers} <= set(
            of("aws:cloudwatch/metricAlarm:MetricAlarm")
        )


def test_prometheus_gets_the_rules_of_this_policy_and_pages_through_its_own_region() -> None:
    rules = (ROOT / "generated" / "sandbox" / "rules.yml").read_text(encoding="utf-8")
    assert {
        region: each["data"] for region, each in of("aws:amp/ruleGroupNamespace:RuleGroupNamespace").items()
    } == dict.fromkeys(REGIONS, rules)
    for region, definition in of("aws:amp/alertManagerDefinition:AlertManagerDefinition").items():
        routing = yaml.safe_load(yaml.safe_load(definition["definition"])["alertmanager_config"])
        sns = {each["name"]: each["sns_configs"][0] for each in routing["receivers"]}
        assert {name: each["topic_arn"] for name, each in sns.items()} == {
            severity: f"arn:{region}:{severity}-{region}" for severity in ("info", "warning", "critical")
        }
        assert {each["sigv4"]["region"] for each in sns.values()} == {region}


def test_rules_of_another_policy_are_refused(policy: Policy, tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(f"# DO NOT EDIT\n{conventions.rendered_from('0' * 64)}\ngroups: []\n", encoding="utf-8")
    with pytest.raises(UsageError, match="rendered from another policy than sandbox"):
        rendered(policy, "rules.yml", folder=tmp_path)
    file.write_text(f"# DO NOT EDIT\n{conventions.rendered_from(policy.digest)}\ngroups: []\n", encoding="utf-8")
    assert rendered(policy, "rules.yml", folder=tmp_path).endswith("groups: []\n")
    with pytest.raises(UsageError, match=r"cannot be read: No such file.*run bin/seawall render"):
        rendered(policy, "none.yml", folder=tmp_path)


def test_a_place_that_nobody_fills_in_is_an_error() -> None:
    assert addressed("a: ${region} ${topic_info}", region="r", topics={"info": "t"}) == "a: r t"
    with pytest.raises(KeyError, match="topic_critical"):
        addressed("a: ${topic_critical}", region="r", topics={"info": "t"})


@pytest.mark.parametrize("guarded", [False, True])
def test_every_bucket_is_versioned_locked_encrypted_private_and_speaks_tls_only(guarded: bool) -> None:
    buckets = of("aws:s3/bucket:Bucket", guarded=guarded)
    assert {"evidence", "backups-us-east-1", "backups-us-west-2", "kit-us-east-1", "kit-us-west-2"} <= set(buckets)
    for kind in (
        "bucketVersioning:BucketVersioning", "bucketObjectLockConfiguration:BucketObjectLockConfiguration",
        "bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "bucketPublicAccessBlock:BucketPublicAccessBlock", "bucketOwnershipControls:BucketOwnershipControls",
        "bucketLifecycleConfiguration:BucketLifecycleConfiguration", "bucketPolicy:BucketPolicy",
    ):  # fmt: skip
        assert set(of(f"aws:s3/{kind}", guarded=guarded)) >= set(buckets), kind
    for name, bucket in buckets.items():
        said = statements(of("aws:s3/bucketPolicy:BucketPolicy", guarded=guarded)[name]["policy"])
        assert said["OverTlsOnly"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        removes = said["NobodyRemovesVersions"]
        assert "s3:DeleteObjectVersion" in removes["Action"]
        # A guarded stack lets nobody remove a version, a disposable one its deployer, who must be able to throw it away.
        assert removes.get("Condition") == (None if guarded else {"ArnNotEquals": {"aws:PrincipalArn": DEPLOYER}})
        assert bucket["forceDestroy"] is not guarded


def test_nothing_expires_before_its_lock(policy: Policy) -> None:
    locks = of("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration")
    assert locks["evidence"]["rule"]["defaultRetention"] == {
        "mode": "GOVERNANCE",
        "days": days(policy.backup.evidence_keep),
    }
    for name, lifecycle in of("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration").items():
        locked = locks[name]["rule"]["defaultRetention"]["days"]
        ends = [rule["expiration"]["days"] for rule in lifecycle["rules"] if "expiration" in rule]
        assert all(end > locked for end in ends), name
        assert bool(ends) is not name.startswith("kit-")  # an old runbook is needed all the same


def test_backups_are_replicated_by_a_role_that_can_do_nothing_else() -> None:
    [config] = of("aws:s3/bucketReplicationConfig:BucketReplicationConfig").values()
    copy = f"arn:aws:s3:::{of('aws:s3/bucket:Bucket')['backups-us-west-2']['bucket']}"
    assert config["rules"][0]["destination"]["bucket"] == copy
    said = statements(of("aws:iam/rolePolicy:RolePolicy")["replication"]["policy"])
    assert said["WriteCopies"]["Resource"] == f"{copy}/*"
    assert of("aws:iam/role:Role")["replication"]["permissionsBoundary"]


def test_a_vault_can_be_locked_for_ever_only_on_purpose(policy: Policy) -> None:
    locks = of("aws:backup/vaultLockConfiguration:VaultLockConfiguration", guarded=True)
    assert set(locks) == set(REGIONS)
    assert all("changeableForDays" not in lock for lock in locks.values())
    assert {lock["minRetentionDays"] for lock in locks.values()} == {days(policy.backup.keep)}
    [rule] = of("aws:backup/plan:Plan")["ledger"]["rules"]
    assert rule["copyActions"][0]["destinationVaultArn"] == "arn:us-west-2:us-west-2"
    [tag] = of("aws:backup/selection:Selection")["tagged"]["selectionTags"]
    assert (tag["key"], tag["value"]) == (conventions.BACKUP_TAG, policy.venue.name)


@pytest.mark.parametrize(
    ("every", "cron"), [(1, "cron(0 * ? * * *)"), (6, "cron(0 0/6 ? * * *)"), (24, "cron(0 0 ? * * *)")]
)
def test_the_pace_of_backups_is_one_that_aws_has_and_the_one_that_was_promised(every: int, cron: str) -> None:
    production = load_policy(ROOT / "policies" / "production.yaml")
    promised = production.model_copy(
        update={"backup": production.backup.model_copy(update={"every": every * 3_600_000})}
    )
    assert schedule_of(promised) == cron
    # A drill's factor shortens the policy's durations, not AWS's clock.
    assert schedule_of(load_policy(POLICY)) == "cron(0 * ? * * *)"


@pytest.mark.parametrize("every_ms", [1_200_000, 5 * 3_600_000, 48 * 3_600_000])
def test_a_pace_that_aws_does_not_have_is_refused(every_ms: int) -> None:
    production = load_policy(ROOT / "policies" / "production.yaml")
    with pytest.raises(UsageError, match="which AWS Backup has no schedule for"):
        schedule_of(production.model_copy(update={"backup": production.backup.model_copy(update={"every": every_ms})}))


def test_the_backup_roles_reach_stays_in_this_account_and_off_our_own_buckets() -> None:
    said = {statement["Sid"]: statement for statement in backing_up(ACCOUNT)}
    assert said["NeverOurs"]["Resource"] == "arn:aws:s3:::seawall-*"
    assert said["BackUp"]["Condition"] == {"StringEqualsIfExists": {"aws:ResourceAccount": ACCOUNT}}


def test_only_the_kits_role_can_decrypt_the_kit_and_only_the_deployer_can_write_it() -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/seawall-harbour-break-glass-kit"
    for region in REGIONS:
        said = statements(of("aws:kms/key:Key")[f"kit-{region}"]["policy"])
        decrypt = [sid for sid, each in said.items() if each["Effect"] == "Allow" and "kms:Decrypt" in each["Action"]]
        assert decrypt == ["Read"]
        assert said["Write"] == {
            "Sid": "Write",
            "Effect": "Allow",
            "Principal": {"AWS": DEPLOYER},
            "Action": ["kms:GenerateDataKey"],
            "Resource": "*",
        }
        guarded = statements(of("aws:s3/bucketPolicy:BucketPolicy")[f"kit-{region}"]["policy"])
        assert guarded["NobodyElseReads"]["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": [role, DEPLOYER]}}
        assert guarded["NobodyElseWrites"]["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": DEPLOYER}}


def test_the_kit_lies_whole_in_both_regions_with_a_digest_for_every_file(policy: Policy) -> None:
    files = contents_of(policy, repository=ROOT)
    objects = of("aws:s3/bucketObjectv2:BucketObjectv2")
    assert {name: each["content"] for name, each in objects.items()} == {
        f"{path}-{region}": text for path, text in files.items() for region in REGIONS
    }
    listed = dict(reversed(line.split("  ")) for line in files["SHA256SUMS"].splitlines())
    assert listed == {
        path: hashlib.sha256(text.encode()).hexdigest() for path, text in files.items() if path != "SHA256SUMS"
    }
    assert {"runbooks/signing-procedures.md", "runbooks/recovery-steps.md", "contacts.md", "policy.json"} <= set(listed)


def test_sha256sum_accepts_the_digest_list_and_finds_a_changed_file(tmp_path: Path) -> None:
    files = {"a.md": "one\n", "b/c.md": "zwölf\n"}
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(text.encode())
    (tmp_path / "SHA256SUMS").write_text(digest_list(files), encoding="utf-8")
    check = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    assert subprocess.run(check, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    (tmp_path / "a.md").write_text("two\n", encoding="utf-8")
    assert b"a.md: FAILED" in subprocess.run(check, cwd=tmp_path, check=False, capture_output=True).stdout


def test_the_contact_tree_says_whom_to_reach_who_is_paged_and_who_approves(policy: Policy) -> None:
    text = contacts(policy)
    assert all(f"- **{name}**: {role.email}" in text for name, role in policy.roles.items())
    assert "- run-on-the-bank (critical): incident-commander, then treasury-lead, then communications-owner" in text
    assert "- routine: 2 of treasury-lead, wallet-ops-lead, incident-commander" in text


def test_a_kit_without_its_procedures_is_refused(policy: Policy, tmp_path: Path) -> None:
    (tmp_path / "docs" / "runbooks").mkdir(parents=True)
    (tmp_path / "docs" / "runbooks" / "recovery-steps.md").write_text("x", encoding="utf-8")
    with pytest.raises(UsageError, match=r"the offline kit lacks signing-procedures\.md"):
        contents_of(policy, repository=tmp_path)


def test_game_days_start_at_the_policys_hour_in_a_role_that_reaches_tagged_targets_only(policy: Policy) -> None:
    day = policy.gameday()
    schedule = of("aws:scheduler/schedule:Schedule")[day.name]
    assert (schedule["scheduleExpression"], schedule["state"], schedule["groupName"]) == (
        day.schedule,
        "ENABLED",
        "seawall-harbour-gamedays",
    )
    told = json.loads(schedule["target"]["input"])["containerOverrides"][0]["command"]
    assert told[-2:] == ["--gameday", day.name]
    said = statements(of("aws:iam/rolePolicy:RolePolicy")["gameday"]["policy"])
    assert said["BreakTargets"]["Condition"] == {"StringEquals": {"aws:ResourceTag/seawall:gameday": "target"}}
    boundary = statements(of("aws:iam/policy:Policy")["boundary-gameday"]["policy"])
    assert {"kms:*", "iam:*", "sts:AssumeRole"} <= set(boundary["NeverKeysOrPermissions"]["Action"])
    passes = statements(of("aws:iam/rolePolicy:RolePolicy")["gameday-scheduler"]["policy"])["HandOverRoles"]
    assert passes["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    assert set(passes["Resource"]) == {
        f"arn:aws:iam::{ACCOUNT}:role/seawall-harbour-gameday",
        f"arn:aws:iam::{ACCOUNT}:role/seawall-harbour-gameday-execution",
    }


@pytest.mark.parametrize(("guarded", "value"), [(True, "stopped"), (False, "armed")])
def test_the_kill_switch_lies_in_both_regions_and_a_guarded_stack_begins_stopped(guarded: bool, value: str) -> None:
    switches = {
        name: each
        for name, each in of("aws:ssm/parameter:Parameter", guarded=guarded).items()
        if name.startswith("kill-switch-")
    }
    assert {each["region"] for each in switches.values()} == set(REGIONS)
    assert {(each["name"], each["insecureValue"]) for each in switches.values()} == {
        ("/seawall/harbour/gameday/kill-switch", value)
    }


@pytest.mark.parametrize(
    "cluster", ["gamedays", "arn:aws:ecs:us-west-2:1:service/x", "arn:aws:eks:us-west-2:1:cluster/x"]
)
def test_a_cluster_that_is_not_named_by_its_arn_is_refused(cluster: str) -> None:
    with pytest.raises(UsageError, match="write its ARN"):
        region_of(cluster)
    assert region_of("arn:aws:ecs:eu-west-1:123456789012:cluster/x") == "eu-west-1"


@pytest.mark.parametrize(
    "cron",
    [
        "cron(0 10 ? * TUE#1 *)", "cron(0/15 8-18 * * ? *)", "cron(0 9 L JAN,JUL ? 2027-2030)", "cron(5,35 * ? * MON-FRI *)",
        "cron(0 0 15W * ? *)", "cron(0 0 ? * 6L *)",
    ],
)  # fmt: skip
def test_a_schedule_that_eventbridge_takes_is_accepted(cron: str) -> None:
    assert problem_of(cron) is None


@pytest.mark.parametrize(
    ("cron", "because"),
    [
        ("0 10 ? * TUE *", r"write cron\("),
        ("cron(0 10 ? * TUE)", "six fields"),
        ("cron(0 10 * * TUE *)", "exactly one of day of month and day of week"),
        ("cron(0 10 ? * ? *)", "exactly one of day of month and day of week"),
        ("cron(60 10 ? * TUE *)", "minutes cannot be '60'"),
        ("cron(0 24 ? * TUE *)", "hours cannot be '24'"),
        ("cron(0 10 ? * 0 *)", "day of week cannot be '0'"),
        ("cron(0 10 ? * TUE#6 *)", "day of week cannot be 'TUE#6'"),
        ("cron(0 10 ? * TUE#1,FRI#3 *)", "one # and nothing beside it"),
        ("cron(0 10 ? FOO TUE *)", "month cannot be 'FOO'"),
        ("cron(0 10 ? * FRI-MON *)", "day of week cannot be 'FRI-MON'"),
        ("cron(? 10 ? * TUE *)", r"minutes cannot be \?"),
        ("cron(0/0 10 ? * TUE *)", "minutes cannot be '0/0'"),
        ("cron(0 10 ? * TUE 1969)", "year cannot be '1969'"),
    ],
)
def test_a_schedule_that_eventbridge_would_refuse_is_refused_with_what_to_write(cron: str, because: str) -> None:
    import re

    found = problem_of(cron)
    assert found is not None
    assert re.search(because, found)


def test_what_must_last_is_protected_in_a_guarded_stack() -> None:
    kinds = (
        "aws:s3/bucket:Bucket",
        "aws:backup/vault:Vault",
        "aws:backup/vaultLockConfiguration:VaultLockConfiguration",
        "aws:kms/key:Key",
    )
    for guarded in (True, False):
        assert {each.protect for each in declared(guarded=guarded) if each.type in kinds} == {guarded}


def test_everything_that_carries_tags_of_a_rail_names_it(policy: Policy) -> None:
    for kind in ("aws:secretsmanager/secret:Secret", "aws:sqs/queue:Queue"):
        for name, inputs in of(kind).items():
            assert name.startswith(inputs["tags"]["rail"]), name
            assert inputs["tags"]["policy"] == policy.digest

"""Rails, pages and rules, as the Pulumi program declares them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from infra.generated_files import read_generated
from infra.monitoring import addressed
from infra.rails import failover_of
from seawall.controls.breaker import BreakerSettings
from seawall.conventions import aws, generated
from seawall.errors import UsageError
from seawall.policy import Policy
from tests.testing.declared import ACCOUNT, POLICY, REGIONS, ROOT, inputs_of, statements


@pytest.fixture(scope="module")
def policy() -> Policy:
    return POLICY


def test_each_rail_and_keeper_has_secrets_in_both_regions_that_only_its_workload_may_read(
    policy: Policy,
) -> None:
    """Whoever pays over the rails reads none of custodian and carrier, nor the other way round."""
    secrets = inputs_of("aws:secretsmanager/secret:Secret")
    keepers = {f"{who}-{region}" for who in ("custodian", "carrier") for region in REGIONS}
    wanted = {
        f"{rail}-{side}-{region}"
        for rail in policy.rails
        for side in ("primary", "standby")
        for region in REGIONS
    }
    assert set(secrets) == wanted | keepers
    for name, secret in secrets.items():
        workload = "treasury" if name in keepers else "rails"
        reader = f"arn:aws:iam::{ACCOUNT}:user/{workload}-{secret['region']}"
        said = statements(secret["policy"])
        assert said["Read"]["Principal"] == {"AWS": reader}, name
        assert said["NobodyElseReads"]["Condition"] == {
            "ArnNotEquals": {"aws:PrincipalArn": reader}
        }


def test_no_value_of_a_secret_is_ever_declared() -> None:
    assert not inputs_of("aws:secretsmanager/secretVersion:SecretVersion")


def test_old_or_unmeasured_credentials_page_once_their_age_is_published(policy: Policy) -> None:
    alarms = inputs_of("aws:cloudwatch/metricAlarm:MetricAlarm")
    for rail, promised in policy.rails.items():
        for region in REGIONS:
            alarm = alarms[f"{rail}-standby-age-{region}"]
            assert alarm["threshold"] == promised.credential_age_max / 1_000
            assert (alarm["metricName"], alarm["dimensions"]) == (
                aws.CREDENTIAL_AGE,
                {"rail": rail, "side": "standby"},
            )
            assert alarm["treatMissingData"] == "breaching"
            assert alarm["actionsEnabled"] is False  # the sandbox publishes nothing
            assert alarm["alarmActions"] == [f"arn:{region}:warning-{region}"]


def test_so_do_those_with_custodian_and_carrier(policy: Policy) -> None:
    """Nobody would notice before their provider refuses them, when cold money is needed."""
    alarms = inputs_of("aws:cloudwatch/metricAlarm:MetricAlarm")
    assert policy.custody is not None
    assert policy.rebalancing is not None
    greatest = {
        "custodian": policy.custody.credential_age_max,
        "carrier": policy.rebalancing.credential_age_max,
    }
    for who, age_ms_max in greatest.items():
        for region in REGIONS:
            alarm = alarms[f"{who}-age-{region}"]
            assert alarm["threshold"] == age_ms_max / 1_000
            assert (alarm["metricName"], alarm["dimensions"]) == (
                aws.CREDENTIAL_AGE,
                {"keeper": who},
            )
            assert alarm["treatMissingData"] == "breaching"
            assert alarm["actionsEnabled"] is False
            assert alarm["alarmActions"] == [f"arn:{region}:warning-{region}"]


def test_the_alarms_of_an_age_name_a_runbook() -> None:
    alarms = inputs_of("aws:cloudwatch/metricAlarm:MetricAlarm").values()
    told = [each["alarmDescription"] for each in alarms if each["metricName"] == aws.CREDENTIAL_AGE]
    assert told
    for text in told:
        assert (ROOT / text.rpartition(" ")[2]).is_file(), text


def test_an_asynchronous_rail_has_queues_with_dead_letter_queues_and_alarms(policy: Policy) -> None:
    queues = inputs_of("aws:sqs/queue:Queue")
    later = [rail for rail, promised in policy.rails.items() if promised.asynchronous]
    assert later == ["fiat"]
    assert len([name for name in queues if name.startswith("fiat-")]) == 2 * 2 * 2
    for region in REGIONS:
        queue, dead = (
            queues[f"fiat-instructions-{region}"],
            queues[f"fiat-instructions-dead-{region}"],
        )
        assert (
            json.loads(queue["redrivePolicy"])["deadLetterTargetArn"]
            == f"arn:{region}:fiat-instructions-dead-{region}"
        )
        source = f"arn:aws:sqs:{region}:{ACCOUNT}:{queue['name']}"
        assert json.loads(dead["redriveAllowPolicy"]) == {
            "redrivePermission": "byQueue",
            "sourceQueueArns": [source],
        }
        assert statements(queue["policy"])["Use"]["Principal"] == {
            "AWS": f"arn:aws:iam::{ACCOUNT}:user/rails-{region}"
        }
        assert queue["sqsManagedSseEnabled"] is dead["sqsManagedSseEnabled"] is True
        alarm = inputs_of("aws:cloudwatch/metricAlarm:MetricAlarm")[
            f"fiat-instructions-dead-depth-{region}"
        ]
        assert (alarm["threshold"], alarm["dimensions"]) == (1, {"QueueName": dead["name"]})


def test_the_failover_data_of_a_client_is_in_its_own_region(policy: Policy) -> None:
    parameters = inputs_of("aws:ssm/parameter:Parameter")
    for rail in policy.rails:
        for region in REGIONS:
            told = json.loads(parameters[f"{rail}-{region}"]["value"])
            assert parameters[f"{rail}-{region}"]["region"] == region
            assert told["credentials"]["standby"] == f"arn:{region}:{rail}-standby-{region}"
            assert told["sides"]["standby"]["endpoint"] == policy.rails[rail].endpoints.standby


def test_a_region_prefers_its_own_side_of_a_network_and_fails_over_within_the_target(
    policy: Policy,
) -> None:
    assert failover_of(policy, "aster", region="us-east-1")["order"] == ["primary", "standby"]
    assert failover_of(policy, "aster", region="us-west-2")["order"] == ["standby", "primary"]
    assert failover_of(policy, "exchange", region="us-west-2")["order"] == ["primary", "standby"]
    told = failover_of(policy, "exchange", region="us-east-1")
    attempts = told["breaker"]["failures_to_open"] + 1
    assert told["breaker"]["failures_to_open"] == BreakerSettings().failures_to_open
    assert 0 < told["timeout_ms"] * attempts <= policy.targets.failover_max


def test_served_names_fail_over_to_their_standby_and_no_other_name_does(policy: Policy) -> None:
    records, checks = (
        inputs_of("aws:route53/record:Record"),
        inputs_of("aws:route53/healthCheck:HealthCheck"),
    )
    assert (
        set(records)
        == set(checks)
        == {f"{name}-{side}" for name in policy.served for side in ("primary", "standby")}
    )
    for name, served in policy.served.items():
        kinds = {
            side: records[f"{name}-{side}"]["failoverRoutingPolicies"]
            for side in ("primary", "standby")
        }
        assert kinds == {"primary": [{"type": "PRIMARY"}], "standby": [{"type": "SECONDARY"}]}
        assert records[f"{name}-standby"]["records"] == [served.standby]
        assert records[f"{name}-primary"]["ttl"] * 1_000 <= served.ttl + 999
        assert checks[f"{name}-primary"]["fqdn"] == served.primary
        alarm = inputs_of("aws:cloudwatch/metricAlarm:MetricAlarm")[f"{name}-primary-health"]
        assert (alarm["region"], alarm["namespace"]) == ("us-east-1", "AWS/Route53")


def test_each_region_pages_by_itself_and_only_for_this_account(policy: Policy) -> None:
    topics = inputs_of("aws:sns/topic:Topic")
    assert set(topics) == {
        f"{severity}-{region}" for severity in ("info", "warning", "critical") for region in REGIONS
    }
    for region in REGIONS:
        topic = topics[f"critical-{region}"]
        assert topic["kmsMasterKeyId"] == f"arn:{region}:paging-{region}"
        said = json.loads(topic["policy"])["Statement"]
        assert {each["Principal"]["Service"] for each in said} == {
            "cloudwatch.amazonaws.com",
            "events.amazonaws.com",
            "aps.amazonaws.com",
        }
        assert all(
            each["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT} for each in said
        )
        paged = {
            role
            for trigger in policy.triggers
            if trigger.severity == "critical"
            for role in trigger.pages
        }
        subscribed = {
            name
            for name in inputs_of("aws:sns/topicSubscription:TopicSubscription")
            if name.startswith("critical-") and name.endswith(region)
        }
        assert subscribed == {f"critical-{role}-{region}" for role in paged}
        assert {f"{trigger.name}-{region}" for trigger in policy.triggers} <= set(
            inputs_of("aws:cloudwatch/metricAlarm:MetricAlarm")
        )


def test_prometheus_gets_the_rules_of_this_policy_and_pages_through_its_own_region() -> None:
    rules = (ROOT / "generated" / "sandbox" / "rules.yml").read_text(encoding="utf-8")
    assert {
        region: each["data"]
        for region, each in inputs_of("aws:amp/ruleGroupNamespace:RuleGroupNamespace").items()
    } == dict.fromkeys(REGIONS, rules)
    for region, definition in inputs_of(
        "aws:amp/alertManagerDefinition:AlertManagerDefinition"
    ).items():
        routing = yaml.safe_load(yaml.safe_load(definition["definition"])["alertmanager_config"])
        sns = {each["name"]: each["sns_configs"][0] for each in routing["receivers"]}
        assert {name: each["topic_arn"] for name, each in sns.items()} == {
            severity: f"arn:{region}:{severity}-{region}"
            for severity in ("info", "warning", "critical")
        }
        assert {each["sigv4"]["region"] for each in sns.values()} == {region}


def test_rules_of_another_policy_are_refused(policy: Policy, tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(
        f"# DO NOT EDIT\n{generated.rendered_from('0' * 64)}\ngroups: []\n", encoding="utf-8"
    )
    with pytest.raises(UsageError, match="rendered from another policy than sandbox"):
        read_generated(policy, "rules.yml", folder=tmp_path)
    file.write_text(
        f"# DO NOT EDIT\n{generated.rendered_from(policy.infrastructure_digest)}\ngroups: []\n",
        encoding="utf-8",
    )
    assert read_generated(policy, "rules.yml", folder=tmp_path).endswith("groups: []\n")
    with pytest.raises(UsageError, match=r"cannot be read: No such file.*run bin/seawall render"):
        read_generated(policy, "none.yml", folder=tmp_path)


def test_a_placeholder_without_a_value_is_an_error() -> None:
    assert addressed("a: ${region} ${topic_info}", region="r", topics={"info": "t"}) == "a: r t"
    with pytest.raises(KeyError, match="topic_critical"):
        addressed("a: ${topic_critical}", region="r", topics={"info": "t"})


def test_everything_that_carries_tags_of_a_rail_or_keeper_names_it(policy: Policy) -> None:
    for kind in ("aws:secretsmanager/secret:Secret", "aws:sqs/queue:Queue"):
        for name, inputs in inputs_of(kind).items():
            if name.startswith("key-changes"):
                continue  # belongs to no rail
            tags = inputs["tags"]
            assert name.startswith(tags.get("rail") or tags["keeper"]), name
            assert inputs["tags"]["policy"] == policy.infrastructure_digest

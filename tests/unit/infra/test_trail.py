"""Changes of keys are recorded where they cannot be removed, and page in their own region."""

from __future__ import annotations

import json

import pytest

from tests.testing.declared import ACCOUNT, PRIMARY, STANDBY, of

WATCHED = {
    "DisableKey",
    "ScheduleKeyDeletion",
    "PutKeyPolicy",
    "CreateGrant",
    "CreateAlias",
    "UpdateAlias",
    "DeleteAlias",
    "UpdatePrimaryRegion",
}


def test_one_trail_records_all_regions_into_the_standby_region() -> None:
    [trail] = of("aws:cloudtrail/trail:Trail")
    assert (trail.inputs["region"], trail.inputs["isMultiRegionTrail"]) == (STANDBY, True)
    assert trail.inputs["enableLogFileValidation"] is True
    assert trail.inputs["enableLogging"] is True


def test_cloudtrail_alone_writes_the_log_files_and_only_for_this_trail() -> None:
    [policy] = [each for each in of("aws:s3/bucketPolicy:BucketPolicy") if each.name == "trail"]
    allowed = [
        each
        for each in json.loads(policy.inputs["policy"])["Statement"]
        if each["Effect"] == "Allow"
    ]
    assert {each["Principal"]["Service"] for each in allowed} == {"cloudtrail.amazonaws.com"}
    [trail] = of("aws:cloudtrail/trail:Trail")
    arn = f"arn:aws:cloudtrail:{STANDBY}:{ACCOUNT}:trail/{trail.inputs['name']}"
    assert {each["Condition"]["StringEquals"]["aws:SourceArn"] for each in allowed} == {arn}
    assert {tuple(each["Action"]) for each in allowed} == {("s3:GetBucketAcl",), ("s3:PutObject",)}


@pytest.mark.parametrize("region", [PRIMARY, STANDBY])
def test_a_change_of_any_key_pages_in_its_own_region_and_is_kept(region: str) -> None:
    [rule] = [
        each for each in of("aws:cloudwatch/eventRule:EventRule") if each.inputs["region"] == region
    ]
    pattern = json.loads(rule.inputs["eventPattern"])
    assert set(pattern["detail"]["eventName"]) >= WATCHED
    assert pattern["detail-type"] == ["AWS API Call via CloudTrail"]
    assert "requestParameters" not in pattern["detail"], "of any key, also one that nobody expected"
    targets = {
        each.inputs["targetId"]: each.inputs
        for each in of("aws:cloudwatch/eventTarget:EventTarget")
        if each.inputs["region"] == region
    }
    assert targets["page"]["arn"] == f"arn:{region}:critical-{region}"
    assert targets["keep"]["arn"] == f"arn:{region}:key-changes-{region}"


def test_nobody_but_the_rule_writes_into_the_queue_of_its_region() -> None:
    for queue in of("aws:sqs/queue:Queue"):
        if queue.name.startswith("key-changes-"):
            region = queue.inputs["region"]
            [statement] = json.loads(queue.inputs["policy"])["Statement"]
            [rule] = [
                each
                for each in of("aws:cloudwatch/eventRule:EventRule")
                if each.inputs["region"] == region
            ]
            assert statement["Principal"] == {"Service": "events.amazonaws.com"}
            assert (
                statement["Condition"]["ArnEquals"]["aws:SourceArn"]
                == f"arn:aws:events:{region}:{ACCOUNT}:rule/{rule.inputs['name']}"
            )


def test_every_role_has_the_boundary_of_its_kind_and_a_boundary_denies_what_it_does_not_allow() -> (
    None
):
    boundaries = {
        each.name: each for each in of("aws:iam/policy:Policy") if each.name.startswith("boundary-")
    }
    for role in of("aws:iam/role:Role"):
        assert (
            f"boundary-{role.inputs['permissionsBoundary'].rpartition('boundary-')[2]}"
            in boundaries
        ), role.name
        for kind, part in (
            ("signer", "-signer-"),
            ("admin", "-key-admin-"),
            ("approver", "-approver-"),
        ):
            if part in role.name:
                assert role.inputs["permissionsBoundary"].endswith(f":boundary-{kind}")
    for boundary in boundaries.values():
        statements = json.loads(boundary.inputs["policy"])["Statement"]
        [deny] = [each for each in statements if each["Sid"] == "NothingElse"]
        allowed = {
            action for each in statements if each["Effect"] == "Allow" for action in each["Action"]
        }
        assert (deny["Effect"], set(deny["NotAction"]), deny["Resource"]) == ("Deny", allowed, "*")

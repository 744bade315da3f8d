"""LookupEvents: who signed with which key in which Region, late, by the page and throttled."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.emulator.services.event_history import LATE_S, LOOKUPS_PER_S, PAGE_MAX
from sandbox.identities import Identities, Identity, create_identities
from seawall.policy_file import load_policy
from tests.testing.aws_harness import PRIMARY, ROOT_KEY, STANDBY, client

pytestmark = pytest.mark.integration

POLICY = load_policy(Path(__file__).resolve().parents[3] / "policies" / "sandbox.yaml")
ACCOUNT = "123456789012"
SIGN = [{"AttributeKey": "EventName", "AttributeValue": "Sign"}]
SETTLED_S = LATE_S[1] + 0.5
PAUSE_S = 1.2 / LOOKUPS_PER_S


@pytest.fixture(scope="module")
def identities(aws: str) -> Identities:
    """Users; from now on policies are enforced."""
    return create_identities(endpoint=aws, policy=POLICY)


def new_key(aws: str) -> str:
    """The ARN of a key that signs in both Regions."""
    kms = client("kms", aws, ROOT_KEY)
    arn = kms.create_key(KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY", MultiRegion=True)[
        "KeyMetadata"
    ]["Arn"]
    kms.replicate_key(KeyId=arn, ReplicaRegion=STANDBY)
    return str(arn)


def sign(aws: str, key: str, *, who: dict[str, str] = ROOT_KEY, region: str = PRIMARY) -> None:
    """Sign with a key, as root where nobody is named."""
    client("kms", aws, who, region=region).sign(
        KeyId=key.rpartition("/")[2],
        Message=b"d" * 32,
        MessageType="DIGEST",
        SigningAlgorithm="ECDSA_SHA_256",
    )


@dataclass(frozen=True, kw_only=True)
class Past:
    """Keys that were used so long ago that every event is known.

    ``once`` has signed in the primary Region, ``there`` in the other one, in the seconds ``within``
    of Unix time; ``denied`` has refused to sign for :attr:`stranger`.
    """

    once: str
    there: str
    within: tuple[int, int]
    denied: str
    stranger: Identity


@pytest.fixture(scope="module")
def past(aws: str, identities: Identities) -> Past:
    once, there, denied = (new_key(aws) for _ in range(3))
    stranger = identities.signers[PRIMARY]["customer"]
    before = int(time.time())
    sign(aws, there, region=STANDBY)
    within = (before, int(time.time()))
    sign(aws, once)
    with pytest.raises(ClientError, match="AccessDenied"):
        sign(aws, denied, who=stranger.environment())
    time.sleep(SETTLED_S)
    return Past(once=once, there=there, within=within, denied=denied, stranger=stranger)


def looked_up(
    aws: str, key: str, *, region: str = PRIMARY, size: int = PAGE_MAX
) -> list[dict[str, Any]]:
    """The records of this key's signatures, the latest first, page by page."""
    cloudtrail = client("cloudtrail", aws, ROOT_KEY, region=region)
    asked: dict[str, Any] = {"LookupAttributes": SIGN, "MaxResults": size}
    found: list[dict[str, Any]] = []
    while True:
        time.sleep(PAUSE_S)
        page = cloudtrail.lookup_events(**asked)
        assert len(page["Events"]) <= size
        found += [json.loads(each["CloudTrailEvent"]) for each in page["Events"]]
        if "NextToken" not in page:
            key_id = key.rpartition("/")[2]
            return [each for each in found if each["resources"][0]["ARN"].endswith(key_id)]
        asked["NextToken"] = page["NextToken"]


def test_a_signature_is_recorded_in_its_region_with_caller_key_and_no_message(
    aws: str, past: Past
) -> None:
    key, (before, after) = past.there, past.within
    assert looked_up(aws, key) == []
    [event] = looked_up(aws, key, region=STANDBY)
    at = datetime.strptime(event["eventTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert before <= at.timestamp() <= after
    assert (event["eventName"], event["eventSource"]) == ("Sign", "kms.amazonaws.com")
    assert event["awsRegion"] == STANDBY
    assert event["userIdentity"]["arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert event["requestParameters"] == {
        "keyId": key.rpartition("/")[2],
        "messageType": "DIGEST",
        "signingAlgorithm": "ECDSA_SHA_256",
    }
    assert event["responseElements"] is None
    assert event["readOnly"] is True
    assert event["resources"][0]["ARN"] == key.replace(PRIMARY, STANDBY)
    assert "errorCode" not in event


def test_an_event_is_late_and_the_latest_comes_first_by_the_page(
    aws: str, identities: Identities
) -> None:
    key = new_key(aws)
    for _ in range(5):
        sign(aws, key)
        time.sleep(0.3)
    assert len(looked_up(aws, key)) < 5
    time.sleep(SETTLED_S)

    found = looked_up(aws, key, size=2)
    assert len(found) == 5
    times = [each["eventTime"] for each in found]
    assert times == sorted(times, reverse=True)
    assert len({each["eventID"] for each in found}) == 5


def test_a_denied_signature_is_recorded_with_its_error(aws: str, past: Past) -> None:
    [event] = looked_up(aws, past.denied)
    assert event["errorCode"] == "AccessDenied"
    assert event["userIdentity"]["arn"] == past.stranger.arn
    assert event["requestParameters"] is None


def test_what_aws_refuses_is_refused(aws: str, identities: Identities) -> None:
    cloudtrail, now = client("cloudtrail", aws, ROOT_KEY), datetime.now(tz=UTC)
    for code, asked in (
        ("InvalidLookupAttributesException", {"LookupAttributes": SIGN * 2}),
        ("InvalidMaxResultsException", {"MaxResults": PAGE_MAX + 1}),
        ("InvalidTimeRangeException", {"StartTime": now, "EndTime": now - timedelta(seconds=1)}),
        ("InvalidNextTokenException", {"NextToken": "no token"}),
    ):
        time.sleep(PAUSE_S)
        with pytest.raises(ClientError, match=code):
            cloudtrail.lookup_events(**asked)


def test_a_token_counts_only_for_the_request_that_it_came_from(aws: str, past: Past) -> None:
    time.sleep(PAUSE_S)
    cloudtrail = client("cloudtrail", aws, ROOT_KEY)
    token = cloudtrail.lookup_events(LookupAttributes=SIGN, MaxResults=1)["NextToken"]
    time.sleep(PAUSE_S)
    with pytest.raises(ClientError, match="InvalidNextTokenException"):
        cloudtrail.lookup_events(MaxResults=1, NextToken=token)


def test_both_ends_of_the_time_range_belong_to_it(aws: str, past: Past) -> None:
    [event] = looked_up(aws, past.once)
    at = datetime.strptime(event["eventTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    cloudtrail = client("cloudtrail", aws, ROOT_KEY)

    def ids(starts: datetime, ends: datetime) -> set[str]:
        time.sleep(PAUSE_S)
        page = cloudtrail.lookup_events(LookupAttributes=SIGN, StartTime=starts, EndTime=ends)
        return {each["EventId"] for each in page["Events"]}

    second = timedelta(seconds=1)
    assert event["eventID"] in ids(at, at)
    assert event["eventID"] not in ids(at + second, at + 2 * second)
    assert event["eventID"] not in ids(at - 2 * second, at - second)


def test_a_third_request_within_a_second_is_throttled_in_its_region_alone(
    aws: str, identities: Identities
) -> None:
    time.sleep(1.1)
    here, there = (client("cloudtrail", aws, ROOT_KEY, region=each) for each in (PRIMARY, STANDBY))

    def ask_often() -> None:
        for _ in range(20):
            here.lookup_events(MaxResults=1)

    with pytest.raises(ClientError, match="ThrottlingException"):
        ask_often()
    there.lookup_events(MaxResults=1)


def test_only_who_may_look_up_events_does(aws: str, identities: Identities) -> None:
    time.sleep(PAUSE_S)
    client("cloudtrail", aws, identities.deployer.environment()).lookup_events(MaxResults=1)
    stranger = identities.signers[PRIMARY]["customer"].environment()
    with pytest.raises(ClientError, match="AccessDenied"):
        client("cloudtrail", aws, stranger).lookup_events(MaxResults=1)

"""An operation that fails half-way names AWS's code and a remedy, and loses nothing.

The next `pulumi up` continues from there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.testing.aws_harness import PRIMARY, STANDBY, client
from tests.testing.iam_requests import document
from tests.testing.provider_engine import running_provider
from tests.testing.stack_harness import StackHarness, declared, running_stack
from tests.testing.stack_types.iam import TRUST
from tests.testing.stack_types.kms import KEY

pytestmark = pytest.mark.integration

TOPIC = {"name": "seawall-topic", "displayName": "One", "tags": {"a": "1"}}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackHarness]:
    with running_stack(tmp_path_factory.mktemp("stack")) as harness:
        yield harness


@pytest.fixture
def harness(running: StackHarness) -> Iterator[StackHarness]:
    """An empty stack, and a deployer who may do everything again afterwards."""
    yield running
    running.allow_again()
    running.providers = {"aws": {"region": PRIMARY}}
    running.destroy()


def keys(harness: StackHarness) -> list[str]:
    kms = harness.root("kms")
    found = [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in kms.list_keys()["Keys"]]
    return [key["KeyId"] for key in found if key["KeyState"] in ("Enabled", "Disabled")]


DENIED = re.compile(
    r"(?P<of>\S+ \S+): (?:AccessDenied|AccessDeniedException|AuthorizationError): "
    r"User: .* perform: (?P<action>\S+)"
)
"""How KMS and SNS say it, each in its way."""


def refused(harness: StackHarness, *, of: str, action: str) -> None:
    """An `up` fails with one clear line."""
    said = harness.up(ok=False)
    lines = [line for line in said.splitlines() if DENIED.search(line)]
    assert lines, said
    assert {(match["of"], match["action"]) for match in DENIED.finditer(said)} == {(of, action)}
    assert all("allow the deployer this action" in line for line in lines), said


def test_a_create_that_fails_after_the_resource_exists_loses_nothing(harness: StackHarness) -> None:
    """The key is recorded with its id.

    The next `up` disables that key instead of making another.
    """
    harness.declare({"key": declared("aws:kms/key:Key", {**KEY, "isEnabled": False})})
    harness.deny("kms:DisableKey")
    refused(harness, of="aws:kms/key:Key key", action="kms:DisableKey")
    (made,) = keys(harness)
    recorded = harness.state()["key"]
    assert recorded["id"] == made
    assert recorded["initErrors"]
    assert recorded["outputs"]["isEnabled"] is True, "the state tells what AWS has"

    harness.allow_again()
    assert "~ 1 updated" in harness.up()
    assert keys(harness) == [made]
    assert harness.root("kms").describe_key(KeyId=made)["KeyMetadata"]["KeyState"] == "Disabled"
    assert "initErrors" not in harness.state()["key"]
    harness.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")


@pytest.mark.nightly
def test_a_create_whose_result_cannot_be_read_loses_nothing(harness: StackHarness) -> None:
    """A topic that may be made and not be looked at is recorded with its id."""
    harness.declare({"topic": declared("aws:sns/topic:Topic", TOPIC)})
    harness.deny("sns:GetTopicAttributes")
    refused(harness, of="aws:sns/topic:Topic topic", action="sns:GetTopicAttributes")
    assert harness.state()["topic"]["id"].endswith(":seawall-topic")

    harness.allow_again()
    harness.up()
    assert harness.state()["topic"]["outputs"]["owner"] == "123456789012"
    harness.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")


@pytest.mark.nightly
def test_a_create_that_is_denied_records_nothing(harness: StackHarness) -> None:
    harness.declare({"topic": declared("aws:sns/topic:Topic", TOPIC)})
    harness.deny("sns:CreateTopic")
    refused(harness, of="aws:sns/topic:Topic topic", action="sns:CreateTopic")
    assert "topic" not in harness.state()
    harness.allow_again()
    harness.up()


@pytest.mark.nightly  # a create that fails stays
def test_an_update_that_fails_half_way_converges(harness: StackHarness) -> None:
    """The first call goes through, the second is denied.

    Whatever the program wants next is reached, and AWS shows it.
    """
    first: dict[str, Any] = {"displayName": "One", "tags": {"a": "1"}}
    second: dict[str, Any] = {"displayName": "Two", "tags": {"b": "2"}}
    third: dict[str, dict[str, Any]] = {
        "onward": second,
        "back": first,
        "elsewhere": {"tags": {"c": "3"}},
    }

    def declare(wanted: dict[str, Any]) -> None:
        harness.declare(
            {
                n: declared("aws:sns/topic:Topic", {"name": f"seawall-{n}", **each})
                for n, each in wanted.items()
            }
        )

    declare(dict.fromkeys(third, first))
    harness.up()
    declare(dict.fromkeys(third, second))
    harness.deny("sns:TagResource")
    said = harness.up(ok=False)
    assert {match["of"] for match in DENIED.finditer(said)} == {
        f"aws:sns/topic:Topic {name}" for name in third
    }
    half = {name: harness.state()[name]["outputs"] for name in third}
    assert [(each["displayName"], each["tags"]) for each in half.values()] == [("Two", {})] * 3, (
        "what AWS has"
    )

    harness.allow_again()
    declare(third)
    harness.up()
    for name, wanted in third.items():
        attributes = harness.root("sns").get_topic_attributes(TopicArn=half[name]["arn"])[
            "Attributes"
        ]
        assert attributes["DisplayName"] == wanted.get("displayName", "")
        assert tags_of(harness, half[name]["arn"]) == wanted["tags"]
    harness.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    harness.refresh("--expect-no-changes")


@pytest.mark.nightly
def test_a_delete_that_is_denied_keeps_the_resource_in_the_state(harness: StackHarness) -> None:
    harness.declare({"topic": declared("aws:sns/topic:Topic", TOPIC)})
    harness.up()
    harness.declare({})
    harness.deny("sns:DeleteTopic")
    refused(harness, of="aws:sns/topic:Topic topic", action="sns:DeleteTopic")
    assert "topic" in harness.state()
    harness.allow_again()
    assert "- 1 deleted" in harness.up()


@pytest.mark.nightly  # another error of the same kind stays
def test_credentials_that_aws_does_not_accept_are_one_error_before_anything_is_made(
    harness: StackHarness,
) -> None:
    """Not one per resource."""
    harness.declare(
        {f"topic-{n}": declared("aws:sns/topic:Topic", {"name": f"seawall-{n}"}) for n in range(20)}
    )
    gone = harness.identities.deployer.model_copy(update={"access_key_id": "AKIAGONE000000000000"})
    with running_provider(harness.endpoint, gone) as port:
        said = replace(harness, provider_port=port).up(ok=False)
    told = [
        line
        for line in said.partition("Diagnostics:")[2].splitlines()
        if "InvalidClientTokenId" in line
    ]
    assert len(set(told)) == 1, said
    assert "the aws provider in us-east-1: InvalidClientTokenId" in told[0]
    assert "get new credentials" in told[0]
    assert harness.root("sns").list_topics()["Topics"] == []


@pytest.mark.nightly
def test_a_session_that_has_ended_is_one_error_and_the_next_one_goes_on(
    harness: StackHarness,
) -> None:
    """As after a night in the terminal.

    Half of the stack stands, the other half is asked for with yesterday's session.
    """
    topics = {
        f"topic-{n}": declared("aws:sns/topic:Topic", {"name": f"seawall-{n}"}) for n in range(8)
    }
    harness.declare(dict(list(topics.items())[:4]))
    harness.up()
    before = recorded(harness)
    harness.declare(topics)
    with ended_session(harness) as port:
        late = replace(harness, provider_port=port)
        for command in ("up", "refresh"):
            said = late.pulumi(command, "--yes", "--skip-preview", ok=False)
            told = [
                line
                for line in said.partition("Diagnostics:")[2].splitlines()
                if "ExpiredToken" in line
            ]
            assert len(set(told)) == 1, said
            assert "have expired: get new ones and run it again" in told[0]
            assert recorded(harness) == before
    assert len(harness.root("sns").list_topics()["Topics"]) == 4
    harness.up()
    assert len(harness.root("sns").list_topics()["Topics"]) == 8
    harness.refresh("--expect-no-changes")


def recorded(harness: StackHarness) -> dict[str, Any]:
    """What the state holds of the topics.

    The engine notes times and dependencies besides, which come and go.
    """
    kept = ("id", "inputs", "outputs")
    return {
        name: {part: each[part] for part in kept}
        for name, each in harness.state().items()
        if name.startswith("topic-")
    }


@contextmanager
def ended_session(harness: StackHarness) -> Iterator[int]:
    """The port of a provider whose credentials are those of a session that is over."""
    iam = harness.root("iam")
    arn = iam.create_user(UserName="late")["User"]["Arn"]
    may = {"Effect": "Allow", "Action": "sts:AssumeRole"}
    iam.put_user_policy(
        UserName="late", PolicyName="assume", PolicyDocument=document({**may, "Resource": "*"})
    )
    trust = document({**may, "Principal": {"AWS": arn}})
    role = iam.create_role(RoleName="late", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    key = iam.create_access_key(UserName="late")["AccessKey"]
    who = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    sts = client("sts", harness.endpoint, who)
    sts._serializer = (
        sts._serializer._serializer
    )  # within the decorator that validates: AWS makes none so short
    got = sts.assume_role(RoleArn=role, RoleSessionName="night", DurationSeconds=0)["Credentials"]
    session = harness.identities.deployer.model_copy(
        update={"access_key_id": got["AccessKeyId"], "secret_access_key": got["SecretAccessKey"]}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_SESSION_TOKEN", got["SessionToken"])
        with running_provider(harness.endpoint, session) as port:
            yield port


@pytest.mark.nightly  # other refusals stay
def test_a_region_that_does_not_exist_is_refused_by_name(harness: StackHarness) -> None:
    """For the provider, and for one resource."""
    harness.declare(
        {"topic": declared("aws:sns/topic:Topic", {"name": "seawall-topic", "region": "us-east-9"})}
    )
    assert "AWS has no region us-east-9" in harness.up(ok=False)
    harness.providers = {"aws": {"region": "eu-moon-1"}}
    harness.declare({})
    assert "AWS has no region eu-moon-1" in harness.up(ok=False)


@pytest.mark.nightly
def test_regions_come_from_providers_and_from_resources_side_by_side(harness: StackHarness) -> None:
    """Two providers, and a resource that says its own.

    Each topic is where it should be, and a refresh finds it there.
    """
    harness.providers = {"aws": {"region": PRIMARY}, "west": {"region": STANDBY}}
    resources: dict[str, Any] = {}
    for n in range(6):
        resources[f"east-{n}"] = declared("aws:sns/topic:Topic", {"name": f"seawall-e{n}"})
        resources[f"west-{n}"] = declared(
            "aws:sns/topic:Topic", {"name": f"seawall-w{n}"}, provider="west"
        )
        resources[f"own-{n}"] = declared(
            "aws:sns/topic:Topic", {"name": f"seawall-o{n}", "region": STANDBY}
        )
    harness.declare(resources)
    harness.up()
    assert {
        name: len(harness.root("sns", region=name).list_topics()["Topics"])
        for name in (PRIMARY, STANDBY)
    } == {PRIMARY: 6, STANDBY: 12}
    harness.refresh("--expect-no-changes")
    harness.pulumi("preview", "--expect-no-changes")
    harness.declare({})
    harness.up()
    assert [
        harness.root("sns", region=name).list_topics()["Topics"] for name in (PRIMARY, STANDBY)
    ] == [[], []]


@pytest.mark.nightly
def test_default_tags_are_on_everything_and_a_change_of_them_is_a_change(
    harness: StackHarness,
) -> None:
    """Merged with a resource's own, which win; no difference and no drift afterwards.

    A removed one is drift.
    """
    role = {"name": "seawall-role", "assumeRolePolicy": TRUST, "tags": {"owner": "ours"}}
    resources = {
        "topic": declared("aws:sns/topic:Topic", {"name": "seawall-topic"}),
        "role": declared("aws:iam/role:Role", role),
    }
    harness.providers = {
        "aws": {"region": PRIMARY, "default_tags": {"owner": "all", "policy": "one"}}
    }
    harness.declare(resources)
    harness.up()
    recorded = harness.state()
    assert (recorded["role"]["outputs"]["tags"], recorded["role"]["outputs"]["tagsAll"]) == (
        {"owner": "ours"},
        {"owner": "ours", "policy": "one"},
    )
    arn = recorded["topic"]["id"]
    assert tags_of(harness, arn) == {"owner": "all", "policy": "one"}
    harness.pulumi("preview", "--expect-no-changes")
    harness.refresh("--expect-no-changes")

    harness.root("sns").untag_resource(ResourceArn=arn, TagKeys=["policy"])
    drift = json.loads(harness.pulumi("refresh", "--preview-only", "--json"))["steps"]
    assert [step["diffReasons"] for step in drift if step["op"] == "update"] == [["tagsAll"]]

    harness.providers = {
        "aws": {"region": PRIMARY, "default_tags": {"owner": "all", "policy": "two"}}
    }
    harness.declare(resources)
    harness.up()
    assert tags_of(harness, arn) == {"owner": "all", "policy": "two"}
    assert harness.state()["role"]["outputs"]["tagsAll"] == {"owner": "ours", "policy": "two"}
    harness.pulumi("preview", "--expect-no-changes")
    harness.refresh("--expect-no-changes")


def tags_of(harness: StackHarness, arn: str) -> dict[str, str]:
    pairs = harness.root("sns").list_tags_for_resource(ResourceArn=arn)["Tags"]
    return {pair["Key"]: pair["Value"] for pair in pairs}


@pytest.mark.nightly  # a create that fails stays
def test_a_secret_input_is_in_the_state_in_no_clear_text(
    harness: StackHarness, tmp_path: Path
) -> None:
    """True of inputs and outputs, after an update, and after a refresh with another value."""
    for text in ("correct-horse", "battery-staple"):
        harness.declare(
            {
                "topic": declared(
                    "aws:sns/topic:Topic",
                    {"name": "seawall-topic", "displayName": {"$secret": text}},
                )
            }
        )
        said = harness.up()
        assert text not in harness.state_text() + said
        assert (
            harness.root("sns").get_topic_attributes(TopicArn=harness.state()["topic"]["id"])[
                "Attributes"
            ]["DisplayName"]
            == text
        )
    assert set(harness.state()["topic"]["outputs"]["displayName"]) == {
        "4dabf18193072939515e22adb298388d",
        "ciphertext",
    }
    arn = harness.state()["topic"]["id"]
    harness.root("sns").set_topic_attributes(
        TopicArn=arn, AttributeName="DisplayName", AttributeValue="found-out"
    )
    said = harness.refresh() + harness.pulumi("preview", "--diff")
    assert "found-out" not in harness.state_text() + said
    kept = [
        path
        for path in harness.data_dir.rglob("*")
        if path.is_file() and path.name != "resources.json"
    ]
    assert not [path for path in kept if b"battery-staple" in path.read_bytes()]
